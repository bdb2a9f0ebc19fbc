"""The profile's accuracies, corrected by what the learner reports."""

import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.control.accuracy import (
    PRIOR_FRAMES,
    PRIOR_TRIALS,
    AccuracyReport,
    Trial,
    expected_accuracy,
    standard_errors,
)
from topspark_ros.control.budgets import Limits
from topspark_ros.control.policy import Conditions, PolicyConfig, TimestepPolicy
from topspark_ros.methodology.tradeoff import enumerate_candidates


@pytest.fixture
def candidates(profile):
    return enumerate_candidates(profile, learned_share=1.0)


def corrected(profile, candidates, report, in_force) -> dict[int, float]:
    """Expected accuracy by T of inference, without learning."""
    accuracy = expected_accuracy(profile, candidates, in_force, report)
    rows = ~candidates.learning & (candidates.frame_share == 1.0)
    return dict(zip(candidates.inference_timesteps[rows].tolist(), accuracy[rows].tolist()))


@pytest.mark.parametrize(
    'report', [AccuracyReport(), AccuracyReport(math.nan, 5), AccuracyReport(0.5, 0)]
)
def test_without_labelled_frames_all_is_as_in_the_profile(profile, candidates, report):
    np.testing.assert_array_equal(
        expected_accuracy(profile, candidates, profile.timesteps[0], report), candidates.accuracy
    )


def test_a_t_that_the_profile_does_not_have_says_nothing(profile, candidates):
    np.testing.assert_array_equal(
        expected_accuracy(profile, candidates, 5, AccuracyReport(0.3, 200)), candidates.accuracy
    )


def test_a_contradicted_accuracy_is_corrected_within_200_labelled_frames(profile, candidates):
    in_force = profile.timesteps[-1]
    by_t = corrected(profile, candidates, AccuracyReport(0.6, 200), in_force)
    assert by_t[in_force] == pytest.approx(0.6, abs=0.02)
    own = profile.reference.inference.accuracy
    assert by_t[in_force] == pytest.approx((PRIOR_FRAMES * own + 200 * 0.6) / (PRIOR_FRAMES + 200))
    for point in profile.points:  # what another T loses is the profile's
        assert by_t[in_force] - by_t[point.timesteps] == pytest.approx(
            own - point.inference.accuracy
        )


@pytest.mark.parametrize('way', [1, -1])
def test_trials_correct_what_one_t_loses_against_another(profile, candidates, way):
    """Whichever of the two was in force at the time."""
    least, most = profile.timesteps[0], profile.timesteps[-1]
    trial = (
        Trial(least, most, 300.0, 36.0, 6.0) if way == 1 else Trial(most, least, 300.0, 6.0, 36.0)
    )
    by_t = corrected(profile, candidates, AccuracyReport(0.8, 200, (trial,)), most)
    profiled = profile.reference.inference.accuracy - profile.points[0].inference.accuracy
    # Two T with the profile's weight each, and a spring between them.
    assert by_t[most] - by_t[least] == pytest.approx(
        (PRIOR_TRIALS * profiled + 2 * 30.0) / (PRIOR_TRIALS + 2 * 300.0)
    )
    others = corrected(profile, candidates, AccuracyReport(0.8, 200), most)
    middle = profile.timesteps[1:-1]
    assert all(
        by_t[a] - by_t[b] == pytest.approx(others[a] - others[b]) for a in middle for b in middle
    )


def test_no_three_t_each_seem_better_than_the_next(profile, candidates):
    """Whichever is in force, trials make one order of them."""
    a, b, c = profile.timesteps[:3]
    trials = (
        Trial(a, b, 100.0, 1.0, 9.0),
        Trial(b, c, 100.0, 1.0, 9.0),
        Trial(c, a, 100.0, 1.0, 9.0),
    )
    differences = []
    for in_force in (a, b, c):
        by_t = corrected(profile, candidates, AccuracyReport(0.6, 200, trials), in_force)
        differences.append([by_t[a] - by_t[b], by_t[b] - by_t[c]])
    np.testing.assert_allclose(differences[1:], [differences[0]] * 2)


def test_accuracies_stay_fractions(profile, candidates):
    least, most = profile.timesteps[0], profile.timesteps[-1]
    trial = Trial(least, most, 1e6, 9e5, 0.0)
    accuracy = expected_accuracy(profile, candidates, most, AccuracyReport(0.05, 200, (trial,)))
    assert 0.0 <= accuracy.min() and accuracy.max() <= 1.0


def test_the_policy_follows_the_objects_and_says_so(profile):
    """On objects for which few steps are as good as many, it takes few."""
    policy = TimestepPolicy(profile, PolicyConfig(min_dwell_s=0.0, deadband=0.0))
    conditions = Conditions(state_of_charge=1.0, frame_rate_hz=10.0)
    before = policy.decide(0.0, Limits(), conditions)
    assert 'labelled frames' not in before.detail
    in_force = before.inference_timesteps
    least = profile.timesteps[0]
    assert least < in_force
    told = replace(
        conditions,
        inference_timesteps=in_force,
        accuracy=AccuracyReport(
            0.7,
            200,
            tuple(
                Trial(timesteps, in_force, 1e5, 0.0, 0.0)
                for timesteps in profile.timesteps
                if timesteps != in_force
            ),
        ),
    )
    after = policy.decide(10.0, Limits(), told)
    assert after.inference_timesteps == least
    assert 'by 200 labelled frames' in after.detail
    assert after.expected_accuracy == pytest.approx(0.7, abs=0.02)


def test_standard_errors_are_the_spread_of_repeated_trials(profile, candidates):
    """Of made-up trials, drawn again and again with the same chances."""
    draw, (least, *_, most) = np.random.default_rng(0), profile.timesteps
    frames, chances = 400, (0.08, 0.05)
    differences, errors = [], []
    for _ in range(400):
        worse, better, _ = draw.multinomial(frames, (*chances, 1.0 - sum(chances)))
        trials = (Trial(least, most, float(frames), float(worse), float(better)),)
        by_t = corrected(profile, candidates, AccuracyReport(0.6, 200, trials), most)
        differences.append(by_t[most] - by_t[least])
        errors.append(standard_errors(profile, trials)[0, -1])
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.15)


def test_without_trials_there_is_no_error_and_a_t_does_not_differ_from_itself(profile):
    assert not standard_errors(profile, ()).any()
    few = standard_errors(profile, (Trial(*profile.timesteps[:2], 5.0, 1.0, 0.0),))
    assert not few.diagonal().any() and few[0, 1] == pytest.approx(few[1, 0]) and few[0, 1] > 0.0
