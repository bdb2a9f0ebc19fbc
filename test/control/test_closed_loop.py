"""What a learner's reports teach about energy, latency, frame rate and power."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.control.closed_loop import MAX_RATIO, ClosedLoop, LearnerReport
from topspark_ros.methodology.tradeoff import SHARES, enumerate_candidates

# Other load on the machine is no failure.
untimed = settings(deadline=None, max_examples=40)

INFERRING = LearnerReport(
    time_s=0.0,
    training_timesteps=4,
    inference_timesteps=64,
    learning_share=0.0,
    frame_share=1.0,
    classified=0,
    skipped=0,
    learned=0,
    energy_j=0.0,
)
LEARNING = replace(INFERRING, training_timesteps=16, learning_share=1.0)


def after(
    report,
    seconds=0.5,
    classified=10,
    frame_j=0.1,
    learned=0,
    learned_j=0.0,
    skipped=0,
    **fields,
):
    """The report that follows. learned_j: that learning a frame took besides."""
    return replace(
        report,
        time_s=report.time_s + seconds,
        classified=report.classified + classified,
        learned=report.learned + learned,
        skipped=report.skipped + skipped,
        energy_j=report.energy_j + classified * frame_j + learned * learned_j,
        learning_energy_j=report.learning_energy_j + learned * learned_j,
        **fields,
    )


def told(profile, report, count=1, limit_w=math.nan, loop=None, **fields):
    """The loop after `count` reports that follow, and the last of them."""
    if loop is None:
        loop = ClosedLoop(profile, core_power_w=10.0)
        loop.update(report, limit_w)
    for _ in range(count):
        report = after(report, **fields)
        loop.update(report, limit_w)
    return loop, report


def test_nothing_is_known_at_first(profile):
    for loop in (ClosedLoop(profile, 10.0), told(profile, LEARNING, count=0)[0]):
        assert math.isnan(loop.frame_rate_hz) and math.isnan(loop.power_w)
        assert math.isnan(loop.learned_share)
        assert loop.latency_ratio == 1.0 and loop.latency_overhead_s == 0.0
        assert (loop.energy_ratios() == 1.0).all() and loop.overdraft_w(1.0) == 0.0


def test_the_first_report_tells_the_rate(profile):
    first = replace(INFERRING, frame_rate_hz=6.0, frame_share=0.512, classified=8, skipped=4)
    assert told(profile, first, count=0)[0].frame_rate_hz == pytest.approx(6.0 / 0.512)
    for unknown in (
        replace(first, frame_rate_hz=0.0, frame_share=0.0),
        replace(first, skipped=3),  # less than a second's worth
        replace(first, frame_rate_hz=244.0, frame_share=1.0),
    ):  # that had waited
        assert math.isnan(told(profile, unknown, count=0)[0].frame_rate_hz)


def test_rate_and_power(profile):
    loop, _ = told(
        profile, replace(INFERRING, frame_share=0.8), count=20, classified=8, skipped=2, frame_j=0.2
    )
    assert loop.frame_rate_hz == pytest.approx(20.0)
    assert loop.power_w == pytest.approx(16 * 0.2)


@pytest.mark.parametrize('factor', [0.5, 1.0, 2.0])
def test_energy_of_a_setting_and_of_all(profile, factor):
    # An inference at 64 takes 0.1 J, learning at 16 takes 0.045 J.
    loop, _ = told(
        profile, LEARNING, count=6, learned=10, frame_j=0.1 * factor, learned_j=0.045 * factor
    )
    assert loop.energy_ratio(LEARNING.setting) == pytest.approx(factor, rel=0.03)
    assert loop.energy_ratios() == pytest.approx(factor, rel=0.1)
    assert len(loop.energy_ratios()) == len(enumerate_candidates(profile, 1.0))


def test_more_objects_in_a_frame_count_at_once_and_fewer_by_and_by(profile):
    loop, last = told(profile, INFERRING, count=60)
    before, at_64 = loop.energy_ratio(INFERRING.setting), (4, 64, 0.0, 1.0)
    _, last = told(profile, last, loop=loop, frame_j=0.5, further_objects=last.further_objects + 40)
    assert loop.energy_ratio(at_64) == pytest.approx(5 * before, rel=0.02)
    assert loop.latency_ratio == pytest.approx(5.0)
    told(profile, last, count=10, loop=loop)
    assert before < loop.energy_ratio(at_64) < 3 * before


def test_of_few_learned_frames_few_are_predicted(profile):
    loop, _ = told(profile, LEARNING, count=20, learned=2, learned_j=0.045)
    assert loop.learned_share == pytest.approx(0.2)
    assert loop.energy_ratio(LEARNING.setting) == pytest.approx(1.0)


def test_a_setting_has_a_ratio_of_its_own(profile):
    loop, last = told(profile, INFERRING, count=60, frame_j=0.1 * 1.3)
    other = replace(last, inference_timesteps=16)  # 0.030 J
    loop, _ = told(profile, other, count=60, loop=loop, frame_j=0.030 * 0.9)
    assert loop.energy_ratio(INFERRING.setting) == pytest.approx(1.3, rel=0.06)
    assert loop.energy_ratio(other.setting) == pytest.approx(0.9, rel=0.03)


def test_what_takes_more_to_classify_takes_no_more_to_learn(profile):
    """As with an encoder: 100 times the profile's energy, but learning is as it says."""
    loop, last = told(profile, LEARNING, count=10, learned=10, frame_j=10.0, learned_j=0.045)
    assert loop.energy_ratio((16, 64, 0.0, 1.0)) == pytest.approx(100.0, rel=0.03)
    expected = (10.0 + 0.045) / (0.1 + 0.045)
    assert loop.energy_ratio(LEARNING.setting) == pytest.approx(expected, rel=0.03)
    # Another training T, 0.750 J by the profile, was never used: what is known of learning counts.
    expected = (10.0 + 0.750) / (0.1 + 0.750)
    assert loop.energy_ratio((350, 64, 1.0, 1.0)) == pytest.approx(expected, rel=0.05)


