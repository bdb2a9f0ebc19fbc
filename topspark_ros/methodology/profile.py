"""Profiles: what one configuration costs and achieves at each timestep T.

A profile is measured once and read by the controller. Its file is YAML with units in the keys.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, TypeGuard

import yaml

from topspark_ros.engine import AnyConfig, DiscriminantConfig, EncodedConfig, FeaturesConfig
from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_yaml, write_text

DISCRIMINANT = 'discriminant'  # the rule of a DiscriminantConfig


class ProfileError(TopsparkError):
    """A profile was rejected: one line with the file, field, value and what is accepted."""


@dataclass(frozen=True)
class PhaseFigures:
    """What one phase, inference or training, comes to at one T.

    Parameters
    ----------
    accuracy
        Fraction of test samples classified right, mean over seeds, 0..1.
    accuracy_std
        Standard deviation of it over seeds; NaN: unmeasured (one seed).
    accuracy_worst
        Of the seed with the lowest, 0..1.
    margin
        Lead of a class that ended a presentation early, as in engine.Network.infer; inf: none.
    steps
        Mean steps of one sample; T without early exit.
    latency_s
        Processor time of one sample on one core, s.
    energy_j
        Energy of one sample, J; Profile.energy_model says by which model.
    input_spikes, output_spikes, synaptic_operations, neuron_updates, synaptic_updates
        Mean operations of one sample, as engine.OperationCounts.
    """

    accuracy: float
    accuracy_std: float
    accuracy_worst: float
    margin: float
    steps: float
    latency_s: float
    energy_j: float
    input_spikes: float
    output_spikes: float
    synaptic_operations: float
    neuron_updates: float
    synaptic_updates: float


@dataclass(frozen=True)
class ProfilePoint:
    """Both phases at one T.

    Parameters
    ----------
    timesteps
        T, steps a sample is presented for.
    inference
        At this T, with a network trained at the reference T. Learns nothing.
    training
        Of learning at this T; its accuracy is that of the network so trained, tested at the
        reference T.
    """

    timesteps: int
    inference: PhaseFigures
    training: PhaseFigures


@dataclass(frozen=True)
class Obtained:
    """How each kind of figure was obtained, free texts. operations: the counts and steps."""

    accuracy: str
    latency: str
    operations: str
    energy: str
    margin: str


@dataclass(frozen=True)
class Profile:
    """A table over T for one configuration. The largest T is the reference.

    Parameters
    ----------
    name
        Free text.
    network
        As `network_properties` tells them. In the file they stand beside the rest.
    energy_model
        Name of the energy table.
    obtained
        How the figures were obtained.
    points
        One a T, T rising.

    Raises
    ------
    ProfileError
        Where a value is not acceptable.
    """

    name: str
    network: Mapping[str, Any]
    energy_model: str
    obtained: Obtained
    points: tuple[ProfilePoint, ...]

    def __post_init__(self) -> None:
        for field in ('name', 'energy_model'):
            _require_text(field, getattr(self, field))
        for field, text in asdict(self.obtained).items():
            _require_text(f'obtained.{field}', text)
        for field, require in _network_fields(self.network).items():
            require(field, self.network[field])
        _require(len(self.points) > 0, 'points', self.points, 'one or more')
        previous = 0
        for index, point in enumerate(self.points):
            field = f'points[{index}].timesteps'
            _require_positive_integer(field, point.timesteps)
            _require(
                point.timesteps > previous,
                field,
                point.timesteps,
                f'more than the {previous} before (T rises, each once)',
            )
            previous = point.timesteps
            _check_figures(f'points[{index}].inference', point.inference)
            _check_figures(f'points[{index}].training', point.training)

    @property
    def timesteps(self) -> tuple[int, ...]:
        """Every T, rising."""
        return tuple(point.timesteps for point in self.points)

    @property
    def reference(self) -> ProfilePoint:
        """The point of the largest T, which losses are counted against."""
        return self.points[-1]

    def at(self, timesteps: int) -> ProfilePoint:
        """The point at this T; ProfileError if the profile has none."""
        for point in self.points:
            if point.timesteps == timesteps:
                return point
        raise ProfileError(
            f'timesteps is {timesteps}, accepted is one of {", ".join(map(str, self.timesteps))}'
        )

    def expected_accuracy(self, training_timesteps: int, inference_timesteps: int) -> float:
        """Accuracy to expect from training and inferring at these T, 0..1.

        First order: the losses of the two phases against the reference add,
        A = A0 - (A0 - inference accuracy) - (A0 - training accuracy). What a mismatch of the
        two T adds or saves is not in it.
        """
        training_loss = (
            self.reference.training.accuracy - self.at(training_timesteps).training.accuracy
        )
        accuracy = self.at(inference_timesteps).inference.accuracy - training_loss
        return min(max(accuracy, 0.0), 1.0)


def load_profile(path: str | os.PathLike) -> Profile:
    """The profile in a YAML file; ProfileError if it is missing, unreadable or not valid."""
    try:
        content = read_yaml(path, 'a profile in YAML')
    except FileError as error:
        raise ProfileError(str(error)) from None
    try:
        own = _network_fields(content if isinstance(content, dict) else {})
        names = [name for name in _names(Profile) if name != 'network']
        values = _fields_of('profile', content, [*names[:1], *own, *names[1:]])
        points = values['points']
        _require(isinstance(points, list), 'points', points, 'a list')
        return Profile(
            **{name: values[name] for name in names}
            | {
                'network': {name: values[name] for name in own},
                'obtained': Obtained(
                    **_fields_of('obtained', values['obtained'], _names(Obtained))
                ),
                'points': tuple(
                    _point_of(f'points[{index}]', point) for index, point in enumerate(points)
                ),
            }
        )
    except ProfileError as error:
        raise ProfileError(f'{path}: {error}') from None


def save_profile(profile: Profile, path: str | os.PathLike) -> None:
    """Write the profile as YAML, atomically: the file is the old one or the whole new one."""
    text = yaml.safe_dump(_plain(profile), sort_keys=False, allow_unicode=True, width=96)
    write_text(path, _HEADER + text)


_HEADER = """\
# Profile: accuracy (0..1), latency (s a sample) and energy (J a sample) at each timestep T.
# inference: at this T, with a network trained at the largest T.
# training: of learning at this T; accuracy of the network so trained, tested at the largest T.
# accuracy_std is over seeds, .nan where there was one.
# margin ends a presentation early, .inf: never. steps and operations are means a sample.
"""


def _plain(profile: Profile) -> dict:
    """The profile as what YAML knows, figures rounded to what can be meant."""
    name, network, *rest = asdict(profile).items()
    plain = dict([name, *network[1].items(), *rest])
    plain['points'] = list(plain['points'])
    for point in plain['points']:
        for phase in ('inference', 'training'):
            point[phase] = {key: float(f'{value:.6g}') for key, value in point[phase].items()}
    return plain


def _point_of(field: str, content: object) -> ProfilePoint:
    values = _fields_of(field, content, _names(ProfilePoint))
    phases = {
        phase: PhaseFigures(**_fields_of(f'{field}.{phase}', values[phase], _names(PhaseFigures)))
        for phase in ('inference', 'training')
    }
    return ProfilePoint(**{**values, **phases})


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


def _fields_of(field: str, content: object, names: list[str]) -> dict:
    """`content`, which is to be a mapping of these names."""
    if not isinstance(content, dict):
        raise ProfileError(f'{field} is {content!r}, accepted is a mapping of {", ".join(names)}')
    prefix = '' if field == 'profile' else f'{field}.'
    for name in names:
        if name not in content:
            raise ProfileError(f'{prefix}{name} is missing, accepted is a value')
    for name in content:
        if name not in names:
            raise ProfileError(f'{prefix}{name} is unknown, accepted is {", ".join(names)}')
    return content


def _check_figures(field: str, figures: PhaseFigures) -> None:
    for name, value in asdict(figures).items():
        if name == 'margin':
            _require_above_zero(f'{field}.{name}', value)
        elif name == 'accuracy_std':
            _require(
                _is_number(value) and (math.isnan(value) or 0 <= value <= 1),
                f'{field}.{name}',
                value,
                'a number from 0 to 1, or .nan',
            )
        elif name in ('accuracy', 'accuracy_worst'):
            _require(
                _is_number(value) and 0 <= value <= 1,
                f'{field}.{name}',
                value,
                'a fraction from 0 to 1',
            )
        else:
            _require(
                _is_number(value) and 0 <= value < math.inf,
                f'{field}.{name}',
                value,
                'a finite number from 0',
            )


def _require_text(field: str, value: object) -> None:
    _require(isinstance(value, str), field, value, 'a text')


def _require_above_zero(field: str, value: object) -> None:
    _require(_is_number(value) and value > 0, field, value, 'a number above 0')


def _require_positive_integer(field: str, value: object) -> None:
    _require(
        isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0,
        field,
        value,
        'an integer from 1',
    )


Check = Callable[[str, object], None]
_SINGLE_LAYER: dict[str, Check] = {
    'rule': _require_text,
    'neurons': _require_positive_integer,
    'coding': _require_text,
    'max_input_rate': _require_above_zero,
    'inference_spikes': _require_above_zero,
}
_FEATURES: dict[str, Check] = dict.fromkeys(FeaturesConfig.SHAPING, _require_positive_integer)
_ENCODED: dict[str, Check] = {'inputs': _require_positive_integer, 'encoder': _require_text}
# After the rule, where it learns on spiking features, or on those of another network.
OF_FEATURES, OF_ENCODER = ' of features', ' of an encoder'


def _network_fields(values: Mapping[str, Any]) -> dict[str, Check]:
    """What a profile says of the network whose `rule` stands in `values`."""
    rule = str(values.get('rule'))
    fields = dict(_SINGLE_LAYER)
    if rule.startswith(DISCRIMINANT):
        fields = {'rule': _require_text}
    if rule == DISCRIMINANT or rule.endswith(OF_FEATURES):
        fields |= _FEATURES
    if rule.endswith(OF_ENCODER):
        fields |= _ENCODED
    return fields


def network_properties(config: AnyConfig) -> dict[str, Any]:
    """What figures depend on, by name: the rule, and fields of the configuration."""
    if isinstance(config, DiscriminantConfig):
        return {'rule': DISCRIMINANT} | {name: getattr(config, name) for name in config.SHAPING}
    if isinstance(config, EncodedConfig):
        rule = DISCRIMINANT + OF_ENCODER
        return {'rule': rule, 'inputs': config.inputs, 'encoder': config.encoder}
    rule, encoder = config.rule, {}
    if isinstance(config.encoder, FeaturesConfig):
        rule += OF_FEATURES
        encoder = asdict(config.encoder)
    elif config.encoder:
        rule += OF_ENCODER
        encoder = {'inputs': config.inputs, 'encoder': config.encoder}
    return {
        'rule': rule,
        'neurons': config.neurons,
        'coding': config.coding,
        'max_input_rate': config.max_input_rate,
        'inference_spikes': config.neuron.inference_spikes,
        **encoder,
    }


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _require(condition: bool, field: str, value: object, accepted: str) -> None:
    if not condition:
        raise ProfileError(f'{field} is {value!r}, accepted is {accepted}')
