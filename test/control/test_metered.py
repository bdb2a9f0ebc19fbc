"""What a meter shows: of the whole process, of which the network is a small part."""

import numpy as np
import pytest
from learner_simulation import MeteredLearner, highest_mean_w, simulate, span

from topspark_ros.control.budgets import Budget
from topspark_ros.control.controller import Controller
from topspark_ros.control.metered import MeteredEnergy
from topspark_ros.methodology.tradeoff import enumerate_candidates

RATE_HZ = 30.0
UNLIMITED_W = MeteredLearner.STANDING_W + RATE_HZ * (
    MeteredLearner.RECEIVED_J + MeteredLearner.CLASSIFIED_J + MeteredLearner.LEARNED_J
)
SETTINGS = [(64, 64, 1.0, 1.0), (4, 4, 1.0, 1.0), (4, 4, 0.0, 1.0), (4, 4, 0.0, 0.512)]


def measured(profile, settings, unit_j=1.0, reports=10):
    """What is known after so many reports at each setting: standing 1, received 0.4, classified 2
    and learned 0.5 units, whatever T."""
    metered = MeteredEnergy(profile, core_power_w=10.0)
    for setting in settings:
        *_, learning_share, frame_share = setting
        for _ in range(reports):
            received = 100 if frame_share else 0
            classified = round(received * frame_share)
            learned = round(classified * learning_share)
            drawn = 0.5 * 1.0 + 0.4 * received + 2.0 * classified + 0.5 * learned
            metered.measure(setting, received, classified, learned, 0, unit_j * drawn, 0.5)
    return metered


def frame_j(profile, metered, *setting):
    candidates = enumerate_candidates(profile, learned_share=1.0)
    return metered.frame_j(candidates, 1.0)[candidates.row(*setting)]


def test_at_first_it_is_processor_time(profile):
    metered = MeteredEnergy(profile, core_power_w=10.0)
    more_j = 10.0 * (profile.at(64).inference.latency_s - profile.at(4).inference.latency_s)
    assert frame_j(profile, metered, 4, 64, 0.0, 1.0) == pytest.approx(
        frame_j(profile, metered, 4, 4, 0.0, 1.0) + more_j
    )


@pytest.mark.parametrize('unit_j', [1e-4, 1.0, 100.0])
def test_a_t_that_does_not_move_the_meter_saves_nothing(profile, unit_j):
    """By the profile a frame takes 36 times as much at 64 as at 4."""
    metered = measured(profile, SETTINGS[:2], unit_j)
    for inference in profile.timesteps:  # two of them were never used
        assert frame_j(profile, metered, 4, inference, 1.0, 1.0) == pytest.approx(
            2.9 * unit_j, rel=0.1
        )


def test_each_lever_is_known_once_it_was_used(profile):
    metered = measured(profile, SETTINGS)
    assert frame_j(profile, metered, 64, 64, 1.0, 1.0) == pytest.approx(2.9, rel=0.02)
    assert frame_j(profile, metered, 4, 4, 0.0, 1.0) == pytest.approx(2.4, rel=0.02)
    assert frame_j(profile, metered, 4, 4, 0.0, 0.512) == pytest.approx(2.0 + 0.4 / 0.51, rel=0.02)


def test_a_pause_tells_what_is_drawn_without_frames(profile):
    assert measured(profile, [*SETTINGS, (4, 4, 0.0, 0.0)]).standing_w == pytest.approx(
        1.0, rel=0.05
    )


def test_a_few_wild_measurements_change_little(profile):
    metered = measured(profile, SETTINGS[:1], reports=20)
    metered.measure(SETTINGS[0], 100, 100, 100, 0, 29_000.0, 0.5)
    assert frame_j(profile, metered, *SETTINGS[0]) == pytest.approx(2.9, rel=0.02)


def test_a_machine_that_slows_down_is_followed(profile):
    metered = measured(profile, SETTINGS, reports=60)
    for _ in range(6):
        metered.measure(SETTINGS[0], 100, 100, 100, 0, 10.0 * 290.5, 0.5)
    assert frame_j(profile, metered, *SETTINGS[0]) == pytest.approx(29.0, rel=0.05)
    assert frame_j(profile, metered, *SETTINGS[2]) == pytest.approx(24.0, rel=0.1)


def test_a_t_that_the_profile_does_not_have_is_ignored(profile):
    metered = measured(profile, [(100, 100, 1.0, 1.0)])
    assert np.array_equal(
        metered.frame_j(enumerate_candidates(profile, 1.0), 1.0),
        MeteredEnergy(profile, 10.0).frame_j(enumerate_candidates(profile, 1.0), 1.0),
    )


# The controller with such a learner.


def limited(profile, share, seed=0, load=1.0):
    """Power in each step and the decisions under a limit, the share of what was drawn without."""
    controller, learner = Controller(profile), MeteredLearner(profile, seed)
    simulate(controller, learner, span(0, 20), RATE_HZ)
    learner.load = load
    controller.on_budget(20.0, 'operator', Budget(power_w=share * UNLIMITED_W))
    return simulate(controller, learner, span(20, 80), RATE_HZ)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('load', [1.0, 1.3])
@pytest.mark.parametrize('share', [0.125, 0.25, 0.5, 0.9])
def test_measured_power_stays_within_the_limit(profile, share, load, seed):
    powers_w, _ = limited(profile, share, seed, load)
    assert highest_mean_w(powers_w[20:]) <= 1.05 * share * UNLIMITED_W


def test_the_lever_that_moves_the_meter_is_taken(profile):
    """T does not, though the profile says so: it is tried first, for a few reports."""
    _, decisions = limited(profile, 0.5)
    assert decisions[0].frame_share == 1.0 and decisions[0].inference_timesteps < 64
    assert all(decision.frame_share < 1.0 for decision in decisions[6:])  # after 3 s
    last = decisions[-1]
    assert 0.25 < last.frame_share < 0.5 and last.learning_share == 1.0  # which saves 6 %
    assert last.expected_power_w == pytest.approx(0.5 * UNLIMITED_W, rel=0.15)


def test_a_pause_is_no_power_saved_that_is_drawn_all_the_same(profile):
    powers_w, decisions = limited(profile, 0.125)
    last = decisions[-1]
    assert last.frame_share == 0.0 and 'W without a frame' in last.detail
    assert last.expected_power_w == pytest.approx(MeteredLearner.STANDING_W, rel=0.1)
