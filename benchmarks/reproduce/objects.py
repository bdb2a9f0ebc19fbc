"""Pictures of real objects: spiking features and the discriminant, beside what a user would pick.

One pass, each picture once; settings were chosen on parts of the training pictures.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import SVC

from topspark_ros.engine import DiscriminantConfig, Network, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j
from topspark_ros.streams.datasets import load_dataset

from ..backgrounds import before_photographs
from ..photographs import OBJECTS, Photographs, load_photographs, taught
from .common import Claim, Plan, Runner, Section, enlarged, full, load, spread

TIMESTEPS = (1, 2, 3, 4, 8, 16, 64)
SHOWN = 4  # T that accuracy is claimed at
IMAGES = ('mnist', 'fashion_mnist')
NOISE = 38.0  # standard deviation, grey levels
TABLE = ENERGY_TABLES['loihi']

# Bound and aim, percent.
ACCURACY = {
    'mnist': (97.5, 98.8),
    'fashion_mnist': (88, 90),
    'eth80': (87, 92),
    'eth80_instance': (86, 93),
    'grocery': (42, 50),
    'coil100': (99.5, 99.9),
}
# Objects before photographs: learned as they are; learned before other photographs.
UNSEEN, SEEN = 'photographs never seen', 'photographs, others learned'
BACKGROUNDS = {
    'mnist': {UNSEEN: (68, 90), SEEN: (95, 97)},
    'eth80_instance': {UNSEEN: (15, 60), SEEN: (45, 70)},
}
NOISY = {'mnist': (92, 96), 'eth80_instance': (55, 75)}
FEW = {
    'digits': {1: (60, 66), 5: (90, 91), 20: (96, 97)},
    'eth80_instance': {1: (18, 20), 5: (60, 63), 20: (82, 85)},
}
FIRST = {'frames 401-600': (97.5, 98.5), 'last 200 frames': (98, 99)}
WINDOWS = {'frames 401-600': slice(400, 600), 'last 200 frames': slice(-200, None)}


@cache
def pictures(name: str) -> Photographs:
    """A set by its name; the digits of scikit-learn have no test part of their own."""
    if name in OBJECTS:
        return load_photographs(name)
    if name == 'digits':
        digits = load_dataset('digits')
        shown = enlarged(digits.images.reshape(len(digits.labels), -1))
        order = np.random.default_rng(0).permutation(len(shown))
        learned, tested = np.split(order, [1300])
        labels = digits.labels.astype(np.int64)
        return Photographs(
            name, 28, 1, shown[learned], labels[learned], shown[tested], labels[tested]
        )
    data = load(name, full().samples)
    return Photographs(
        name,
        28,
        1,
        data.training_pixels,
        data.training_labels.astype(np.int64),
        data.test_pixels,
        data.test_labels.astype(np.int64),
    )


def learned(name: str, seed: int, by_class: bool = False, before_others: bool = False) -> Network:
    """A network that has seen each training picture once, in the order of the seed, by class or
    not; before photographs or not."""
    data = pictures(name)
    if before_others:
        data = replace(data, training=before_photographs(data, data.training, 'learning', seed))
    return taught(DiscriminantConfig(data.side, data.channels), data, SHOWN, seed, by_class)


def accuracy(network: Network, shown: np.ndarray, data: Photographs, timesteps: int) -> float:
    """shown: the test pictures, in some way."""
    return float(np.mean(network.infer_many(shown, timesteps).predicted == data.test_labels))


def case(name: str, seed: int) -> dict:
    """Everything of one set and seed: accuracy at each T, class by class, with noise, before
    photographs; spikes and energy at each T."""
    data, network = pictures(name), learned(name, seed)
    found: dict = {'accuracy': {}, 'energy_j': {}, 'spikes': {}}
    for each in TIMESTEPS:
        responses = network.infer_many(data.test, each)
        found['accuracy'][each] = float(np.mean(responses.predicted == data.test_labels))
        counts = responses.total_counts()
        found['energy_j'][each] = estimate_energy_j(counts, TABLE) / len(data.test)
        found['spikes'][each] = counts.input_spikes / len(data.test)
    found['by class'] = accuracy(learned(name, seed, by_class=True), data.test, data, SHOWN)
    noise = np.random.default_rng(seed).normal(0, NOISE, data.test.shape)
    noisy = np.clip(np.rint(data.test + noise), 0, 255).astype(np.uint8)
    found['noisy'] = accuracy(network, noisy, data, SHOWN)
    if name in BACKGROUNDS:
        shown = before_photographs(data, data.test, 'test', seed)
        found[UNSEEN] = accuracy(network, shown, data, SHOWN)
        found[SEEN] = accuracy(learned(name, seed, before_others=True), shown, data, SHOWN)
    return found


def few_frames(name: str, seed: int) -> dict[int, float]:
    """Accuracy by the number of training pictures of each class."""
    data = pictures(name)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))
    found = {}
    for number in FEW[name]:
        chosen = np.concatenate(
            [
                order[data.training_labels[order] == each][:number]
                for each in np.unique(data.training_labels)
            ]
        )
        network = create_network(DiscriminantConfig(data.side, data.channels))
        network.learn_many(data.training[chosen], SHOWN, data.training_labels[chosen])
        found[number] = accuracy(network, data.test, data, SHOWN)
    return found


def first_frames(seed: int) -> dict[str, float]:
    """Digits from nothing, each classified and then learned."""
    data = pictures('digits')
    shown = np.concatenate((data.training, data.test))
    labels = np.concatenate((data.training_labels, data.test_labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    network = create_network(DiscriminantConfig(data.side, data.channels))
    right = network.learn_many(shown[order], SHOWN, labels[order]).predicted == labels[order]
    return {name: float(right[window].mean()) for name, window in WINDOWS.items()}


def peers(name: str) -> dict[str, float]:
    """Accuracy of what a user would take instead, on pixels of 0 to 1: the first four see each
    picture once, the others all of them at once."""
    data = pictures(name)
    order = np.random.default_rng(0).permutation(len(data.training_labels))
    learned_pixels, tested_pixels = (
        shown.astype(np.float32) / 255 for shown in (data.training[order], data.test)
    )
    labels = data.training_labels[order]
    found = {}
    for peer, model in (
        ('1-NN', KNeighborsClassifier(1)),
        ('class mean', NearestCentroid()),
        ('SGD, logistic, one pass', SGDClassifier(loss='log_loss', max_iter=1, tol=None)),
        ('random forest, 200 trees', RandomForestClassifier(200, random_state=0)),
        ('RBF-SVM, C = 10', SVC(C=10)),
    ):
        model.fit(learned_pixels, labels)
        found[peer] = float(model.score(tested_pixels, data.test_labels))
    found['streaming LDA'] = _streaming_lda(
        _small(learned_pixels, data), labels, _small(tested_pixels, data), data.test_labels
    )
    return found


def _small(pixels: np.ndarray, data: Photographs) -> np.ndarray:
    """Pictures of 16 x 16 pixels, for a covariance of all of them."""
    shape = data.side, data.side, data.channels
    return np.stack(
        [
            cv2.resize(each.reshape(shape), (16, 16), interpolation=cv2.INTER_AREA).reshape(-1)
            for each in pixels
        ]
    )


def _streaming_lda(
    learned_pixels: np.ndarray, labels: np.ndarray, tested: np.ndarray, expected: np.ndarray
) -> float:
    """Hayes and Kanan 2020; its running covariance is the same whether it is made at once."""
    means = np.stack([learned_pixels[labels == each].mean(axis=0) for each in np.unique(labels)])
    deviations = (learned_pixels - means[labels]).astype(np.float64)
    covariance = deviations.T @ deviations / len(labels)
    size = len(covariance)
    shrunk = 0.99 * covariance + 0.01 * np.trace(covariance) / size * np.eye(size)
    weights = np.linalg.solve(shrunk, means.T)
    scores = tested @ weights - np.einsum('cd,dc->c', means, weights) / 2
    return float(np.mean(scores.argmax(axis=1) == expected))


def run(plan: Plan, runner: Runner) -> tuple[Section, dict[str, dict[int, float]]]:
    """The section, and of each set the accuracy at each T, mean over the seeds, 0..1.

    Of the sets of the plan; photographs and peers where the plan is a full one.
    """
    is_full = 'digits' not in plan.datasets
    names = (*IMAGES, *OBJECTS) if is_full else plan.datasets
    others = dict(zip(names, runner.results(peers, [(name,) for name in names]))) if is_full else {}
    results = runner.results(case, [(name, seed) for name in names for seed in plan.seeds])
    cases = {
        name: results[n * len(plan.seeds) :][: len(plan.seeds)] for n, name in enumerate(names)
    }
    firsts = runner.results(first_frames, [(seed,) for seed in plan.seeds])
    few = {
        name: runner.results(few_frames, [(name, seed) for seed in plan.seeds])
        for name in FEW
        if name == 'digits' or name in names
    }
    claims = [claim for name in names for claim in _claims(name, cases[name])]
    claims += [
        Claim(
            f'features and discriminant, digits from nothing, {window}, worst seed',
            100 * min(first[window] for first in firsts),
            '%',
            *FIRST[window],
        )
        for window in WINDOWS
    ]
    claims += [
        Claim(
            f'features and discriminant, {name}, {number} a class, mean',
            100 * float(np.mean([found[number] for found in few[name]])),
            '%',
            *FEW[name][number],
        )
        for name in few
        for number in FEW[name]
    ]
    curves = {
        name: {
            each: float(np.mean([found['accuracy'][each] for found in cases[name]]))
            for each in TIMESTEPS
        }
        for name in names
    }
    section = Section(
        'Objects',
        'A layer of spiking features and a discriminant, each training picture seen once and '
        f'learned with its label. One network serves every T. {len(plan.seeds)} seeds: the order '
        'of the pictures. Energy is estimated.',
        claims,
        [_row(name, found, others.get(name, {})) for name, found in cases.items()],
    )
    return section, curves


def _claims(name: str, cases: list[dict]) -> list[Claim]:
    shown = [found['accuracy'][SHOWN] for found in cases]
    claims = [
        Claim(
            f'features and discriminant, {name}, T = {SHOWN}, mean',
            100 * float(np.mean(shown)),
            '%',
            *ACCURACY.get(name, ()),
        ),
        Claim(
            f'features and discriminant, {name}, lost class by class, worst seed',
            100 * max(found['accuracy'][SHOWN] - found['by class'] for found in cases),
            'points',
            0.5,
            0.1,
        ),
    ]
    if name in NOISY:
        claims.append(
            Claim(
                f'features and discriminant, {name}, noise of {NOISE:g} grey levels, mean',
                100 * float(np.mean([found['noisy'] for found in cases])),
                '%',
                *NOISY[name],
            )
        )
    claims += [
        Claim(
            f'features and discriminant, {name}, before {what}, mean',
            100 * float(np.mean([found[what] for found in cases])),
            '%',
            *promised,
        )
        for what, promised in BACKGROUNDS.get(name, {}).items()
    ]
    return claims


def _row(name: str, cases: list[dict], others: dict[str, float]) -> dict:
    """Means over the seeds. others: accuracy of the peers."""
    energy_j, spikes = (
        {each: float(np.mean([found[what][each] for found in cases])) for each in TIMESTEPS}
        for what in ('energy_j', 'spikes')
    )
    return {
        'dataset': name,
        **{
            f'T = {each} [%]': spread([found['accuracy'][each] for found in cases])
            for each in TIMESTEPS
        },
        'class by class [%]': spread([found['by class'] for found in cases]),
        'noisy [%]': spread([found['noisy'] for found in cases]),
        **{
            f'{what} [%]': spread([found[what] for found in cases]) if what in cases[0] else ''
            for what in (UNSEEN, SEEN)
        },
        f'energy, T = {TIMESTEPS[-1]} / {TIMESTEPS[0]}': energy_j[TIMESTEPS[-1]]
        / energy_j[TIMESTEPS[0]],
        f'spikes, T = {TIMESTEPS[-1]} / {TIMESTEPS[0]}': spikes[TIMESTEPS[-1]]
        / spikes[TIMESTEPS[0]],
        f'energy, T = {SHOWN} [uJ]': 1e6 * energy_j[SHOWN],
        **{f'{peer} [%]': 100 * accuracy for peer, accuracy in others.items()},
    }
