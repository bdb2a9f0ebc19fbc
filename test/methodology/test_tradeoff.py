"""The score and the candidates that it ranks."""

from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.methodology.profile import PhaseFigures
from topspark_ros.methodology.tradeoff import enumerate_candidates, score_candidates


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
    free = PhaseFigures(0.9, 0.0, 0.0)
    profile = replace(profile, points=(replace(profile.points[0], inference=free, training=free),))
    candidates = enumerate_candidates(profile, learned_share=1.0)
    assert score_candidates(candidates, 1, 1).tolist() == pytest.approx([0.9, 0.9])
