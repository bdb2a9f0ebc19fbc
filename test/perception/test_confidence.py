"""How likely a prediction is right, learned from frames that get a label."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topspark_ros.perception.confidence import Confidence, ConfidenceError


def stream(frames: int, seed: int = 0, share_right: float = 0.8):
    """Predictions, right or wrong: of the right ones evidence is more, and novelty is usual."""
    random = np.random.default_rng(seed)
    for _ in range(frames):
        right = bool(random.random() < share_right)
        evidence = random.normal(6 if right else 1, 2)
        yield evidence, math.exp(random.normal(0, 0.2)), right


def taught(frames: int = 400, share_right: float = 0.8) -> Confidence:
    """Of a stream, each frame of which is judged without its class, too: then it is novel."""
    confidence = Confidence()
    for evidence, novelty, right in stream(frames, share_right=share_right):
        confidence.learn(evidence, novelty, right)
        confidence.pretend(evidence / 2, 3 * novelty)
    return confidence


def test_it_is_a_probability_that_holds():
    confidence = taught()
    found = [(confidence.of(*judged), right) for *judged, right in stream(2000, seed=1)]
    values, right = np.array(found).T
    assert 0 <= values.min() < 0.3 and 0.9 < values.max() <= 1
    for low, high in ((0, 0.5), (0.5, 0.9), (0.9, 1)):
        within = (values >= low) & (values <= high)
        assert values[within].mean() == pytest.approx(right[within].mean(), abs=0.12)


def test_it_follows_a_stream_that_becomes_easier():
    confidence = Confidence()
    means = []
    for share_right in (0.3, 0.95):
        for evidence, novelty, right in stream(200, share_right=share_right):
            confidence.learn(evidence, novelty, right)
        means.append(confidence.of(3.0, 1.0))
    assert means[0] < means[1] - 0.2


def test_what_is_like_no_class_is_hardly_right_whatever_the_evidence():
    confidence = taught()
    usual, novel = (confidence.of(6.0, novelty) for novelty in (1.0, 5.0))
    assert usual > 0.9 and novel < usual - 0.3


def test_that_is_learned_of_frames_judged_without_their_class():
    """All of the labelled ones were of a class that was known, and right."""
    without, made = Confidence(), Confidence()
    for evidence, novelty, _ in stream(300, share_right=1.0):
        for each in without, made:
            each.learn(evidence, novelty, True)
        made.pretend(evidence, 2 * novelty)

    def difference(confidence):
        return math.log(
            (1 - confidence.of(5.0, 2.0)) / (1 - confidence.of(5.0, 1.0))
        )  # of the doubts

    assert difference(made) > difference(without) + 1


def test_evidence_alone_is_enough():
    """A network may not tell its novelty."""
    confidence = Confidence()
    for evidence, _, right in stream(300):
        confidence.learn(evidence, math.nan, right)
    assert confidence.of(0.0, math.nan) < 0.5 < confidence.of(8.0, math.nan)


def test_without_a_prediction_there_is_none():
    confidence = Confidence()
    confidence.learn(math.nan, math.nan, False)
    confidence.pretend(math.nan, math.nan)
    assert math.isnan(confidence.of(math.nan, math.nan))
    assert confidence.numbers() == Confidence().numbers()


@pytest.mark.parametrize('evidence', [-math.inf, math.inf, -690.0, 690.0])
@pytest.mark.parametrize('novelty', [0.0, 1e-30, 1e30, math.inf])
def test_any_grounds_give_a_probability(evidence, novelty):
    confidence = taught(50)
    for right in (True, False):
        confidence.learn(evidence, novelty, right)
        confidence.pretend(evidence, novelty)
        assert 0 <= confidence.of(evidence, novelty) <= 1
    assert np.isfinite(confidence.numbers()).all()


def test_it_goes_on_where_it_was_kept():
    confidence = taught(100)
    other = Confidence(confidence.numbers())
    for evidence, novelty, right in stream(50, seed=2):
        assert other.of(evidence, novelty) == confidence.of(evidence, novelty)
        for each in confidence, other:
            each.learn(evidence, novelty, right)
    assert other.numbers() == confidence.numbers()


@pytest.mark.parametrize(
    'numbers', [(1.0,), Confidence().numbers()[:-1], (*Confidence().numbers()[:-1], 0.0)]
)
def test_numbers_of_something_else_are_refused(numbers):
    message = f'^confidence is {len(numbers)} numbers, accepted are 21 that are finite'
    with pytest.raises(ConfidenceError, match=message):
        Confidence(numbers)
