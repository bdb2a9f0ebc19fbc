"""Whether it knows what it does not know, and what is gained by asking.

    python -m benchmarks.knowing

Digits of scikit-learn, and objects of ETH-80 and COIL-100 in colour. The default network and the
learner's own confidence and questions, T = 4, one pass over the training part; five seeds, which
choose the order of frames and what is taught.

Unknown: half of the classes are taught, and all of the test part is shown. AUROC of known against
unknown classes by the confidence; the expected calibration error of the confidence in 15 equal
bins, of the known part of the test and of the stream itself, each frame before it was learned; and
the shares of both that are called unknown with the default threshold.

Asking: all classes are shown, and 10 % of the frames get their label because they were asked about,
which is answered at once; beside 10, 20 and 40 % labelled at random. The pass takes an hour of
stamps. Accuracy on the test part at the end.

Settings were chosen on parts of the training pictures. Needs TOPSPARK_DATA.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from topspark_ros.engine import DiscriminantConfig, Network, Response, create_network
from topspark_ros.perception.confidence import Confidence
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.questions import HOUR_NS, Questions

from .photographs import Photographs
from .reproduce.objects import pictures

SETS = 'digits', 'eth80', 'coil100'
SEEDS = range(5)
TIMESTEPS = 4
BINS = 15
THRESHOLD = SnnLearnerParameters().unknown_threshold
ASKED = 0.1  # of the frames
AT_RANDOM = 0.1, 0.2, 0.4


class Learner:
    """A network, and what it knows of its confidence; as the online learner has them."""

    def __init__(self, data: Photographs):
        self.network: Network = create_network(DiscriminantConfig(data.side, data.channels))
        self._confidence = Confidence()

    def confidence(self, response: Response) -> float:
        """0 where there is no prediction."""
        found = self._confidence.of(response.evidence, response.novelty)
        return 0.0 if math.isnan(found) else found

    def classify(self, picture: np.ndarray) -> Response:
        return self.network.infer(picture, TIMESTEPS)

    def learn(self, picture: np.ndarray, label: int, response: Response) -> None:
        """response: of its classification."""
        right = response.predicted == label
        self._confidence.learn(response.evidence, response.novelty, right)
        learned = self.network.learn(picture, TIMESTEPS, label)
        self._confidence.pretend(learned.evidence, learned.novelty)


def calibration_error(confidences: np.ndarray, right: np.ndarray) -> float:
    """Expected, of equal bins (Guo et al. 2017), 0..1."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return sum(
        (bins == each).mean() * abs(confidences[bins == each].mean() - right[bins == each].mean())
        for each in set(bins.tolist())
    )


def knowing(data: Photographs, seed: int) -> dict[str, float]:
    """One run with half of the classes."""
    random = np.random.default_rng(seed)
    classes = random.permutation(data.training_labels.max() + 1)
    taught = classes[: len(classes) // 2]
    learner = Learner(data)
    stream = []
    for index in random.permutation(np.flatnonzero(np.isin(data.training_labels, taught))):
        picture, label = data.training[index], int(data.training_labels[index])
        response = learner.classify(picture)
        stream.append((learner.confidence(response), response.predicted == label))
        learner.learn(picture, label, response)
    answers = [learner.classify(picture) for picture in data.test]
    confidences = np.array([learner.confidence(answer) for answer in answers])
    predicted = np.array([answer.predicted for answer in answers])
    known = np.isin(data.test_labels, taught)
    right = predicted == data.test_labels
    return {
        'AUROC': roc_auc_score(known, confidences),
        'known right': right[known].mean(),
        'ECE, known': calibration_error(confidences[known], right[known]),
        'ECE, stream': calibration_error(*np.array(stream, float).T),
        'known called unknown': (confidences[known] < THRESHOLD).mean(),
        'unknown called unknown': (confidences[~known] < THRESHOLD).mean(),
    }


def asking(data: Photographs, seed: int, share: float, by_questions: bool) -> tuple[float, float]:
    """One run: accuracy at the end, and the share of the frames that was labelled."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(data.training_labels))
    budget = round(share * len(order))
    at_random = set(random.choice(order, budget, replace=False).tolist())
    questions = Questions(budget)
    learner = Learner(data)
    labelled = 0
    for number, index in enumerate(order):
        picture, label = data.training[index], int(data.training_labels[index])
        if by_questions:
            response = learner.classify(picture)
            stamp_ns = 1 + number * HOUR_NS // len(order)
            grounds = response.evidence, response.novelty
            wanted = questions.ask(stamp_ns, *grounds, picture, picture.size)
        elif wanted := index in at_random:
            response = learner.classify(picture)
        if wanted:
            labelled += 1
            learner.learn(picture, label, response)
    predicted = learner.network.infer_many(data.test, TIMESTEPS).predicted
    return float(np.mean(predicted == data.test_labels)), labelled / len(order)


def told(values: Sequence[float], worst: Callable = min) -> str:
    """Shares as percent: mean and worst."""
    return f'{100 * np.mean(values):.1f} ({100 * worst(values):.1f})'


def row(*cells: object) -> None:
    print('|', ' | '.join(map(str, cells)), '|', flush=True)


def main() -> int:
    worst = {'AUROC': min, 'known right': min, 'unknown called unknown': min}
    head = False
    for name in SETS:
        runs = [knowing(pictures(name), seed) for seed in SEEDS]
        if not head:
            row('%, mean (worst)', *runs[0])
            row(*['---'] * (1 + len(runs[0])))
            head = True
        row(
            name,
            *(told([run[what] for run in runs], worst.get(what, max)) for what in runs[0]),
        )
    print()
    kinds = [(share, False) for share in AT_RANDOM] + [(ASKED, True)]
    row(
        '%, mean (worst)',
        *(f'{100 * share:.0f} % {"asked" if asks else "at random"}' for share, asks in kinds),
        'frames asked',
        *(f'asked less {100 * share:.0f} %' for share in AT_RANDOM[1:]),
    )
    row(*['---'] * (2 + len(kinds) + len(AT_RANDOM[1:])))
    for name in SETS:
        found = {kind: [asking(pictures(name), seed, *kind) for seed in SEEDS] for kind in kinds}
        right = {kind: np.array([accuracy for accuracy, _ in found[kind]]) for kind in kinds}
        asked = right[ASKED, True]
        row(
            name,
            *(told(right[kind]) for kind in kinds),
            told([share for _, share in found[ASKED, True]], max),
            *(told(asked - right[share, False]) for share in AT_RANDOM[1:]),
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
