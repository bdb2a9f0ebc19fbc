"""One network trained and tested on labelled samples: shared by analysis and profiles."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from topspark_ros.engine import (
    MAX_TIMESTEPS,
    AnyConfig,
    EngineError,
    InferenceNetwork,
    Network,
    NetworkConfig,
    OperationCounts,
    Responses,
    create_network,
    warm_up,
)
from topspark_ros.engine.kernels.encoding import FULL_TIMESTEPS
from topspark_ros.errors import TopsparkError

from .energy import EnergyTable, estimate_energy_j
from .neurobench import NeuroBenchError, NeuroBenchMetrics, neurobench_of

Config = TypeVar('Config', bound=AnyConfig)


class ExperimentError(TopsparkError):
    """Data or a setting was rejected: one line with field, value and what is accepted."""


@dataclass(frozen=True)
class Data:
    """Samples to learn from and samples to test with.

    Parameters
    ----------
    name
        Of where they come from.
    training_pixels, test_pixels
        (samples, inputs) uint8 or float32.
    training_labels, test_labels
        (samples,) int64, from 0.

    Raises
    ------
    ExperimentError
        If a part is empty or its labels are not as many as its samples.
    """

    name: str
    training_pixels: np.ndarray
    training_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self) -> None:
        for part in ('training', 'test'):
            samples = len(getattr(self, f'{part}_pixels'))
            labels = len(getattr(self, f'{part}_labels'))
            if samples == 0 or samples != labels:
                raise ExperimentError(
                    f'{part} set is {samples} images and {labels} labels, '
                    'accepted is one or more, as many of each'
                )

    def validation(self, share: float = 0.2) -> Data:
        """The same without the test part: the last `share` (0..1) of the training samples
        takes its place, so that what is chosen by it has not seen the test part."""
        kept = len(self.training_labels) - round(share * len(self.training_labels))
        return Data(
            f'{self.name}, validation part',
            self.training_pixels[:kept],
            self.training_labels[:kept],
            self.training_pixels[kept:],
            self.training_labels[kept:],
        )

    def digest(self) -> str:
        """A name for exactly these samples, hexadecimal."""
        state = hashlib.sha256()
        for array in (
            self.training_pixels,
            self.training_labels,
            self.test_pixels,
            self.test_labels,
        ):
            state.update(f'{array.dtype}{array.shape}'.encode())
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()[:16]


@dataclass(frozen=True)
class Setting(Generic[Config]):
    """How a network is made, trained and tested.

    Parameters
    ----------
    config
        Its seed, if it has one, is replaced by that of the run.
    training_timesteps, inference_timesteps
        T, steps.
    training_margin, inference_margin
        Of early exit, as in Network.learn and Network.infer.
    quantised
        Whether an int8 copy is tested in the place of the network itself.

    Raises
    ------
    ExperimentError
        For a T that no network takes.
    """

    config: Config
    training_timesteps: int
    inference_timesteps: int
    training_margin: float = math.inf
    inference_margin: float = math.inf
    quantised: bool = False

    def __post_init__(self) -> None:
        for name in ('training_timesteps', 'inference_timesteps'):
            if not 1 <= getattr(self, name) <= MAX_TIMESTEPS:
                raise ExperimentError(
                    f'{name} is {getattr(self, name)}, accepted is 1 to {MAX_TIMESTEPS}'
                )

    @property
    def training_key(self) -> tuple:
        """What training depends on. One network will do for settings where this is the same."""
        config = self.config
        if isinstance(config, NetworkConfig):
            config = replace(config, neuron=replace(config.neuron, inference_spikes=1.0))
        return (config, self.training_timesteps, self.training_margin)


class Pass(NamedTuple):
    """Samples presented one after the other, and what that came to.

    accuracy: share of them that were classified right, 0..1; in training by predictions made
        while learning.
    timesteps: mean steps a sample.
    counts: mean operations a sample, floats.
    processor_time_s: mean a sample, of the thread that presented them, s.
    """

    accuracy: float
    timesteps: float
    counts: OperationCounts
    processor_time_s: float

    @staticmethod
    def mean(passes: Sequence[Pass]) -> Pass:
        """The mean of one or more, but for the processor time the median, which other load
        on the machine hardly changes."""
        return Pass(
            float(np.mean([each.accuracy for each in passes])),
            float(np.mean([each.timesteps for each in passes])),
            OperationCounts(*np.mean([each.counts for each in passes], axis=0).tolist()),
            float(np.median([each.processor_time_s for each in passes])),
        )

    def energy_j(self, table: EnergyTable) -> float:
        """Estimated energy a sample, J."""
        return estimate_energy_j(self.counts, table)


class Outcome(NamedTuple):
    """The two passes of an experiment.

    neurobench: of the inference; None: it ends early, or NeuroBench does not know such a network.
    """

    training: Pass
    inference: Pass
    neurobench: NeuroBenchMetrics | None


def run_experiments(settings: Sequence[Setting], data: Data, seed: int) -> list[Outcome]:
    """Train an untrained network on all training samples once, and test it in several ways.

    settings: one or more that train alike (`training_key`).
    """
    network, training = train(settings[0], data, seed)
    outcomes = []
    for setting in settings:
        tested = for_inference(network, replace(setting, config=seeded(setting.config, seed)))
        inference = measure(
            tested,
            data.test_pixels,
            data.test_labels,
            setting.inference_timesteps,
            setting.inference_margin,
        )
        outcomes.append(Outcome(training, inference, _neurobench(tested, setting, data, inference)))
    return outcomes


def _neurobench(
    network: InferenceNetwork, setting: Setting, data: Data, inference: Pass
) -> NeuroBenchMetrics | None:
    if setting.inference_margin < math.inf or not isinstance(network, Network):
        return None
    try:
        return neurobench_of(
            network, data.test_pixels, setting.inference_timesteps, inference.counts
        )
    except (NeuroBenchError, EngineError):
        return None


def seeded(config: Config, seed: int) -> Config:
    """The same with this seed; a discriminant has none."""
    return replace(config, seed=seed) if isinstance(config, NetworkConfig) else config


def reconfigured(network: Network, config: Config) -> Network:
    """A network of another configuration that has learned the same."""
    if network.config == config:
        return network
    twin = create_network(config)
    twin.restore(network.state())
    return twin


def for_inference(network: Network, setting: Setting) -> InferenceNetwork:
    """What a setting tests of a network that has learned by it."""
    twin = reconfigured(network, setting.config)
    return twin.quantised() if setting.quantised else twin


def train(setting: Setting, data: Data, seed: int) -> tuple[Network, Pass]:
    """A network that has learned every training sample once, in the order of the seed.

    Without parameter enhancement the thresholds' gain is the one that settles where the same
    samples are learned at T0, as in a network that was tuned there before T was cut.
    """
    config = seeded(setting.config, seed)
    network = create_network(config)
    warm_up(network)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))
    pixels, labels = data.training_pixels[order], data.training_labels[order]
    if isinstance(config, NetworkConfig) and not config.neuron.enhancement:
        neuron = replace(config.neuron, enhancement=True)
        tuned = create_network(replace(config, neuron=neuron))
        tuned.learn_many(pixels, FULL_TIMESTEPS, labels)
        network.restore(network.state() | {'gain': tuned.state()['gain']})
    return network, _timed(
        lambda: network.learn_many(
            pixels, setting.training_timesteps, labels, setting.training_margin
        ),
        labels,
    )


def measure(
    network: InferenceNetwork,
    pixels: np.ndarray,
    labels: np.ndarray,
    timesteps: int,
    margin: float = math.inf,
) -> Pass:
    """Classify samples; arguments as of InferenceNetwork.infer_many."""
    return _timed(lambda: network.infer_many(pixels, timesteps, margin), labels)


def _timed(present: Callable[[], Responses], labels: np.ndarray) -> Pass:
    start = time.thread_time()
    responses = present()
    elapsed = time.thread_time() - start
    return Pass(
        float((responses.predicted == labels).mean()),
        float(responses.timesteps.mean()),
        OperationCounts(*responses.counts.mean(axis=0).tolist()),
        elapsed / len(labels),
    )
