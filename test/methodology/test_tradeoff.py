"""The score and the candidates that it ranks."""

from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.methodology.tradeoff import (
    Candidates, enumerate_candidates, pareto_front, score_candidates,
)


def row_of(candidates, training, inference, learning=True):
    return int(np.flatnonzero(
        (candidates.training_timesteps == training) & (candidates.learning == learning)
        & (candidates.inference_timesteps == inference))[0])


def test_candidates(profile):
    candidates = enumerate_candidates(profile, learned_share=0.5)
    assert len(candidates.learning) == 4 * 4 + 4 and candidates.learning.sum() == 16
    row = row_of(candidates, 16, 64)
    assert candidates.accuracy[row] == pytest.approx(0.92)
    assert candidates.latency_s[row] == pytest.approx(0.010)
    assert candidates.frame_time_s[row] == pytest.approx(0.010 + 0.5 * 0.006)
    assert candidates.energy_j[row] == pytest.approx(0.100 + 0.5 * 0.045)
    row = row_of(candidates, 4, 64, learning=False)
    assert candidates.accuracy[row] == pytest.approx(0.96)
    assert candidates.frame_time_s[row] == pytest.approx(0.010)
    assert candidates.energy_j[row] == pytest.approx(0.100)


def test_score_is_that_of_the_paper(profile):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    score = score_candidates(candidates, mu=0.1, epsilon=0.2)
    assert score[row_of(candidates, 350, 350)] == pytest.approx(0.97 - 0.1 - 0.2)
    assert score[row_of(candidates, 16, 64)] == pytest.approx(
        0.92 - 0.1 * 0.016 / 0.150 - 0.2 * 0.145 / 1.250)


@pytest.mark.parametrize('mu, epsilon, best', [(0, 0, 350), (0.02, 0.02, 64), (0, 20, 4)])
def test_weights_move_the_choice(profile, mu, epsilon, best):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    score = np.where(candidates.learning, score_candidates(candidates, mu, epsilon), -np.inf)
    assert candidates.inference_timesteps[score.argmax()] == best


def test_a_profile_without_costs_is_scored_by_accuracy(profile):
    point = profile.points[0]
    free = replace(point.inference, accuracy=0.9, latency_s=0.0, energy_j=0.0)
    profile = replace(profile, points=(replace(point, inference=free, training=free),))
    candidates = enumerate_candidates(profile, learned_share=1.0)
    assert score_candidates(candidates, 1, 1).tolist() == pytest.approx([0.9, 0.9])


def test_the_front_is_what_no_other_pair_beats(profile):
    candidates = enumerate_candidates(profile, learned_share=0.7)
    front = pareto_front(candidates)
    pairs = np.flatnonzero(candidates.learning)
    accuracy, energy_j = candidates.accuracy, candidates.energy_j
    unbeaten = [row for row in pairs if not any(
        accuracy[other] >= accuracy[row] and energy_j[other] <= energy_j[row]
        and (accuracy[other], energy_j[other]) != (accuracy[row], energy_j[row])
        for other in pairs)]
    assert sorted(front) == unbeaten and 4 <= len(front) < len(pairs)
    assert (np.diff(energy_j[front]) > 0).all() and (np.diff(accuracy[front]) > 0).all()


def test_of_equals_the_front_has_one():
    equal = Candidates(*(np.array(column) for column in (
        [2, 4, 4], [2, 2, 4], [True] * 3, [0.9, 0.9, 0.8], [1.0] * 3, [1.0] * 3, [1.0, 1.0, 0.5])))
    assert pareto_front(equal).tolist() == [2, 0]