def test_frames_without_a_label_that_are_learned_for_nothing_disturb_nothing(profile):
    """Half of them, one at a time."""
    loop, report = told(profile, LEARNING, count=0)
    ratios = []
    for number in range(400):
        learned_j = 0.09 if number % 2 else 1e-6
        report = after(report, classified=1, learned=1, frame_j=0.1, learned_j=learned_j)
        loop.update(report, math.nan)
        ratios.append([loop.energy_ratio((16, 64, share, 1.0)) for share in (0.0, 1.0)])
    for inferring, learning in ratios[200:]:
        assert inferring == pytest.approx(1.0, rel=0.02)
        assert learning == pytest.approx(1.0, rel=0.05)


def test_fewer_frames_cost_as_much_each(profile):
    paused = replace(INFERRING, inference_timesteps=4, frame_share=0.512)
    loop, _ = told(profile, paused, count=20, frame_j=0.02, skipped=10)
    ratios = loop.energy_ratios()
    assert loop.energy_ratio((4, 4, 0.0, 1.0)) == pytest.approx(2.0, rel=0.03)
    assert ratios[20 : 20 + len(SHARES)] == pytest.approx(loop.energy_ratio((4, 4, 0.0, 1.0)))


def test_trials_raise_the_energy_of_a_frame_evenly_however_they_come(profile):
    """One in ten reports has a trial that takes as much as all its frames."""
    loop, report = told(profile, INFERRING, count=0)
    ratios = []
    for number in range(200):
        report = after(report)
        if number % 10 == 0:
            report = replace(
                report,
                energy_j=report.energy_j + 1.0,
                trial_energy_j=report.trial_energy_j + 1.0,
            )
        loop.update(report, 2.1)
        ratios.append(loop.energy_ratio(INFERRING.setting))
    assert min(ratios[100:]) == pytest.approx(1.1, rel=0.01)
    assert max(ratios[100:]) == pytest.approx(1.1, rel=0.01)
    # 2 W, and each 5 s a trial of 1 J: above a limit of 2.1 W, which is repaid.
    assert loop.overdraft_w(2.1) > 0.0


