"""Real event cameras: what moves, by spiking features and the discriminant, beside peers."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from topspark_ros.engine import DiscriminantConfig, Network, NetworkConfig, create_network
from topspark_ros.perception.learner_parameters import EVENT_SIDE
from topspark_ros.streams.events import EventViewer

from ..recordings import Recordings, load_recordings
from .common import Claim, Plan, Runner, Section, spread

WINDOW_US = 100_000
TIMESTEPS = (1, 2, 3, 4, 8, 16, 64)
SHOWN = 4  # T that accuracy is claimed at
SINGLE_LAYER_T = 8
PARTS = 'nmnist', 'dvs, session 1 learned', 'dvs, session 2 learned'
ACCURACY = {'nmnist': (93, 97)} | dict.fromkeys(PARTS[1:], (92, 97))  # bound and aim, percent


@cache
def windows(name: str) -> tuple[Recordings, np.ndarray]:
    """The windows of a data set, and the pictures of what moves in them."""
    data = load_recordings(name, WINDOW_US)
    viewer = EventViewer(data.side, data.side, size=EVENT_SIDE, as_picture=True, whole=True)
    return data, np.stack([view.presented(SHOWN) for view in data.shown(viewer)])


def parts(part: str) -> tuple[Recordings, np.ndarray, np.ndarray, np.ndarray]:
    """Windows, their pictures, which of them are learned, and which are for testing."""
    data, pictures = windows('nmnist' if part == 'nmnist' else 'dvs_objects')
    learned, tested = np.flatnonzero(~data.tested), np.flatnonzero(data.tested)
    return data, pictures, *((tested, learned) if part == PARTS[2] else (learned, tested))


def right(data: Recordings, tested: np.ndarray, scores: np.ndarray, part: str) -> float:
    """Share of what is classified rightly: of digits the recordings, by the sum of the scores of
    their windows; of objects the windows."""
    labels = data.labels[tested]
    if part == 'nmnist':
        recordings, own = np.unique(data.recording[tested], return_inverse=True)
        sums = np.zeros((len(recordings), scores.shape[1]))
        np.add.at(sums, own, scores)
        firsts = np.searchsorted(data.recording[tested], recordings)
        scores, labels = sums, labels[firsts]
    return float(np.mean(scores.argmax(axis=1) == labels))


def learned(network: Network, samples: list, labels: np.ndarray, seed: int) -> Network:
    """The network after one pass at SHOWN steps, in the order of the seed."""
    for each in np.random.default_rng(seed).permutation(len(samples)):
        network.learn(samples[each], SHOWN, int(labels[each]))
    return network


def accuracy_by_t(part: str, seed: int) -> dict[int, float]:
    data, pictures, taught, tested = parts(part)
    network = create_network(DiscriminantConfig(EVENT_SIDE, 1, clutter=0.0))
    learned(network, list(pictures[taught]), data.labels[taught], seed)
    return {
        timesteps: right(data, tested, network.infer_many(pictures[tested], timesteps).scores, part)
        for timesteps in TIMESTEPS
    }


def single_layer(part: str, seed: int) -> float:
    """Of the recruiting rule, which sees spikes, at SINGLE_LAYER_T steps."""
    data, _, taught, tested = parts(part)
    viewer = EventViewer(data.side, data.side)
    trains = [view.presented(SINGLE_LAYER_T) for view in data.shown(viewer)]
    network = create_network(NetworkConfig(seed=seed))
    for each in np.random.default_rng(seed).permutation(taught):
        network.learn(trains[each], SINGLE_LAYER_T, int(data.labels[each]))
    scores = np.stack([network.infer(trains[each], SINGLE_LAYER_T).scores for each in tested])
    return right(data, tested, scores, part)


def peers(part: str) -> dict[str, float]:
    """Of what a user would take instead, on the same pictures, all at once."""
    data, pictures, taught, tested = parts(part)
    found = {}
    for peer, model in (
        ('1-NN', KNeighborsClassifier(1)),
        ('random forest, 200 trees', RandomForestClassifier(200, random_state=0)),
        ('RBF-SVM, C = 10', SVC(C=10, probability=True, random_state=0)),
    ):
        model.fit(pictures[taught], data.labels[taught])
        found[peer] = right(data, tested, model.predict_proba(pictures[tested]), part)
    return found


def run(plan: Plan, runner: Runner) -> Section | None:
    """None in a quick run."""
    if 'digits' in plan.datasets:
        return None
    cases = [(part, seed) for part in PARTS for seed in plan.seeds]
    found = dict(zip(cases, runner.results(accuracy_by_t, cases)))
    single = dict(zip(cases, runner.results(single_layer, cases)))
    others = runner.results(peers, [(part,) for part in PARTS])
    claims = [
        Claim(
            f'features and discriminant, {part}, T = {SHOWN}, mean',
            100 * float(np.mean([found[part, seed][SHOWN] for seed in plan.seeds])),
            '%',
            *ACCURACY[part],
        )
        for part in PARTS
    ]
    rows = [
        {
            'recordings': part,
            **{
                f'T = {each} [%]': spread([found[part, seed][each] for seed in plan.seeds])
                for each in TIMESTEPS
            },
            f'single layer, T = {SINGLE_LAYER_T} [%]': spread(
                [single[part, seed] for seed in plan.seeds]
            ),
            **{f'{peer} [%]': 100 * accuracy for peer, accuracy in other.items()},
        }
        for part, other in zip(PARTS, others)
    ]
    return Section(
        'Event cameras',
        f'Windows of {WINDOW_US / 1e6:g} s of real recordings, each learned once with its label. '
        'nmnist: 600 digits learned, 100 tested; the scores of the three windows of a recording '
        'are added. dvs: three objects that turn, learned in one session and tested in the other, '
        f'each window by itself. {len(plan.seeds)} seeds: the order of the windows.',
        claims,
        rows,
    )
