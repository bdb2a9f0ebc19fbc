"""Which T are tried, for how much energy, and what is counted of it."""

import math

import numpy as np
import pytest

from topspark_ros.control.accuracy import Trial
from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.activity import MAX_REMEMBERED
from topspark_ros.perception.online import OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.perception.trials import (
    POWER_S,
    SAVING_S,
    Trials,
    TrialSettings,
)

MARGINS = {1: math.inf, 4: 0.5, 64: math.inf}
SHARE = 0.1
SETTINGS = TrialSettings(MARGINS, SHARE)


RATE_HZ = 30.0


def tried(
    trials: Trials,
    cost_j: dict[int, float],
    frames: int,
    in_force: int,
    frame_j: float = 1.0,
    begin_s: float = 0.0,
) -> list[tuple[float, int]]:
    """Time and T of the trials that so many frames have energy for; a step costs 0.25 J."""
    done = []
    for frame in range(frames):
        now_s = begin_s + frame / RATE_HZ
        trials.earn(frame_j, now_s)
        due = trials.due(in_force, 0.25)
        if due is not None:
            done.append((now_s, due[0]))
            trials.count(due[0], in_force, cost_j[due[0]], False, False)
    return done


def test_trials_take_their_share_of_the_energy_each_t_the_same():
    cost_j = {1: 0.25, 4: 1.0, 64: 16.0}
    done = [timesteps for _, timesteps in tried(Trials(SETTINGS), cost_j, 6000, in_force=2)]
    for timesteps, energy_j in cost_j.items():
        spent_j = done.count(timesteps) * energy_j
        assert spent_j == pytest.approx(6000 * SHARE / 3, abs=max(cost_j.values()))


def test_trials_take_at_most_twice_their_share_in_any_time_of_saving_whatever_they_cost():
    """T = 64 costs what all trials get in 20 s, or in 40 s, when it is not tried: never at all
    by what its steps cost, or no more once the power has come down to a half."""
    for frame_j, untried in ((0.8 / SHARE / RATE_HZ, False), (0.4 / SHARE / RATE_HZ, True)):
        trials, cost_j = Trials(SETTINGS), {1: 0.25, 4: 1.0, 64: 16.0}
        done = tried(trials, cost_j, 9000, 2, frame_j)
        assert (64 not in [timesteps for _, timesteps in done]) == untried
        assert {1, 4} <= {timesteps for _, timesteps in done}
        for begin_s, _ in done:
            taken_j = sum(
                cost_j[each] for now_s, each in done if begin_s <= now_s < begin_s + SAVING_S
            )
            assert taken_j <= 2 * SHARE * frame_j * RATE_HZ * SAVING_S + cost_j[1]
        later = tried(trials, cost_j, 9000, 2, 0.4 / SHARE / RATE_HZ, begin_s=300.0 + POWER_S)
        assert 64 not in [timesteps for now_s, timesteps in later if now_s > 300.0 + 2 * POWER_S]


def test_what_was_saved_while_power_was_plenty_is_not_spent_when_it_is_short():
    trials = Trials(SETTINGS)
    for frame in range(900):  # nothing is labelled
        trials.earn(1.0, frame / RATE_HZ)
    done = tried(trials, {1: 0.25, 4: 1.0, 64: 16.0}, 900, 2, 0.01, begin_s=60.0)
    assert sum({1: 0.25, 4: 1.0, 64: 16.0}[timesteps] for _, timesteps in done) < 2.0 * 0.9


def test_the_t_in_force_is_not_tried_and_the_one_that_took_least_comes_first():
    trials = Trials(SETTINGS)
    trials.earn(1e3, 0.0)
    assert trials.due(1, 0.25) == (4, 0.5) and trials.due(4, 0.25) == (1, math.inf)
    trials.count(4, 1, 1e-3, False, False)
    assert trials.due(1, 0.25) == (64, math.inf)
    assert trials.due(2, 0.25) == (1, math.inf)


@pytest.mark.parametrize('settings', [TrialSettings(MARGINS, 0.0), TrialSettings({}, SHARE)])
def test_nothing_is_tried_without_energy_or_without_any_t(settings):
    trials = Trials(settings)
    trials.earn(1e3, 0.0)
    assert trials.due(2, 0.0) is None and trials.summary() == ()


def test_mistakes_are_counted_of_every_two_t_and_fade():
    trials = Trials(SETTINGS)
    trials.count(1, 4, 0.1, True, False)
    trials.count(1, 4, 0.1, True, True)
    trials.count(4, 1, 0.1, False, True)
    first, other = trials.summary()
    assert other == Trial(4, 1, 1.0, 0.0, 1.0)
    assert first.timesteps == 1 and first.in_force == 4
    assert first[2:] == pytest.approx((2.0, 1.0, 0.0), abs=0.01)
    for _ in range(10_000):
        trials.count(1, 4, 0.0, False, False)
    assert trials.summary()[0].worse < 1e-6 and trials.summary()[0].frames < 600


def test_what_is_remembered_is_bounded():
    trials = Trials(SETTINGS)
    for in_force in range(1, 1000):
        trials.count(4, in_force, 0.0, False, False)
    assert len(trials.summary()) == MAX_REMEMBERED


def test_a_learner_tries_labelled_frames_and_accounts_for_it():
    """Trials change nothing but the energy: not a weight, not a prediction."""
    random = np.random.default_rng(0)
    kinds = random.random((5, 64)).astype(np.float32)
    learners = [
        OnlineLearner(
            create_network(NetworkConfig(inputs=64, neurons=40)),
            (),
            Timesteps(8, 4),
            OnlineSettings(0.05, trials=TrialSettings(MARGINS, share)),
            ENERGY_TABLES['loihi'],
        )
        for share in (0.0, SHARE)
    ]
    for frame in range(1, 400):
        kind = int(random.integers(5))
        pixels = kinds[kind] * random.random(64).astype(np.float32)
        stamp_ns = frame * 100_000_000
        plain, trying = (
            learner.classify(stamp_ns, pixels, stamp_ns * 1e-9) for learner in learners
        )
        assert trying.class_name == plain.class_name
        np.testing.assert_array_equal(trying.scores, plain.scores)
        for learner in learners:
            if kind != 4:  # one kind is never labelled
                learner.add_label(stamp_ns, str(kind))
    plain, trying = (learner.status(40.0) for learner in learners)
    assert plain.trials == () and trying.accuracy == plain.accuracy
    extra_j = trying.totals.energy_j - plain.totals.energy_j
    assert 0.5 * SHARE < extra_j / plain.totals.energy_j < 1.1 * SHARE
    assert {trial.timesteps for trial in trying.trials} == {1, 64}
    assert all(trial.in_force == 4 and trial.frames > 3 for trial in trying.trials)
    assert [cost.timesteps for cost in plain.costs] == [4]
    assert [cost.timesteps for cost in trying.costs] == [1, 4, 64]
    energies_j = [cost.energy_j for cost in trying.costs]
    assert energies_j == sorted(energies_j) and energies_j[1] == plain.costs[0].energy_j
    assert trying.activity.energy_j > plain.activity.energy_j