def test_ratios_are_bounded(profile):
    """Far off, for a profile may be of another kind of network, which takes 300 times as much."""
    for factor in (1e-6, 300.0, 1e6):
        loop, _ = told(profile, INFERRING, count=50, frame_j=0.1 * factor)
        assert loop.energy_ratio(INFERRING.setting) == pytest.approx(
            min(max(factor, 1 / MAX_RATIO), MAX_RATIO), rel=0.01
        )


def test_of_two_settings_in_one_window_only_their_sum_is_known(profile):
    loop, last = told(profile, INFERRING)
    loop, _ = told(
        profile,
        last,
        loop=loop,
        inference_timesteps=16,
        frame_j=0.07,
        latency_s=9.0,
        inference_s=9.0,
    )
    assert loop.energy_ratio(INFERRING.setting) == pytest.approx(1.0)
    assert loop.latency_ratio == 1.0 and loop.latency_overhead_s == 0.0
    assert loop.power_w < 2.0 and loop.frame_rate_hz == pytest.approx(20.0)


def test_a_setting_of_the_learners_own_tells_rate_and_power(profile):
    own = replace(LEARNING, training_timesteps=100, inference_timesteps=100, decided=False)
    loop, _ = told(profile, own, count=5, learned=5, frame_j=0.3)
    assert loop.frame_rate_hz == pytest.approx(20.0) and loop.power_w == pytest.approx(6.0)
    assert loop.learned_share == pytest.approx(0.5)
    assert (loop.energy_ratios() == 1.0).all()


def test_latency(profile):
    # An inference at 64 takes 0.010 s.
    loop, _ = told(profile, INFERRING, inference_s=0.025, latency_s=0.032)
    assert loop.latency_ratio == pytest.approx(2.5)
    assert loop.latency_overhead_s == pytest.approx(0.007)
    loop, _ = told(profile, INFERRING, inference_s=9e3, latency_s=1.0)
    assert loop.latency_ratio == MAX_RATIO and loop.latency_overhead_s == 0.0
    loop, _ = told(profile, INFERRING)
    assert loop.latency_ratio == 1.0 and loop.latency_overhead_s == 0.0


def test_what_is_metered_replaces_what_the_profile_says(profile):
    loop, last = told(profile, replace(LEARNING, metered=True), count=10, learned=10, frame_j=1.45)
    assert loop.energy_ratio(LEARNING.setting) == pytest.approx(10.0, rel=0.2)
    assert loop.standing_power_w > 0.0
    # What idles besides may be many times what the core was thought to take.
    loop, _ = told(profile, last, count=60, loop=loop, learned=10, frame_j=145.0)
    assert loop.energy_ratio(LEARNING.setting) == pytest.approx(1e3, rel=0.2)


def test_another_meter_begins_anew(profile):
    loop, last = told(profile, LEARNING, count=10, learned=10, frame_j=0.29, limit_w=1.0)
    assert loop.overdraft_w(1.0) > 0
    metered = replace(last, metered=True, energy_j=1e6)
    metered_loop, _ = told(profile, metered, count=0)
    assert loop.update(metered, 1.0) == 0.0
    assert loop.overdraft_w(1.0) == 0.0 and math.isnan(loop.power_w)
    assert loop.energy_ratios().tolist() == metered_loop.energy_ratios().tolist()
    assert loop.update(after(metered, frame_j=0.2), 1.0) == pytest.approx(2.0)


# What was used.


def test_what_was_used_is_told_once(profile):
    loop = ClosedLoop(profile, 10.0)
    first = replace(LEARNING, energy_j=100.0, classified=50)
    assert loop.update(first, math.nan) == 0.0  # before anything was in force
    second = after(first)
    assert loop.update(second, math.nan) == pytest.approx(1.0)
    assert loop.update(second, math.nan) == 0.0


