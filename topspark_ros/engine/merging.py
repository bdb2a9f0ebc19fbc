"""One network of what several have learned apart, without their samples.

A discriminant (kernels.discriminant) is made of sums, so merging is exact. With n_i frames of a
class and its mean m_i in network i, all frames have the mean m = sum n_i m_i / sum n_i and scatter
around it by

    S = sum_i S_i + sum_i n_i (m_i - m) (m_i - m)^T,

each S_i found in the precision, A_i = (eps I + S_i)^-1. Only made-up backgrounds differ from those
of one network that saw all frames: which one is made up follows from the number of a class's frame.
And exemplars: of all that the networks have of a class those are kept that are spread out.

Of recruiting networks all prototypes are kept, or as many as are wanted: of each class the two are
merged that it costs least, again and again (Ward 1963). With them go the labels that they won for
and their weights of the read-out, which say nothing of classes that their network did not know. To
learn these weights anew, from the prototypes in the place of samples, was tried: it is no better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from .checkpoint import Checkpoint
from .configuration import MAX_CLASSES, AnyConfig, NetworkConfig
from .discriminant import first_scatter, whole_precision
from .errors import MergingError
from .factory import create_network
from .kernels.discriminant import BLOCK, EXEMPLARS, FIRST_SHARE, LOOKS, NOVELTY_EVERY
from .kernels.seeing import Filters

FREE = 'neurons', 'seed'  # fields in which networks that are merged may differ
SHARES = np.array([FIRST_SHARE, 1.0])  # of each look in the scatter
PER_CLASS = 'label_counts', 'readout_weights', 'fast_readout_weights'  # of each neuron
PER_NEURON = *PER_CLASS, 'readout_updates', 'theta', 'attractions'
SUMMED = 'label_counts', 'readout_updates', 'attractions'  # where neurons become one; others: mean
State = dict[str, np.ndarray]


def merge_networks(
    networks: Mapping[str, Checkpoint], neurons: int | None = None, common: str | None = None
) -> Checkpoint:
    """One network of what several have learned apart.

    Parameters
    ----------
    networks
        One or more, by names that errors have, such as those of their files. Their configurations
        are the same, but for `neurons` and `seed`, and so are their filters; each class has a name,
        by which it is found in the others.
    neurons
        Of the merged network, with the recruiting rule: at least one for each class. None: as many
        as the first has. A discriminant takes none.
    common
        The name of one of them that all others have gone on from: what it knows counts once, not
        once in each of them. Of discriminants alone. None: they have nothing in common, or it
        counts as often as it is there.

    Returns
    -------
    Checkpoint
        Its classes come in the order of the first network, then of the next one.

    Raises
    ------
    MergingError
        Naming the network, what is wrong with it and what is accepted.
    """
    if not networks or set(networks) == {common}:
        raise MergingError('networks are none, accepted is one or more')
    config = _common_config(networks)
    class_names, places = _unified_classes(networks)
    states = [checkpoint.network.state() for checkpoint in networks.values()]
    _require_same_filters(dict(zip(networks, states)))
    if isinstance(config, NetworkConfig):
        if common is not None:
            raise MergingError(
                f'common is {common}, accepted with the rule recruiting is none: prototypes that '
                'have moved cannot be subtracted'
            )
        config = config if neurons is None else replace(config, neurons=neurons)
        merged = _merged_recruiting(states, places, len(class_names), config.neurons)
    else:
        if neurons is not None:
            raise MergingError(
                f'neurons is {neurons}, accepted with a discriminant is none: it has one for each '
                'class'
            )
        times = [1 if name != common else 2 - len(networks) for name in networks]
        merged = _merged_discriminant(states, places, class_names, list(networks), times)
    network = create_network(config)
    network.restore(states[0] | merged)
    return Checkpoint(network, class_names)


def _common_config(networks: Mapping[str, Checkpoint]) -> AnyConfig:
    """That of the first network, which all others have as well."""
    first, *others = networks
    config = networks[first].network.config
    if isinstance(config, NetworkConfig) and config.rule != 'recruiting':
        raise MergingError(
            f'{first}: its rule is {config.rule}, accepted are recruiting and discriminant: '
            'neurons of STDP share out their thresholds and output spikes, and mean nothing alone'
        )
    for name in others:
        other = networks[name].network.config
        if type(other) is not type(config):
            raise MergingError(
                f'{name}: its configuration is {other}, accepted is one as of {first}, {config}'
            )
        for field in fields(config):
            found, wanted = getattr(other, field.name), getattr(config, field.name)
            if field.name not in FREE and found != wanted:
                raise MergingError(
                    f'{name}: its {field.name} is {found or "none"}, accepted is '
                    f'{wanted or "none"}, as of {first}'
                )
    return config


def _unified_classes(
    networks: Mapping[str, Checkpoint],
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The names of all classes, and where among them those of each network are, int64."""
    numbers: dict[str, int] = {}
    places = []
    for name, (network, class_names, _) in networks.items():
        if len(class_names) < network.classes:
            raise MergingError(
                f'{name}: it has {network.classes} classes and {len(class_names)} names of them, '
                'accepted is a name for each'
            )
        if len(set(class_names)) < len(class_names):
            raise MergingError(f'{name}: two of its classes have the same name, accepted is one')
        for class_name in class_names:
            numbers.setdefault(class_name, len(numbers))
        known = class_names[: network.classes]
        places.append(np.array([numbers[class_name] for class_name in known], np.int64))
    if len(numbers) > MAX_CLASSES:
        raise MergingError(f'together they have {len(numbers)} classes, accepted are {MAX_CLASSES}')
    return tuple(numbers), places


