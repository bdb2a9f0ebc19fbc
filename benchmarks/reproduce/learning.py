"""How well networks learn: all at once, from few frames, class by class, while T is switched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import numpy as np

from topspark_ros.engine import NetworkConfig, NeuronConfig, create_network
from topspark_ros.methodology.experiments import Data, Setting, measure
from topspark_ros.methodology.sweep import Cell
from topspark_ros.streams.datasets import load_dataset

from ..switching import SWITCH_EVERY, losses
from .common import Claim, Plan, Runner, Section, enlarged, load, spread

# T and input rate of the recruiting rule, chosen by folds of the training images.
TIMESTEPS = {'digits': 16, 'mnist': 8, 'fashion_mnist': 8}
RATES = {'digits': 9.0, 'mnist': 18.0, 'fashion_mnist': 25.0}
RULES = {
    'recruiting': NetworkConfig(),
    'pairwise': NetworkConfig(
        rule='pairwise', max_input_rate=4.0, neuron=NeuronConfig(inference_spikes=8.0)
    ),
}
SWITCHED = {'recruiting': (1, 2, 4, 8, 16, 64), 'pairwise': (8, 16, 32, 64)}  # T
FEW_SEEDS = range(5)
LABELLED = (1.0, 0.1)  # shares of the frames
WINDOWS = {
    'frames 1-200': slice(0, 200),
    'frames 401-600': slice(400, 600),
    'frames 1001-1200': slice(1000, 1200),
    'last 200 frames': slice(-200, None),
}

# (labels guide learning, dataset): bound and aim of the worst seed, percent.
ACCURACY = {
    (True, 'mnist'): (93, 95),
    (True, 'fashion_mnist'): (81.5, 84.5),
    (False, 'mnist'): (92, 94),
    (False, 'fashion_mnist'): (79, 82),
}
INCREMENTAL = {
    (True, 'mnist'): (91, 94),
    (True, 'fashion_mnist'): (76, 80),
    (False, 'mnist'): (80, 90),
    (False, 'fashion_mnist'): (69, 76),
}
FEW = {
    (1.0, 'frames 401-600'): (92, 96.5),
    (1.0, 'last 200 frames'): (95, 98.5),
    (0.1, 'frames 401-600'): (78, 86),
    (0.1, 'last 200 frames'): (88, 94),
}
GUIDANCE = {True: 'labels guide learning', False: 'labels for the read-out only'}


def recruiting(dataset: str, neurons: int, **options) -> NetworkConfig:
    return NetworkConfig(neurons=neurons, max_input_rate=RATES[dataset], **options)


def setting(neurons: int, supervised: bool, dataset: str) -> Setting:
    timesteps = TIMESTEPS[dataset]
    return Setting(recruiting(dataset, neurons, supervised=supervised), timesteps, timesteps)


def incremental_accuracy(plan: Plan, neurons: int, supervised: bool, name: str, seed: int) -> float:
    """On all classes, after those have come one after another, once."""
    data = load(name, plan.samples)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))
    order = order[np.argsort(data.training_labels[order], kind='stable')]
    network = create_network(recruiting(data.name, neurons, supervised=supervised, seed=seed))
    timesteps = TIMESTEPS[data.name]
    network.learn_many(data.training_pixels[order], timesteps, data.training_labels[order])
    return _tested(network, timesteps, data)


def first_frames(neurons: int, labelled: float, seed: int) -> np.ndarray:
    """Digits, seen once: whether each was classified right before it was learned, bool.

    labelled: share of the frames whose label is told; all are counted.
    """
    digits = load_dataset('digits')
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits.labels))
    pixels = enlarged(digits.images.reshape(len(order), -1)[order])
    truth = digits.labels[order]
    labels = np.where(rng.random(len(truth)) < labelled, truth, -1)
    network = create_network(recruiting('digits', neurons, seed=seed))
    return network.learn_many(pixels, TIMESTEPS['digits'], labels).predicted == truth


def switched_losses(
    plan: Plan, config: NetworkConfig, name: str, seed: int, timesteps: tuple[int, ...]
) -> np.ndarray:
    """Accuracy lost at each T by having learned at T that were switched at random, (T,)."""
    return losses(config, load(name, plan.samples), seed, timesteps).switched


def _presented(datasets: Iterable[str]) -> str:
    return ', '.join(
        f'{name} with T = {TIMESTEPS[name]} at rate {RATES[name]:g}' for name in datasets
    )


def _tested(network, timesteps: int, data: Data) -> float:
    return measure(network, data.test_pixels, data.test_labels, timesteps).accuracy


def run(plan: Plan, runner: Runner) -> tuple[list[Section], dict[float, np.ndarray]]:
    """Sections, and (seeds, frames) of `first_frames` for each labelled share."""
    most = max(plan.neurons)
    few, hits = _few_frames(most, runner)
    return [
        _static(plan, runner),
        few,
        _by_class(plan, most, runner),
        _switched(plan, most, runner),
    ], hits


def _static(plan: Plan, runner: Runner) -> Section:
    cells = {
        case: [Cell(setting(*case), seed) for seed in plan.seeds_for(case[0])]
        for case in product(plan.neurons, (True, False), plan.datasets)
    }
    accuracies = {
        case: [each.inference.accuracy for each in outcomes]
        for case, outcomes in runner.outcomes(cells, lambda case: case[2], plan).items()
    }
    claims = [
        Claim(
            f'accuracy, {GUIDANCE[guided]}, {name}, N = {neurons}, worst seed',
            100 * min(values),
            '%',
            *ACCURACY.get((guided, name), ()),
        )
        for (neurons, guided, name), values in accuracies.items()
        if neurons == max(plan.neurons)
    ]
    few, most = min(plan.neurons), max(plan.neurons)
    if few < most:
        claims.append(
            Claim(
                f'accuracy gained from N = {few} to {most}, least',
                100
                * min(
                    np.mean(accuracies[most, guided, name]) - np.mean(accuracies[few, guided, name])
                    for guided, name in product((True, False), plan.datasets)
                ),
                '%',
                0,
                0,
            )
        )
    return Section(
        'Accuracy, recruiting rule',
        f'One pass over the training samples; {_presented(plan.datasets)}.',
        claims,
        [
            dict(neurons=neurons, labels=GUIDANCE[guided], dataset=name, accuracy=spread(values))
            for (neurons, guided, name), values in accuracies.items()
        ],
    )


def _by_class(plan: Plan, neurons: int, runner: Runner) -> Section:
    cases = list(product((True, False), plan.datasets))
    results = iter(
        runner.results(
            incremental_accuracy,
            [(plan, neurons, guided, name, seed) for guided, name in cases for seed in plan.seeds],
        )
    )
    accuracies = {case: [next(results) for _ in plan.seeds] for case in cases}
    return Section(
        'Classes that arrive one after another, recruiting rule',
        f'All samples of one class, then of the next; one pass, N = {neurons}; '
        f'{_presented(plan.datasets)}; tested on all classes at the end.',
        [
            Claim(
                f'class by class, {GUIDANCE[guided]}, {name}, worst seed',
                100 * min(values),
                '%',
                *INCREMENTAL.get((guided, name), ()),
            )
            for (guided, name), values in accuracies.items()
        ],
        [
            dict(labels=GUIDANCE[guided], dataset=name, accuracy=spread(values))
            for (guided, name), values in accuracies.items()
        ],
    )


def _few_frames(neurons: int, runner: Runner) -> tuple[Section, dict[float, np.ndarray]]:
    results = iter(
        runner.results(
            first_frames, [(neurons, share, seed) for share in LABELLED for seed in FEW_SEEDS]
        )
    )
    hits = {share: np.array([next(results) for _ in FEW_SEEDS]) for share in LABELLED}
    in_windows = {
        (share, name): hits[share][:, part].mean(axis=1)
        for share in LABELLED
        for name, part in WINDOWS.items()
    }
    promised = FEW if neurons == 400 else dict.fromkeys(FEW, ())
    return Section(
        'Learning from nothing, digits',
        f'Each of 1,797 digits is classified, then learned, once; N = {neurons}, '
        f'recruiting rule; {_presented(["digits"])}.',
        [
            Claim(
                f'{share:.0%} of the frames labelled, {name}, worst of {len(FEW_SEEDS)} seeds',
                100 * in_windows[share, name].min(),
                '%',
                *promised[share, name],
            )
            for share, name in FEW
        ],
        [
            dict(
                labelled=f'{share:.0%}',
                **{name: spread(in_windows[share, name]) for name in WINDOWS},
            )
            for share in LABELLED
        ],
    ), hits


def _switched(plan: Plan, neurons: int, runner: Runner) -> Section:
    cases = list(product(RULES, plan.datasets))
    results = iter(
        runner.results(
            switched_losses,
            [
                (plan, replace(RULES[rule], neurons=neurons), name, seed, SWITCHED[rule])
                for rule, name in cases
                for seed in plan.seeds
            ],
        )
    )
    losses = {case: 100 * np.array([next(results) for _ in plan.seeds]) for case in cases}
    return Section(
        'One network, T switched at random',
        f'Every {SWITCH_EVERY} samples or more often; N = {neurons}; '
        'tested at every T without labelling anew, against networks that learned at that T.',
        [
            Claim(
                f'switched T, {rule}, {name}, accuracy lost at the worst T, mean of seeds',
                values.mean(axis=0).max(),
                'points',
                1.5,
                0.3,
            )
            for (rule, name), values in losses.items()
        ],
        [
            dict(
                rule=rule,
                dataset=name,
                **{
                    'points lost at each T, and by the worst seed': ', '.join(
                        f'T {t}: {column.mean():.1f} ({column.max():.1f})'
                        for t, column in zip(SWITCHED[rule], values.T)
                    )
                },
            )
            for (rule, name), values in losses.items()
        ],
    )