@pytest.mark.parametrize('field', ['energy_j', 'classified', 'skipped', 'learned'])
def test_a_learner_that_counts_anew_is_no_measurement(profile, field):
    loop, last = told(profile, replace(LEARNING, skipped=5), count=10, learned=10, frame_j=0.145)
    before = loop.frame_rate_hz, loop.power_w, loop.energy_ratios().tolist()
    anew = replace(last, time_s=last.time_s + 0.5, **{field: 0})
    assert loop.update(anew, math.nan) == anew.energy_j
    assert (loop.frame_rate_hz, loop.power_w, loop.energy_ratios().tolist()) == before
    assert loop.update(after(anew), math.nan) == pytest.approx(1.0)


def test_a_clock_that_is_set_back_is_no_measurement(profile):
    loop, last = told(profile, LEARNING, count=10, learned=10, frame_j=0.145)
    before = loop.frame_rate_hz, loop.power_w, loop.energy_ratios().tolist()
    back = after(last, seconds=-100.0, frame_j=0.2)
    assert loop.update(back, math.nan) == pytest.approx(2.0)
    assert (loop.frame_rate_hz, loop.power_w, loop.energy_ratios().tolist()) == before


def test_lost_reports_are_made_up_for_by_the_next(profile):
    every, last = told(profile, INFERRING, count=12, frame_j=0.2)
    loop = ClosedLoop(profile, 10.0)
    used_j = [
        loop.update(report, math.nan)
        for report in (INFERRING, after(INFERRING, seconds=4.0, classified=80, frame_j=0.2), last)
    ]
    assert sum(used_j) == pytest.approx(last.energy_j)
    assert loop.frame_rate_hz == pytest.approx(every.frame_rate_hz)
    assert loop.energy_ratio(INFERRING.setting) == pytest.approx(2.0, rel=0.03)


def test_time_until_a_lower_limit_belongs_to_the_higher(profile):
    loop, last = told(profile, INFERRING, count=10, limit_w=2.0)  # takes 2 W
    loop, last = told(profile, last, loop=loop, limit_w=0.5)
    assert loop.overdraft_w(0.5) == 0.0
    loop, last = told(profile, last, loop=loop, limit_w=0.5)
    assert loop.overdraft_w(0.5) > 0.0
    loop, _ = told(profile, last, loop=loop, limit_w=math.nan)
    assert loop.overdraft_w(0.5) == 0.0


timesteps = st.sampled_from((4, 16, 64, 350)) | st.integers(0, 10**9)
counts = st.integers(0, 100) | st.integers(0, 10**12)
following = st.fixed_dictionaries(
    {
        'seconds': st.sampled_from((0.5, 1.0, -1.0)) | st.floats(-1e6, 1e6),
        'classified': counts,
        'skipped': counts,
        'learned': counts,
        'frame_j': st.floats(0, 1) | st.floats(0, 1e200),
    },
    optional={
        'training_timesteps': timesteps,
        'inference_timesteps': timesteps,
        'learning_share': st.floats(),
        'frame_share': st.floats(),
        'frame_rate_hz': st.floats(),
        'metered': st.booleans(),
        'latency_s': st.floats(),
        'inference_s': st.floats(),
    },
)


@untimed
@given(steps=st.lists(st.tuples(following, st.just(math.nan) | st.floats(0, 100))))
def test_whatever_is_reported_the_corrections_are_usable(profile, steps):
    loop, report = told(profile, LEARNING)
    for fields, limit_w in steps:
        report = after(report, **fields)
        assert loop.update(report, limit_w) >= 0
        ratios = loop.energy_ratios()
        assert np.isfinite(ratios).all() and (ratios > 0).all()
        assert 1 / MAX_RATIO <= loop.latency_ratio * (1 + 1e-9)
        assert loop.latency_ratio <= MAX_RATIO * (1 + 1e-9)
        assert 0 <= loop.latency_overhead_s
        assert not loop.frame_rate_hz < 0 and not loop.power_w < 0
        assert not loop.learned_share < 0 and not loop.learned_share > 1 + 1e-9
        assert 0 <= loop.overdraft_w(1.0) <= 0.5
