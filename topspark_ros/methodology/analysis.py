"""TopSpark's analysis: what a smaller timestep costs, and which neuron parameters matter then.

Two questions of Putra and Shafique (2023, arXiv 2303.01826), each as settings for a sweep and as
answers from its outcomes:

1. accuracy against T, without and with parameter enhancement;
2. how much accuracy depends on each neuron parameter, one at a time, at each T.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from topspark_ros.engine import RULES, NetworkConfig, NeuronConfig

from .energy import EnergyTable
from .experiments import Data, Outcome, Pass, Setting
from .neurobench import NeuroBenchMetrics
from .sweep import Cell

# Their neurons have parameters to enhance and to vary; those of the recruiting rule have none.
STDP_RULES = tuple(rule for rule in RULES if rule != 'recruiting')

# Values to try beside the default: mostly two on each side of it, factors of two to four apart.
PARAMETER_VALUES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        # Steps. From a memory shorter than most presentations to no leak at all.
        'membrane_time_constant': (10.0, 30.0, 300.0, math.inf),
        # Steps. Diehl and Cook (2015) have 5; 20 is all of a short presentation.
        'refractory_period': (1, 2, 5, 20),
        # Steps. Some 30, 300 and 3000 samples at T = 350. Diehl and Cook have 1e7, as good as none.
        'theta_time_constant': (1e4, 1e5, 1e6),
        # The resting threshold is 13.
        'theta_step': (2.0, 4.0, 16.0, 32.0),
        # From so far below rest that the next spike takes as much input again, to half-way there.
        'reset_potential': (-1.0, -0.5, 0.25, 0.5),
        'output_spikes': (0.25, 0.5, 2.0, 4.0),
        'inference_spikes': (0.5, 2.0, 4.0, 8.0),
        # Resting thresholds. The default, inf, lets one neuron win and resets all.
        'inhibition': (0.5, 1.0, 4.0, 16.0),
        # Steps. The charge that comes after the presentation is lost.
        'synaptic_time_constant': (1.0, 2.0, 5.0, 10.0),
    }
)


@dataclass(frozen=True)
class Grid:
    """What is analysed: every rule with every size, coding and T.

    inputs: pixels of a sample.
    rules, codings: names, as of NetworkConfig. The parameters are varied at the first coding.
    neurons: sizes. The parameters are varied at the first size.
    timesteps: T of training and inference.
    max_input_rate: as of NetworkConfig.
    """

    inputs: int
    rules: tuple[str, ...]
    neurons: tuple[int, ...]
    codings: tuple[str, ...]
    timesteps: tuple[int, ...]
    max_input_rate: float

    def setting(
        self, rule: str, neurons: int, coding: str, timesteps: int, **neuron: Any
    ) -> Setting:
        """One of the grid; neuron: fields of NeuronConfig that are not the default."""
        config = NetworkConfig(
            inputs=self.inputs,
            neurons=neurons,
            rule=rule,
            coding=coding,
            max_input_rate=self.max_input_rate,
            neuron=NeuronConfig(**neuron),
        )
        return Setting(config, timesteps, timesteps)

    def variant(self, rule: str, timesteps: int, parameter: str, value: float) -> Setting:
        """One neuron parameter varied."""
        return self.setting(rule, self.neurons[0], self.codings[0], timesteps, **{parameter: value})

    @property
    def varied_rules(self) -> tuple[str, ...]:
        """The rules whose parameters are varied."""
        return tuple(rule for rule in self.rules if rule in STDP_RULES)

    def against_timesteps(self) -> list[Setting]:
        """The first question."""
        return [
            self.setting(rule, neurons, coding, timesteps, enhancement=enhancement)
            for rule, neurons, coding, timesteps in product(
                self.rules, self.neurons, self.codings, self.timesteps
            )
            for enhancement in enhancements(rule)
        ]

    def around_defaults(self) -> list[Setting]:
        """The second question; the defaults themselves are part of the first."""
        return [
            self.variant(rule, timesteps, parameter, value)
            for rule, timesteps in product(self.varied_rules, self.timesteps)
            for parameter, values in PARAMETER_VALUES.items()
            for value in values
        ]

    def cells(self, seeds: Sequence[int]) -> list[Cell]:
        """Both questions, every setting once with every seed."""
        settings = dict.fromkeys(self.against_timesteps() + self.around_defaults())
        return [Cell(setting, seed) for setting in settings for seed in seeds]


def enhancements(rule: str) -> tuple[bool, ...]:
    """Whether parameters follow T, for those rules that leave a choice."""
    return (True, False) if rule in STDP_RULES else (True,)


class Summary(NamedTuple):
    """A setting over its seeds.

    accuracies: of inference, 0..1, one a seed.
    training, inference, neurobench: means over the seeds.
    """

    accuracies: tuple[float, ...]
    training: Pass
    inference: Pass
    neurobench: NeuroBenchMetrics | None

    @property
    def accuracy(self) -> float:
        """Mean accuracy of inference, 0..1."""
        return self.inference.accuracy

    @property
    def deviation(self) -> float:
        """Standard deviation of the accuracy between seeds; NaN for one seed."""
        if len(self.accuracies) < 2:
            return math.nan
        return statistics.stdev(self.accuracies)


def summarise(outcomes: Mapping[Cell, Outcome]) -> dict[Setting, Summary]:
    """Each setting over its seeds."""
    grouped: dict[Setting, list[Outcome]] = {}
    for cell, outcome in outcomes.items():
        grouped.setdefault(cell.setting, []).append(outcome)
    return {
        setting: Summary(
            tuple(each.inference.accuracy for each in group),
            Pass.mean([each.training for each in group]),
            Pass.mean([each.inference for each in group]),
            NeuroBenchMetrics.mean([each.neurobench for each in group]),
        )
        for setting, group in grouped.items()
    }


def table(
    summaries: Mapping[Setting, Summary], data: Data, energy: EnergyTable
) -> list[dict[str, object]]:
    """One row a setting: all of its fields, and what they came to, in the unit of the name; those
    of NeuroBench have its names, and are empty where it does not know such a network."""
    rows = []
    for setting, summary in summaries.items():
        fields = asdict(setting)
        config = fields.pop('config')
        neuron = config.pop('neuron')
        del config['seed']
        row = {'data': data.name, 'training_samples': len(data.training_labels)}
        row |= (
            config
            | fields
            | neuron
            | {
                'seeds': len(summary.accuracies),
                'accuracy_mean': summary.accuracy,
                'accuracy_std': summary.deviation,
                'accuracy_worst': min(summary.accuracies),
                'energy_model': energy.name,
            }
        )
        for phase in ('inference', 'training'):
            mean: Pass = getattr(summary, phase)
            figures = {
                'steps': mean.timesteps,
                **mean.counts._asdict(),
                'energy_j': mean.energy_j(energy),
                'processor_time_s': mean.processor_time_s,
            }
            row |= {f'{phase}_{name}': value for name, value in figures.items()}
        metrics = summary.neurobench
        row |= metrics._asdict() if metrics else dict.fromkeys(NeuroBenchMetrics._fields, '')
        rows.append(row)
    return rows


class Reduction(NamedTuple):
    """A smaller T that is as good, of one rule and size.

    full: the most accurate setting at the largest T.
    reduced: the most accurate of those with the smallest T that is as good.
    """

    full: Setting
    reduced: Setting


def reductions(
    grid: Grid, summaries: Mapping[Setting, Summary], tolerance: float
) -> list[Reduction]:
    """How far T can shrink, for each rule and size.

    tolerance: accuracy that may be lost against the largest T, 0..1.
    """
    found = []
    for rule, neurons in product(grid.rules, grid.neurons):
        settings = [
            setting
            for setting in grid.against_timesteps()
            if (setting.config.rule, setting.config.neurons) == (rule, neurons)
        ]

        def accuracy(setting: Setting) -> float:
            return summaries[setting].accuracy

        full = max(
            (setting for setting in settings if setting.inference_timesteps == max(grid.timesteps)),
            key=accuracy,
        )
        good = [setting for setting in settings if accuracy(setting) >= accuracy(full) - tolerance]
        reduced = min(good, key=lambda each: (each.inference_timesteps, -accuracy(each)))
        found.append(Reduction(full, reduced))
    return found


class Sensitivity(NamedTuple):
    """How much accuracy depends on one neuron parameter at one T.

    spread: accuracy at its best value less that at its worst, the default among them, 0..1.
    best: the value with the highest accuracy.
    gain: accuracy there less that at the default, 0..1.
    """

    parameter: str
    spread: float
    best: float
    gain: float


def sensitivities(
    grid: Grid, summaries: Mapping[Setting, Summary], rule: str, timesteps: int
) -> list[Sensitivity]:
    """Of every parameter, the one with the largest spread first."""
    found = []
    for parameter, values in PARAMETER_VALUES.items():
        default = getattr(NeuronConfig(), parameter)
        accuracy = {
            value: summaries[grid.variant(rule, timesteps, parameter, value)].accuracy
            for value in (default, *values)
        }
        best = max(accuracy, key=accuracy.__getitem__)
        found.append(
            Sensitivity(
                parameter,
                accuracy[best] - min(accuracy.values()),
                best,
                accuracy[best] - accuracy[default],
            )
        )
    return sorted(found, key=lambda each: -each.spread)