def _require_same_filters(states: Mapping[str, State]) -> None:
    first, *others = states
    for name in others:
        for filters in set(Filters._fields) & set(states[first]):
            one, other = states[first][filters], states[name][filters]
            if one.dtype != other.dtype or not np.array_equal(one, other):
                raise MergingError(
                    f'{name}: its {filters} differ from those of {first}, accepted are the same: '
                    'what was learned refers to them'
                )


def _merged_discriminant(
    states: Sequence[State],
    places: Sequence[np.ndarray],
    class_names: Sequence[str],
    names: Sequence[str],
    times: Sequence[int],
) -> State:
    """names: of the networks. times: how often each counts; 0 or less: what others have of it is
    taken off."""
    size = len(states[0]['precision'])
    frames = np.zeros(len(class_names), np.int64)
    means = np.zeros((LOOKS, len(class_names), size))
    for state, at, count in zip(states, places, times):
        frames[at] += count * state['class_frames']
        means[:, at] += count * state['class_frames'][:, np.newaxis] * state['means']
    means /= np.maximum(frames, 1)[:, np.newaxis]
    scatter = first_scatter(size) * np.eye(size)
    for state, at, count, name in zip(states, places, times, names):
        scatter += count * _scatter_of(state['precision'], name)
        weight = np.sqrt(np.outer(SHARES, state['class_frames']))[..., np.newaxis]
        apart = (weight * (state['means'] - means[:, at])).reshape(-1, size)
        scatter += count * apart.T @ apart
    common = names[int(np.argmin(times))]
    if (frames < 0).any():
        most = class_names[int(frames.argmin())]
        raise MergingError(
            f'{common}: it has more frames of {most!r} than the others have, accepted is a network '
            'that they have all gone on from'
        )
    precision = _inverse(scatter, common)
    means[:, frames == 0] = 0
    weights = means @ precision
    pairs = (0, 0), (0, 1), (1, 1)
    overlaps = [(means[one] * weights[other]).sum(axis=1) for one, other in pairs]
    return dict(
        means=means,
        weights=weights,
        overlaps=np.array(overlaps),
        precision=np.where(_kept(size), precision, 0),
        class_frames=frames,
        scatter=scatter.diagonal()[::NOVELTY_EVERY],
        exemplars=_merged_exemplars(states, places, frames),
    )


def _merged_exemplars(
    states: Sequence[State], places: Sequence[np.ndarray], frames: np.ndarray
) -> np.ndarray:
    """frames: of each class, of all networks."""
    shape = states[0]['exemplars'].shape
    merged = np.zeros((LOOKS, len(frames), *shape[2:]), np.int8)
    for c, number in enumerate(frames):
        of_class = np.concatenate(
            [merged[:, c, :, :0]]
            + [
                state['exemplars'][:, own, :, : state['class_frames'][own]]
                for state, at in zip(states, places)
                for own in np.flatnonzero(at == c)
            ],
            axis=-1,
        )
        kept = _spread_out(of_class[-1].T, min(number, EXEMPLARS))
        merged[:, c, :, : len(kept)] = of_class[..., kept]
    return merged


def _spread_out(points: np.ndarray, number: int) -> np.ndarray:
    """So many of the points, (points, features), without one of the two nearest again and again:
    their indices."""
    kept = np.arange(len(points))
    points = points.astype(float)
    squares = (points**2).sum(axis=1)
    apart = squares + squares[:, np.newaxis] - 2 * points @ points.T
    np.fill_diagonal(apart, np.inf)
    while len(kept) > number:
        last = max(np.unravel_index(apart.argmin(), apart.shape))
        kept = np.delete(kept, last)
        apart = np.delete(np.delete(apart, last, 0), last, 1)
    return kept


def _scatter_of(precision: np.ndarray, name: str) -> np.ndarray:
    """Of the samples of the network of this name, without what every feature is taken to have
    before any was seen."""
    size = len(precision)
    return _inverse(whole_precision(precision), name) - first_scatter(size) * np.eye(size)


def _inverse(matrix: np.ndarray, name: str) -> np.ndarray:
    """Of a symmetric matrix; MergingError where it is not positive definite."""
    try:
        np.linalg.cholesky(matrix)
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        raise MergingError(
            f'{name}: what it knows is no scatter of samples, or not in all others; accepted are '
            'weights that the learner wrote, and in common what all others have gone on from'
        ) from None


def _kept(size: int) -> np.ndarray:
    """Which elements of a precision are kept, (size, size) bool: see DiscriminantState."""
    block = np.arange(size) // BLOCK
    return block[:, np.newaxis] <= block


