"""Networks as NIR, the intermediate representation that simulators and neuromorphic chips read
(Pedersen et al. 2024, Nature Communications 15, 8122).

A layer of STDP becomes, for one T,

    input -> synapses (Affine) -> excitatory.lif (LIF, or IF without a leak) -> readout (Affine)
                                    v        ^
                       inhibition.sent -> inhibition.others (both Affine)

The threshold is 1. What comes out of `readout`, summed over all steps and divided by the output
spikes, are the scores. A reader takes an output spike around a cycle in the next step: inhibition
has decayed once by then, which is the same as taking it at once, as here. (It has two nodes, since
snnTorch 1.0 sends the input of a layer with one to that one.)

NIR's neurons follow tau dv/dt = R I - v, and readers differ in how they step through it:

    euler:        v <- (1 - dt / tau) v + dt / tau R I
    exponential:  v <- exp(-dt / tau) v + (1 - exp(-dt / tau)) R I

tau is such that one of them decays by exp(-1 / tau_m), our own step, exactly. R is 1, for there are
readers that know no other: weights are larger by as much as a step takes of I.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..files import FileError, open_file
from .checkpoint import Checkpoint
from .configuration import MAX_TIMESTEPS, NetworkConfig, NeuronConfig, require_integer
from .errors import EngineError, ExchangeError
from .factory import create_network
from .kernels.plasticity import WEIGHT_NORM
from .kernels.stdp import REST_THRESHOLD
from .recruiting import RecruitingNetwork
from .stdp import StdpNetwork, squared_norms

INTEGRATIONS = 'euler', 'exponential'
STEP_S = 1e-3  # of network time
OURS = 'topspark'  # metadata of what NIR has no node for
LABELLED_FRAMES = 100  # that an imported read-out counts as, of each class
MAX_BYTES = 2**31
WINNER = (
    'winner-take-all: in each step, of the neurons at their threshold only the one furthest above '
    'it spikes, and it resets all'
)
AT_THRESHOLD = 'a neuron spikes at its threshold, in NIR above it'
ADAPTATION = 'learning: adaptive thresholds, of which inference takes the mean, and learning rates'
RECRUITING = (
    'the threshold that ramps down after the last step, over v / |n| - theta (theta: metadata): '
    'neurons spike in that order, n being the numbers of the input spikes, until twelve have',
    'the read-out, of the labels that the first three neurons won for and of the leads of all '
    'twelve (label_counts, readout_weights: metadata)',
)


@dataclass(frozen=True)
class Time:
    """What a reader's steps are.

    Parameters
    ----------
    step_s
        One step of the network as the reader has it, s.
    integration
        How it steps through a neuron's equation: 'euler' or 'exponential'.

    Raises
    ------
    ExchangeError
        Naming the field, its value and what is accepted.
    """

    step_s: float = STEP_S
    integration: str = 'euler'

    def __post_init__(self) -> None:
        if not isinstance(self.step_s, (int, float)) or not 1e-9 <= self.step_s <= 1e3:
            raise ExchangeError(f'step_s is {self.step_s!r}, accepted is a number from 1e-9 to 1e3')
        if self.integration not in INTEGRATIONS:
            raise ExchangeError(
                f'integration is {self.integration!r}, accepted is one of {", ".join(INTEGRATIONS)}'
            )

    def time_constant_s(self, decay: float) -> float:
        """Of a potential that decays by this factor a step."""
        if self.integration == 'euler':
            return self.step_s / (1 - decay)
        return -self.step_s / math.log(decay)

    def decay(self, time_constant_s: float) -> float:
        """The factor of a step."""
        if self.integration == 'euler':
            return 1 - self.step_s / time_constant_s
        return math.exp(-self.step_s / time_constant_s)


def export_nir(
    checkpoint: Checkpoint,
    path: str | os.PathLike,
    timesteps: int,
    time: Time = Time(),
) -> tuple[str, ...]:
    """Write the inference of a single layer as a NIR graph, for input spikes of pixels.

    Parameters
    ----------
    timesteps
        T, 1 to 10000, that thresholds are for.
    time
        What the reader's steps are.

    Returns
    -------
    tuple
        What of the network NIR cannot say; the file's metadata has it, too.

    Raises
    ------
    ExchangeError
        Where NIR would be another network, where the package `nir` is not installed, and for a
        file that cannot be written.
    """
    nir = _package()
    graph, missing = nir_graph(checkpoint, timesteps, time)
    try:
        nir.write(os.fspath(path), graph)
    except OSError as error:
        raise ExchangeError(f'{path} cannot be written: {error.strerror or error}') from None
    return missing


def nir_graph(
    checkpoint: Checkpoint, timesteps: int, time: Time = Time()
) -> tuple[Any, tuple[str, ...]]:
    """What `export_nir` writes, a `nir.NIRGraph`, and what it returns."""
    network = checkpoint.network
    require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
    if not isinstance(network.config, NetworkConfig):
        raise ExchangeError(
            'the network is a discriminant, accepted is a single layer: filters that compete at '
            'each place, and their pooled currents, have no node in NIR'
        )
    if not isinstance(network.config.encoder, str):
        raise ExchangeError(
            'encoder is features, accepted is a layer on pixels or on an ONNX file: filters that '
            'compete at each place have no node in NIR'
        )
    if isinstance(network, RecruitingNetwork):
        nodes, edges, missing = _recruiting(network)
    elif isinstance(network, StdpNetwork):
        nodes, edges, missing = _stdp(network, timesteps, time)
    ours = {
        'config': asdict(network.config),
        'class_names': list(checkpoint.class_names),
        'timesteps': timesteps,
        'time': asdict(time),
        'not_in_nir': list(missing),
    }
    state = network.state()
    named = {name: state[name] for name in KEPT if name in state}
    metadata = {OURS: json.dumps(ours), **named}
    return _package().NIRGraph(nodes, edges, metadata=metadata), missing


# Arrays of the read-out and of what it follows from, beside the nodes.
KEPT = 'responses', 'class_frames', 'label_counts', 'readout_weights', 'theta'


def _stdp(
    network: StdpNetwork, timesteps: int, time: Time
) -> tuple[dict[str, Any], list[tuple[str, str]], tuple[str, ...]]:
    neuron = network.config.neuron
    for field, accepted in (
        ('refractory_period', 0),
        ('synaptic_time_constant', 0.0),
        ('inhibitory_layer', False),
    ):
        value = getattr(neuron, field)
        if value != accepted:
            raise ExchangeError(
                f'{field} is {value}, accepted is {accepted}: with that NIR is another network'
            )
    nir, state = _package(), network.state()
    unit = network.threshold_unit(timesteps)
    level = unit * (REST_THRESHOLD + float(state['theta'].mean()))
    neurons = network.config.neurons
    rest = unit * REST_THRESHOLD / level
    same = {
        'v_threshold': np.ones(neurons, np.float32),
        'v_reset': np.full(neurons, neuron.reset_potential * rest, np.float32),
    }
    decay = math.exp(-1 / neuron.membrane_time_constant)
    charge = 1.0  # of I that a step takes
    if decay == 1:
        lif = nir.IF(r=np.ones(neurons, np.float32), **same)
    else:
        charge = 1 - decay
        lif = nir.LIF(
            tau=np.full(neurons, time.time_constant_s(decay), np.float32),
            r=np.ones(neurons, np.float32),
            v_leak=np.zeros(neurons, np.float32),
            **same,
        )
    responses = state['responses']
    votes = responses / np.maximum(responses.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    nodes = {
        'input': nir.Input({'input': np.array([network.config.inputs])}),
        'synapses': _affine((state['weights'] * (state['scale'] / level / charge)).T),
        'excitatory.lif': lif,
        'readout': _affine(votes.T),
        'output': nir.Output({'output': np.array([max(1, votes.shape[1])])}),
    }
    edges = [
        ('input', 'synapses'),
        ('synapses', 'excitatory.lif'),
        ('excitatory.lif', 'readout'),
        ('readout', 'output'),
    ]
    missing = [AT_THRESHOLD, ADAPTATION]
    if neuron.inhibition == math.inf:
        missing.insert(0, WINNER)
    elif neuron.inhibition > 0:
        strength = decay * neuron.inhibition * rest / charge
        nodes['inhibition.sent'] = _affine(-strength * np.eye(neurons))
        nodes['inhibition.others'] = _affine(1 - np.eye(neurons))
        edges += [
            ('excitatory.lif', 'inhibition.sent'),
            ('inhibition.sent', 'inhibition.others'),
            ('inhibition.others', 'excitatory.lif'),
        ]
    return nodes, edges, tuple(missing)


def _recruiting(
    network: RecruitingNetwork,
) -> tuple[dict[str, Any], list[tuple[str, str]], tuple[str, ...]]:
    nir = _package()
    weights = network.receptive_fields()
    neurons = len(weights)
    if neurons == 0:
        raise ExchangeError('the network has learned nothing, accepted is one that has')
    nodes = {
        'input': nir.Input({'input': np.array([network.config.inputs])}),
        'synapses': _affine(weights),
        'potential': nir.I(r=np.ones(neurons, np.float32)),
        'output': nir.Output({'output': np.array([neurons])}),
    }
    return nodes, [*zip(nodes, list(nodes)[1:])], RECRUITING


def _affine(weight: np.ndarray) -> Any:
    """Without a bias; the axes are (to, from). Some readers take no Linear."""
    weight = np.ascontiguousarray(weight, np.float32)
    if len(weight) == 0:  # of a read-out that knows no class
        weight = np.zeros((1, weight.shape[1]), np.float32)
    return _package().Affine(weight=weight, bias=np.zeros(len(weight), np.float32))


def _package() -> ModuleType:
    try:
        import nir
    except ImportError:
        raise ExchangeError(
            'the package nir is not installed, accepted is: pip install topspark_ros[nir]'
        ) from None
    return nir


def import_nir(
    path: str | os.PathLike, timesteps: int | None = None, time: Time | None = None
) -> Checkpoint:
    """The network of pair-wise STDP that a NIR graph stands for.

    Its nodes are those of `export_nir`: Affine or Linear, LIF or IF, and, where they are there,
    inhibition that is the same for all pairs of neurons, and a read-out. What NIR cannot say begins
    anew: adaptive thresholds are alike, and a read-out counts as of 100 labelled frames of a class,
    so that the network goes on learning. Executes nothing that the file says.

    Parameters
    ----------
    timesteps, time
        T that the thresholds are for, and what its steps are. None: as the file says that it was
        exported with; where it says nothing, timesteps are needed.

    Raises
    ------
    ExchangeError
        Naming the file, what is wrong with it and what is accepted.
    """
    nir = _package()
    try:
        open_file(path, MAX_BYTES, 'a NIR graph').close()
        graph = nir.read(os.fspath(path))
        return _imported(graph, timesteps, time)
    except FileError as error:
        raise ExchangeError(str(error)) from None
    except EngineError as error:
        raise ExchangeError(f'{path}: {error}') from None
    except _NONSENSE as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ExchangeError(f'{path}: {reason}, accepted is a NIR graph') from None


# What h5py, nir and JSON raise for files that make no sense.
_NONSENSE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
)


def _imported(graph: Any, timesteps: int | None, time: Time | None) -> Checkpoint:
    ours = json.loads(_text(graph.metadata.get(OURS, '{}')))
    timesteps = ours.get('timesteps') if timesteps is None else timesteps
    if timesteps is None:
        raise ExchangeError('it says no timesteps, accepted is T that its thresholds are for')
    require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
    time = time or Time(**ours.get('time', {}))
    layer = _layer_of(graph)
    lif = layer.neurons
    decay = 1.0
    gain = _alike('r', lif.r)
    if hasattr(lif, 'tau'):
        decay = time.decay(_alike('tau', lif.tau))
        gain *= 1 - decay
        if not 0 < decay < 1:
            raise ExchangeError(f'tau is {lif.tau[0]:g} s, accepted is more than a step')
        if np.any(lif.v_leak != 0):
            raise ExchangeError('v_leak is not 0, accepted is 0')
    threshold = np.asarray(lif.v_threshold, float)
    if not (np.isfinite(threshold) & (threshold > 0)).all():
        raise ExchangeError('v_threshold is 0 or less, or not finite, accepted is above 0')
    weights = np.asarray(layer.synapses.weight, float).T * gain / threshold
    norms = np.linalg.norm(weights, axis=0)
    if not np.isfinite(weights).all() or (weights < 0).any() or not norms.all():
        raise ExchangeError(
            'synapses have weights below 0, not finite, or none above 0, accepted are weights of 0 '
            'or more'
        )
    strength = 0.0 if layer.inhibition is None else _inhibition(layer.inhibition) * gain / decay
    if layer.inhibition is not None and np.ptp(threshold) > 0:
        raise ExchangeError('v_threshold differs, accepted with inhibition are equal ones')
    config = _config_of(ours, weights.shape, decay, strength / threshold[0], lif, threshold)
    network = create_network(config)
    assert isinstance(network, StdpNetwork)
    state = network.state()
    level = WEIGHT_NORM / norms.max()
    stored = (weights * level).astype(np.float32)
    state['gain'] = state['gain'] * (level / REST_THRESHOLD / network.threshold_unit(timesteps))
    state |= dict(weights=stored, squares=squared_norms(stored))
    if layer.readout is not None and np.any(layer.readout.weight):
        votes = np.asarray(layer.readout.weight, np.float32).T
        frames = np.full(votes.shape[1], LABELLED_FRAMES)
        known = dict(responses=votes, class_frames=frames)
        kept = {name: np.asarray(graph.metadata.get(name, known[name])) for name in known}
        state |= kept if kept['responses'].shape == votes.shape else known
    network.restore(state)
    return Checkpoint(network, tuple(map(str, ours.get('class_names', ()))))


@dataclass(frozen=True)
class _Layer:
    """The nodes of a graph that are ours."""

    synapses: Any
    neurons: Any
    inhibition: np.ndarray | None = None  # (neurons, neurons), to and from
    readout: Any = None


def _layer_of(graph: Any) -> _Layer:
    """ExchangeError for a graph of other nodes or edges."""
    nir = _package()
    followers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for before, after in graph.edges:
        followers[before].append(after)
    kinds = {name: type(node) for name, node in graph.nodes.items()}
    dense = nir.Affine, nir.Linear
    neurons = [name for name, kind in kinds.items() if kind in (nir.LIF, nir.IF)]
    accepted = (
        'accepted is Input, Affine, LIF or IF, perhaps an Affine back to it, perhaps an Affine '
        'that reads it out, and Output'
    )
    if len(neurons) != 1 or not set(kinds.values()) <= {
        nir.Input,
        nir.Output,
        nir.LIF,
        nir.IF,
        *dense,
    }:
        found = ', '.join(kind.__name__ for kind in kinds.values())
        raise ExchangeError(f'it is of {found}, {accepted}')
    (layer,) = neurons
    dense_nodes = [name for name, kind in kinds.items() if kind in dense]
    for name in dense_nodes:
        if np.any(getattr(graph.nodes[name], 'bias', 0)):
            raise ExchangeError(f'{name} has a bias, accepted is none')
    # From the neurons back to them, by one node or two.
    cycles = [[name] for name in followers[layer] if layer in followers[name]] + [
        [name, after]
        for name in followers[layer]
        for after in followers[name]
        if after != layer and layer in followers[after]
    ]
    inhibition = cycles[0] if cycles else []
    rest = [name for name in dense_nodes if name not in inhibition]
    synapses = [name for name in rest if layer in followers[name]]
    readout = [name for name in rest if name in followers[layer]]
    if len(cycles) > 1 or len(synapses) != 1 or len(readout) > 1 or len(rest) > 2:
        raise ExchangeError(f'it has other edges, {accepted}')
    weights = [np.asarray(graph.nodes[name].weight, float) for name in inhibition]
    return _Layer(
        graph.nodes[synapses[0]],
        graph.nodes[layer],
        np.linalg.multi_dot([*weights[::-1], np.eye(weights[0].shape[1])]) if weights else None,
        graph.nodes[readout[0]] if readout else None,
    )


def _inhibition(weights: np.ndarray) -> float:
    """What a spike takes from every other neuron, in the units of the graph."""
    weight = -weights
    others = weight[~np.eye(len(weight), dtype=bool)]
    strength = float(others.mean()) if others.size else 0.0
    if (
        not np.allclose(others, strength)
        or strength < 0
        or np.any(weight.diagonal())
        or weight.shape[0] != weight.shape[1]
    ):
        raise ExchangeError(
            'what leads from neurons to themselves differs, accepted is inhibition that is the '
            'same for all others and 0 for the neuron itself'
        )
    return strength


def _config_of(
    ours: dict,
    shape: tuple[int, ...],
    decay: float,
    inhibition: float,
    lif: Any,
    threshold: np.ndarray,
) -> NetworkConfig:
    """With the input as the network had it that was exported, if one was."""
    kept = ours.get('config', {})
    own = {name: kept[name] for name in INPUT if name in kept}
    neuron = {name: kept.get('neuron', {})[name] for name in AIMS if name in kept.get('neuron', {})}
    winner = kept.get('neuron', {}).get('inhibition') == math.inf
    return NetworkConfig(
        inputs=shape[0],
        neurons=shape[1],
        **({'rule': 'pairwise'} | own),
        neuron=NeuronConfig(
            membrane_time_constant=math.inf if decay == 1 else -1 / math.log(decay),
            inhibition=math.inf if winner else inhibition,
            reset_potential=_alike('v_reset', np.asarray(lif.v_reset) / threshold),
            **neuron,
        ),
    )


# Fields that say how pixels become spikes, and what thresholds are for: NIR does not.
INPUT = 'rule', 'max_input_rate', 'coding', 'normalisation', 'encoder', 'seed'
AIMS = 'theta_step', 'theta_time_constant', 'output_spikes', 'inference_spikes', 'enhancement'


def _alike(field: str, values: np.ndarray) -> float:
    values = np.asarray(values, float).reshape(-1)
    if values.size == 0 or not np.isfinite(values).all() or np.ptp(values) > 1e-6 * abs(values[0]):
        raise ExchangeError(f'{field} differs among neurons or is not finite, accepted are alike')
    return float(values[0])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
