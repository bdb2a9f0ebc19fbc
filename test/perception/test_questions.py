"""Which frames are asked about: few unfamiliar ones, that look different."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topspark_ros.engine import SpikeTrain
from topspark_ros.perception.questions import HOUR_NS, LATELY, Questions

INPUTS = 64
SECOND = 1_000_000_000


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """That look different."""
    return np.random.default_rng(seed).random((count, INPUTS), np.float32)


def asked(
    questions: Questions,
    evidence,
    rate_hz: float,
    shown=None,
    begin_ns: int = SECOND,
    novelties=None,
):
    """The numbers of the frames that are asked about, of a camera of this rate."""
    shown = pictures(len(evidence)) if shown is None else shown
    novelties = [math.nan] * len(evidence) if novelties is None else novelties
    return [
        number
        for number, (*grounds, picture) in enumerate(zip(evidence, novelties, shown))
        if questions.ask(begin_ns + round(number * 1e9 / rate_hz), *grounds, picture, INPUTS)
    ]


def test_the_first_frame_is_asked_about():
    assert asked(Questions(12), [math.nan], 1) == [0]  # without a prediction


def test_what_is_familiar_is_not_asked_about():
    assert asked(Questions(12), [50.0, 600.0] * 50, 1) == []


def test_nothing_is_asked_where_nothing_may():
    assert asked(Questions(0), [math.nan, 0.0], 1) == []


def test_no_label_could_name_a_frame_without_a_stamp():
    assert not Questions(12).ask(0, math.nan, math.nan, pictures(1)[0], INPUTS)


@pytest.mark.parametrize('rate_hz', [0.1, 1.0, 10.0])
def test_there_are_never_more_within_an_hour(rate_hz):
    questions = Questions(5)
    frames = round(3 * 3600 * rate_hz)
    shown = np.tile(pictures(500), (-(-frames // 500), 1))[:frames]
    numbers = np.array(asked(questions, [math.nan] * frames, rate_hz, shown))
    times_s = numbers / rate_hz
    for time_s in times_s:
        assert ((times_s >= time_s) & (times_s < time_s + 3600)).sum() <= 5
    assert len(numbers) > 8  # over three hours


def test_those_with_least_evidence_are_asked_about():
    evidence = np.random.default_rng(1).uniform(0, 50, 3600)
    numbers = asked(Questions(100), evidence, 1.0)
    assert 60 < len(numbers) <= 100
    late = [number for number in numbers if number > 600]
    assert np.mean(evidence[late]) < 10


@pytest.mark.parametrize('usual', [0.1, 10.0])
def test_those_that_are_more_novel_than_usual_are_asked_about(usual):
    novelties = usual * np.exp(np.random.default_rng(1).normal(0, 0.3, 3600))
    numbers = asked(Questions(100), np.full(3600, 10.0), 1.0, novelties=novelties)
    assert 60 < len(numbers) <= 100
    late = [number for number in numbers if number > 600]
    assert np.mean(novelties[late]) > 1.5 * usual


def test_what_looks_the_same_is_asked_about_once():
    still = pictures(1)[0] + np.random.default_rng(0).normal(0, 0.01, (200, INPUTS))
    assert asked(Questions(100), [math.nan] * 200, 10.0, still.astype(np.float32)) == [0]


def test_spikes_look_the_same_or_not_as_well():
    questions = Questions(100)
    random = np.random.default_rng(0)
    one, other = (np.sort(random.integers(0, 8, 300)) for _ in range(2))

    def ask(second, low, steps):
        neurons = np.random.default_rng(low).integers(low, low + 20, 300)
        return questions.ask(
            second * SECOND, math.nan, math.nan, SpikeTrain(steps, neurons), INPUTS
        )

    assert ask(1, 0, one)
    assert not ask(2, 0, other)  # as many from each input
    assert ask(3, 30, one)


def test_what_was_asked_long_ago_may_be_asked_again():
    shown = pictures(LATELY + 1)
    questions = Questions(1000)
    assert asked(questions, [math.nan] * (LATELY + 1), 0.01, shown) == list(range(LATELY + 1))
    assert questions.ask(HOUR_NS, math.nan, math.nan, shown[0], INPUTS)


def test_a_clock_that_was_set_back_begins_anew():
    questions = Questions(3)
    shown = pictures(40)
    first = asked(questions, [math.nan] * 20, 1.0, shown[:20], begin_ns=10 * HOUR_NS)
    assert len(first) == 3
    assert asked(questions, [math.nan] * 20, 1.0, shown[20:], begin_ns=SECOND)