def _merged_recruiting(
    states: Sequence[State], places: Sequence[np.ndarray], classes: int, neurons: int
) -> State:
    union = _union(states, places, classes)
    kept = _reduced(union, neurons)
    in_use = len(kept['attractions'])
    frames = np.array([state['frames'][0] for state in states])
    labelled = np.array([state['class_frames'].sum() for state in states])
    similarity = np.array([state['similarity_mean'][0] for state in states])
    variance = np.array([state['similarity_variance'][0] for state in states])
    mean = _mean(similarity, frames)
    weights = kept['weights'].astype(np.float32)
    norms = np.linalg.norm(weights.astype(np.float64), axis=1)
    merged = {
        'class_frames': np.zeros(classes, np.int64),
        'weights': _padded(weights, neurons).T.copy(),
        'scale': _padded(1 / norms, neurons),
        'gram': np.zeros((neurons, neurons), np.float32),
        'recruited': np.array([in_use]),
        'frames': frames.sum(keepdims=True),
        'similarity_mean': np.array([mean]),
        'similarity_variance': np.array([_mean(variance + (similarity - mean) ** 2, frames)]),
        'last_label': np.zeros(1, np.int64),
    }
    for name in 'error_rate', 'alternation':
        values = np.array([state[name][0] for state in states])
        merged[name] = np.array([_mean(values, labelled)])
    for state, at in zip(states, places):
        merged['class_frames'][at] += state['class_frames']
    gram = kept['weights'] @ kept['weights'].T
    merged['gram'][:in_use, :in_use] = np.clip(gram, 0, 1)
    for name in PER_NEURON:
        merged[name] = _padded(kept[name].astype(states[0][name].dtype), neurons)
    return merged


def _union(states: Sequence[State], places: Sequence[np.ndarray], classes: int) -> State:
    """The neurons in use of all networks: arrays by name, the first axis being that of neurons.

    weights: (neurons, inputs) float64, of unit L2 norm.
    """
    parts: list[State] = []
    for state, at in zip(states, places):
        in_use = state['recruited'][0]
        part = {name: state[name][:in_use] for name in PER_NEURON}
        part['weights'] = (state['weights'] * state['scale']).T[:in_use]
        for name in PER_CLASS:
            spread = np.zeros((in_use, classes), np.float32)
            spread[:, at] = part[name]
            part[name] = spread
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _reduced(union: State, neurons: int) -> State:
    """At most so many neurons, by merging those of a class that it costs least."""
    counts = union['label_counts']
    owners = np.pad(counts, ((0, 0), (1, 0))).argmax(axis=1) - 1  # -1: of no label
    kinds = np.unique(owners)
    surplus = len(owners) - neurons
    if surplus <= 0:
        return union
    if neurons < len(kinds):
        raise MergingError(
            f'neurons is {neurons}, accepted is at least {len(kinds)}: one for each class'
        )
    merges = []
    for kind in kinds:
        members = np.flatnonzero(owners == kind)
        for cost, one, other in _merges(union['weights'][members], union['attractions'][members]):
            merges.append((cost, members[one], members[other]))
    merges.sort(key=lambda each: each[0])
    into = np.arange(len(owners))
    for _, one, other in merges[:surplus]:
        into[into == other] = one
    kept, group = np.unique(into, return_inverse=True)
    result = {}
    share = union['attractions'] / np.bincount(group, union['attractions'])[group]
    for name, array in union.items():
        weight = 1.0 if name in SUMMED else share.reshape(-1, *[1] * (array.ndim - 1))
        result[name] = np.zeros((len(kept), *array.shape[1:]))
        np.add.at(result[name], group, weight * array)
    result['weights'] /= np.linalg.norm(result['weights'], axis=1, keepdims=True)
    return result


def _merges(weights: np.ndarray, counts: np.ndarray) -> Iterator[tuple[float, int, int]]:
    """All merges of prototypes into one, the cheapest first: its cost, and the two, the first of
    which stands for both from then on.

    The cost is the increase of the summed squared distances of samples to their prototypes (Ward
    1963), brought up to date by the formula of Lance and Williams (1967).

    weights: (prototypes, inputs), of unit L2 norm. counts: samples that each stands for.
    """
    number = len(weights)
    k = counts.astype(float)
    costs = np.outer(k, k) / np.add.outer(k, k) * 2 * (1 - weights @ weights.T)
    np.fill_diagonal(costs, np.inf)
    for _ in range(number - 1):
        one, other = divmod(int(costs.argmin()), number)
        cost = costs[one, other]
        yield cost, one, other
        both = (k[one] + k) * costs[one] + (k[other] + k) * costs[other] - k * cost
        both /= k[one] + k[other] + k
        both[one] = np.inf
        costs[one] = costs[:, one] = both
        costs[other] = costs[:, other] = np.inf
        k[one] += k[other]


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    """With zeros at the end of the first axis."""
    return np.concatenate((array, np.zeros((length - len(array), *array.shape[1:]), array.dtype)))


def _mean(values: np.ndarray, counts: np.ndarray) -> float:
    """Weighted by counts; of values without any, plainly."""
    return float(np.average(values, weights=counts if counts.any() else None))
