"""The score and the candidates that it ranks."""

from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.methodology.tradeoff import (
    LEARNING_SHARES,
    SHARES,
    Candidates,
    enumerate_candidates,
    pareto_front,
    score_candidates,
)


def test_candidates(profile):
    candidates = enumerate_candidates(profile, learned_share=0.5)
    assert len(candidates) == 4 * 4 * 4 + 4 + len(SHARES) + 4 * (len(SHARES) - 1)
    assert candidates.whole.sum() == 16
    row = candidates.row(16, 64, 1.0, 1.0)
    assert candidates.accuracy[row] == pytest.approx(0.92)
    assert candidates.latency_s[row] == pytest.approx(0.010)
    assert candidates.frame_time_s[row] == pytest.approx(0.010 + 0.5 * 0.006)
    assert candidates.energy_j[row] == pytest.approx(0.100 + 0.5 * 0.045)
    row = candidates.row(4, 64, 0.0, 1.0)
    assert candidates.accuracy[row] == pytest.approx(0.96)
    assert candidates.frame_time_s[row] == pytest.approx(0.010)
    assert candidates.energy_j[row] == pytest.approx(0.100)


def test_fewer_frames_are_of_the_smallest_t_without_learning_or_with_all_learned(profile):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    assert (candidates.frame_share[:20] == 1).all()
    assert candidates.frame_share[20 : 20 + len(SHARES)].tolist() == list(SHARES)
    fewer = slice(20, 20 + len(SHARES))
    assert set(candidates.inference_timesteps[fewer]) == {4}
    assert not candidates.learning[16 : 20 + len(SHARES)].any()
    assert candidates.energy_j[fewer] == pytest.approx(0.010)  # of a frame that is processed
    for timesteps, energy_j in ((4, 0.015), (350, 0.750)):
        rows = [candidates.row(timesteps, 4, 1.0, share) for share in SHARES[:-1]]
        assert candidates.energy_j[rows] == pytest.approx(0.010 + energy_j)
    assert candidates.row(4, 4, 1.0, 0.0) is None and candidates.row(4, 16, 1.0, 0.8) is None


def test_fewer_learned_frames_cost_less(profile):
    candidates = enumerate_candidates(profile, learned_share=0.6)
    for share in LEARNING_SHARES:
        row = candidates.row(16, 64, share, 1.0)
        assert candidates.energy_j[row] == pytest.approx(0.100 + share * 0.6 * 0.045)
        assert candidates.frame_time_s[row] == pytest.approx(0.010 + share * 0.6 * 0.006)


def test_loss_of_training_is_against_the_best(profile):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    for timesteps, loss in ((4, 0.12), (64, 0.005), (350, 0.0)):
        assert candidates.training_loss[candidates.row(timesteps, 4, 0.5, 1.0)] == pytest.approx(
            loss
        )
    assert not candidates.training_loss[~candidates.learning].any()


def test_shares_fall_from_below_one_to_none():
    shares = np.array((1.0, *SHARES))
    assert (np.diff(shares) < 0).all() and shares[-1] == 0
    assert shares[1:-1] / shares[:-2] == pytest.approx(0.8)
    assert shares[-2] == pytest.approx(0.0115, abs=1e-4)


def test_row_is_found_by_its_setting(profile):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    settings = [
        (int(training), int(inference), float(learning), float(share))
        for training, inference, learning, share in zip(
            candidates.training_timesteps,
            candidates.inference_timesteps,
            candidates.learning_share,
            candidates.frame_share,
        )
    ]
    assert [candidates.row(*setting) for setting in settings] == list(range(len(candidates)))
    assert len(set(settings)) == len(settings)
    assert candidates.row(350, 16, 0.0, 1.0) == candidates.row(4, 16, 0.0, 1.0)
    for unknown in (
        (5, 16, 1.0, 1.0),
        (16, 5, 1.0, 1.0),
        (16, 16, 1.0, 0.8),
        (16, 16, 0.0, 0.8),
        (4, 4, 0.0, 0.7),
        (4, 4, 0.0, np.nan),
    ):
        assert candidates.row(*unknown) is None, unknown


def test_score_is_that_of_the_paper(profile):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    score = score_candidates(candidates, mu=0.1, epsilon=0.2)
    assert score[candidates.row(350, 350, 1.0, 1.0)] == pytest.approx(0.97 - 0.1 - 0.2)
    assert score[candidates.row(16, 64, 1.0, 1.0)] == pytest.approx(
        0.92 - 0.1 * 0.016 / 0.150 - 0.2 * 0.145 / 1.250
    )


@pytest.mark.parametrize('mu, epsilon, best', [(0, 0, 350), (0.02, 0.02, 64), (0, 20, 4)])
def test_weights_move_the_choice(profile, mu, epsilon, best):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    score = np.where(
        candidates.learning_share == 1, score_candidates(candidates, mu, epsilon), -np.inf
    )
    assert candidates.inference_timesteps[score.argmax()] == best


def test_a_profile_without_costs_is_scored_by_accuracy(profile):
    point = profile.points[0]
    free = replace(point.inference, accuracy=0.9, latency_s=0.0, energy_j=0.0)
    profile = replace(profile, points=(replace(point, inference=free, training=free),))
    candidates = enumerate_candidates(profile, learned_share=1.0)
    assert score_candidates(candidates, 1, 1) == pytest.approx(0.9)


def test_the_front_is_what_no_other_pair_beats(profile):
    candidates = enumerate_candidates(profile, learned_share=0.7)
    front = pareto_front(candidates)
    pairs = np.flatnonzero(candidates.whole)
    accuracy, energy_j = candidates.accuracy, candidates.energy_j
    unbeaten = [
        row
        for row in pairs
        if not any(
            accuracy[other] >= accuracy[row]
            and energy_j[other] <= energy_j[row]
            and (accuracy[other], energy_j[other]) != (accuracy[row], energy_j[row])
            for other in pairs
        )
    ]
    assert sorted(front) == unbeaten and 4 <= len(front) < len(pairs)
    assert (np.diff(energy_j[front]) > 0).all() and (np.diff(accuracy[front]) > 0).all()


def test_of_equals_the_front_has_one():
    equal = Candidates(
        *(
            np.array(column)
            for column in (
                [2, 4, 4],
                [2, 2, 4],
                [1.0] * 3,
                [1.0] * 3,
                [0.9, 0.9, 0.8],
                [0.0] * 3,
                [1.0] * 3,
                [0.6, 0.6, 0.1],
                [0.0] * 3,
                [0.4] * 3,
            )
        ),
        learned_share=1.0,
    )
    assert pareto_front(equal).tolist() == [2, 0]
