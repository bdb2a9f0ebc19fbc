"""The closed loop's estimators, each against what is known of its quantity."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topspark_ros.control.correction import (
    EnergyCorrection,
    FrameRate,
    Overdraft,
    Smoothed,
)

# Other load on the machine is no failure.
untimed = settings(deadline=None)


# Energy.


def test_nothing_measured_corrects_nothing():
    assert EnergyCorrection(5, bound=10.0).ratios.tolist() == [[1.0] * 5] * 2
    correction = EnergyCorrection(5, bound=10.0)
    for ratio, frames in ((0.0, 10), (-2.0, 10), (math.nan, 10), (math.inf, 10), (2.0, 0)):
        correction.measure(0, 0, ratio, frames, 1.0)
    assert correction.ratios.tolist() == [[1.0] * 5] * 2


@pytest.mark.parametrize('factor', [0.5, 2.0])
def test_a_factor_of_all_is_found_at_one(factor):
    correction = EnergyCorrection(5, bound=10.0)
    for _ in range(3):
        correction.measure(0, 2, factor, presentations=5, elapsed_s=0.5)
    ratios = correction.ratios[0]
    assert ratios[2] == pytest.approx(factor, rel=0.03)
    assert np.delete(ratios, 2) == pytest.approx(factor, rel=0.1)
    assert len(set(np.delete(ratios, 2))) == 1


def test_a_setting_that_is_come_back_to_is_known():
    correction = EnergyCorrection(5, bound=10.0)
    for setting, ratio in ((0, 1.3), (1, 0.9)):
        for _ in range(40):
            correction.measure(0, setting, ratio, presentations=15, elapsed_s=0.5)
    assert correction.ratios[0, 0] == pytest.approx(1.3, rel=0.05)
    assert correction.ratios[0, 1] == pytest.approx(0.9, rel=0.02)
    # The others are believed to lie between, nearer to the newer.
    assert (0.9 < correction.ratios[0, 2:]).all() and (correction.ratios[0, 2:] < 1.3).all()


def test_a_factor_that_changes_is_followed():
    correction = EnergyCorrection(3, bound=10.0)
    for ratio in (1.0, 2.0):
        for _ in range(60):
            correction.measure(0, 0, ratio, presentations=15, elapsed_s=1.0)
    assert correction.ratios[0] == pytest.approx(2.0, rel=0.15)
    assert correction.ratios[0, 0] == pytest.approx(2.0, rel=0.01)


def test_each_phase_has_a_factor_of_its_own():
    """What one phase takes tells most of what the other does, until that is measured."""
    correction = EnergyCorrection(5, bound=1e4)
    inference, training = correction.PHASES
    correction.measure(inference, 0, 100.0, presentations=100, elapsed_s=0.5)
    assert (correction.ratios[training] > 30.0).all()
    for _ in range(3):
        correction.measure(inference, 0, 100.0, presentations=100, elapsed_s=0.5)
        correction.measure(training, 0, 1.0, presentations=100, elapsed_s=0.0)
    assert correction.ratios[inference] == pytest.approx(100.0, rel=0.2)
    assert correction.ratios[training] == pytest.approx(1.0, rel=0.2)


def test_many_frames_count_more_than_one():
    few, many = EnergyCorrection(2, bound=10.0), EnergyCorrection(2, bound=10.0)
    few.measure(0, 0, 2.0, presentations=1, elapsed_s=0.5)
    many.measure(0, 0, 2.0, presentations=100, elapsed_s=0.5)
    assert 1.0 < few.ratios[0, 0] < many.ratios[0, 0] < 2.0


measurements = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 4),
        st.floats() | st.floats(0.01, 100),
        st.integers(-1, 10**9),
        st.floats() | st.floats(0, 10),
    ),
    max_size=50,
)


@untimed
@given(measurements=measurements, bound=st.floats(1.001, 1e4))
def test_whatever_is_measured_ratios_stay_within_the_bound(measurements, bound):
    correction = EnergyCorrection(5, bound)
    for measurement in measurements:
        correction.measure(*measurement)
        ratios = correction.ratios
        assert np.isfinite(ratios).all()
        assert ((1 / bound) * (1 - 1e-9) <= ratios).all()
        assert (ratios <= bound * (1 + 1e-9)).all()


@untimed
@given(measurements=measurements)
def test_whatever_is_measured_the_covariance_stays_one(measurements):
    correction = EnergyCorrection(5, bound=10.0)
    for measurement in measurements:
        correction.measure(*measurement)
        covariance = correction._covariance
        assert np.allclose(covariance, covariance.T, rtol=0, atol=1e-12)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9
        assert covariance.diagonal().min() > 0


def test_the_covariance_stays_one_for_long():
    correction, random = EnergyCorrection(20, bound=1e4), np.random.default_rng(1)
    for _ in range(5_000):
        correction.measure(
            random.integers(2),
            random.integers(20),
            random.lognormal(),
            random.integers(1, 1000),
            random.exponential(),
        )
    covariance = correction._covariance
    assert np.allclose(covariance, covariance.T, rtol=0, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > 0


# A low-pass filter.


def test_smoothed_starts_with_the_mean_and_follows():
    smoothed = Smoothed(5.0, 0.0, 10.0)
    assert smoothed.get(7.0) == 7.0 and math.isnan(smoothed.value)
    for value in (math.nan, math.inf):
        smoothed.measure(value, 1.0)
        assert math.isnan(smoothed.value)
    for value, mean in ((4.0, 4.0), (8.0, 6.0), (9.0, 7.0), (math.nan, 7.0)):
        smoothed.measure(value, 1.0)
        assert smoothed.value == smoothed.get(0.0) == pytest.approx(mean)
    smoothed.measure(4.0, 1e6)
    smoothed.measure(8.0, 5.0)
    assert smoothed.value == pytest.approx(8.0 - 4.0 / math.e)
    smoothed.measure(99.0, 1e6)
    assert smoothed.value == 10.0
    smoothed.measure(0.0, 0.0)
    assert smoothed.value == 10.0


@untimed
@given(values=st.lists(st.tuples(st.floats(), st.floats()), max_size=20))
def test_smoothed_stays_within_its_bounds(values):
    smoothed, measured = Smoothed(5.0, 0.1, 10.0), False
    for value, weight in values:
        smoothed.measure(value, weight)
        assert 0.1 * (1 - 1e-9) <= smoothed.get(1.0) <= 10.0 * (1 + 1e-9)
        measured |= math.isfinite(value)
        assert math.isnan(smoothed.value) == (not measured)


# Frame rate.


def counted(counts, elapsed_s=0.5, rate=None):
    rate = rate or FrameRate()
    for count in counts:
        rate.count(count, elapsed_s)
    return rate


def counts_of(rate_hz, seconds, elapsed_s=0.5):
    """What a camera of a steady rate comes to in each window."""
    ends = np.floor(rate_hz * elapsed_s * np.arange(1, seconds / elapsed_s + 1) + 1e-9)
    return np.diff(ends, prepend=0).astype(int).tolist()


def test_no_frame_is_no_rate():
    assert math.isnan(FrameRate().value_hz)
    assert math.isnan(counted([0, 0, 0]).value_hz)
    assert counted([0, 0, 5]).value_hz == 10.0


@pytest.mark.parametrize('rate_hz', [1, 3, 5, 7.5, 30, 60, 1000])
def test_a_steady_rate(rate_hz):
    assert counted(counts_of(rate_hz, 20)).value_hz == pytest.approx(rate_hz, rel=0.1)


@pytest.mark.parametrize('before_hz, after_hz', [(5, 60), (60, 5), (5, 10), (10, 5), (30, 20)])
@pytest.mark.parametrize('elapsed_s', [0.5, 1.0])
def test_a_new_rate_is_known_after_two_counts(before_hz, after_hz, elapsed_s):
    rate = counted(counts_of(before_hz, 10, elapsed_s), elapsed_s)
    assert rate.value_hz == pytest.approx(before_hz, rel=0.1)
    rate = counted(counts_of(after_hz, 2 * elapsed_s, elapsed_s), elapsed_s, rate)
    assert rate.value_hz == pytest.approx(after_hz, rel=0.1)


@untimed
@given(into=st.floats(0, 1), before_hz=st.floats(5, 60), factor=st.floats(2, 12))
def test_a_new_rate_is_known_after_four_counts_wherever_it_began(into, before_hz, factor):
    after_hz = before_hz * factor
    rate = counted(counts_of(before_hz, 10))
    counts = [round(0.5 * (into * before_hz + (1 - into) * after_hz)), *counts_of(after_hz, 2)]
    # What could be chance, 1.5 frames in half a second, is left to the filter.
    assert counted(counts, rate=rate).value_hz == pytest.approx(after_hz, rel=0.15, abs=4.0)


@pytest.mark.parametrize('rate_hz', [10, 30, 60])
def test_frames_that_come_late_and_then_together_change_little(rate_hz):
    rate = counted(counts_of(rate_hz, 20))
    half = rate_hz // 2
    third = half // 3
    for stall in ([0, 2 * half], [0, 2 * half, half, 0, 2 * half], [third, 2 * half - third]):
        counted(stall + [half] * 4, rate=rate)
        assert rate.value_hz == pytest.approx(rate_hz, rel=0.1)


@untimed
@given(
    rate_hz=st.sampled_from((10, 30, 60)),
    missing=st.integers(1, 4),
    partly=st.floats(0, 1),
    parts=st.integers(1, 4),
    again=st.integers(0, 3),
)
def test_a_stall_and_the_burst_that_follows_are_no_new_rate(rate_hz, missing, partly, parts, again):
    rate = counted(counts_of(rate_hz, 20))
    half = rate_hz / 2
    for _ in range(1 + again):
        first = int(half * partly)  # until it stalled
        late = missing * half + half - first
        burst = np.diff(np.round(np.linspace(0, late, parts + 1) + half * np.arange(parts + 1)))
        for count in [first, *[0] * missing, *burst.astype(int), *counts_of(rate_hz, 2)]:
            rate.count(count, 0.5)
            assert rate.value_hz == pytest.approx(rate_hz, rel=0.15)


def test_a_new_rate_after_a_stall_is_known_as_soon_as_no_more_can_be_late():
    rate = counted([*counts_of(10, 10), *[0] * 60, *counts_of(60, 2.5)])
    assert rate.value_hz == pytest.approx(60, rel=0.1)
    rate = counted([*counts_of(60, 10), *[0] * 60, *counts_of(10, 1)])
    assert rate.value_hz == pytest.approx(10, rel=0.1)


@untimed
@example(rate_hz=30.0, into=0.5, still_s=60)
@example(rate_hz=1.0, into=0.5, still_s=60)
@given(rate_hz=st.floats(1, 100), into=st.floats(0, 1), still_s=st.integers(1, 1000))
def test_a_camera_that_stands_still_keeps_its_rate(rate_hz, into, still_s):
    rate = counted(counts_of(rate_hz, 20))
    known_hz = rate.value_hz
    counted([int(into * 0.5 * rate_hz), *[0] * 2 * still_s], rate=rate)
    assert rate.value_hz == pytest.approx(known_hz, rel=0.3)


@untimed
@given(counts=st.lists(st.tuples(st.integers(0, 10**9), st.floats()), max_size=30))
def test_whatever_is_counted_the_rate_is_none_or_from_zero(counts):
    rate = FrameRate()
    for frames, elapsed_s in counts:
        rate.count(frames, elapsed_s)
        assert math.isnan(rate.value_hz) or rate.value_hz >= 0


# Overdraft.


def test_what_was_used_above_the_limit_is_saved():
    overdraft = Overdraft()
    overdraft.use(3.0, elapsed_s=1.0, limit_w=2.0)
    assert overdraft.repayment_w(2.0) == pytest.approx(1.0 / Overdraft.REPAY_S)
    overdraft.use(1.5, elapsed_s=1.0, limit_w=2.0)
    assert overdraft.repayment_w(2.0) == pytest.approx(0.5 / Overdraft.REPAY_S)
    overdraft.use(0.0, elapsed_s=1.0, limit_w=2.0)
    assert overdraft.repayment_w(2.0) == 0.0


def test_what_was_left_unused_balances_for_some_seconds_only():
    overdraft = Overdraft()
    overdraft.use(0.0, elapsed_s=1000.0, limit_w=2.0)
    assert overdraft.credit_w(2.0) == pytest.approx(Overdraft.CREDIT_S * 2.0 / Overdraft.REPAY_S)
    assert overdraft.credit_w(1.0) == pytest.approx(Overdraft.CREDIT_S / Overdraft.REPAY_S)
    assert overdraft.credit_w(math.nan) == 0.0
    overdraft.use(2.0 + Overdraft.CREDIT_S * 2.0, elapsed_s=1.0, limit_w=2.0)
    assert overdraft.repayment_w(2.0) == pytest.approx(0.0)
    assert overdraft.credit_w(2.0) == pytest.approx(0.0)
    overdraft.use(3.0, elapsed_s=1.0, limit_w=2.0)
    assert overdraft.repayment_w(2.0) == pytest.approx(1.0 / Overdraft.REPAY_S)


def test_without_a_limit_all_is_settled():
    overdraft = Overdraft()
    overdraft.use(100.0, 1.0, 2.0)
    assert overdraft.repayment_w(math.nan) == 0.0
    overdraft.use(100.0, 1.0, math.nan)
    assert overdraft.repayment_w(2.0) == 0.0


@untimed
@given(
    uses=st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 10)), max_size=30),
    limit_w=st.floats(0.1, 10),
)
def test_what_is_saved_is_a_share_of_the_limit(uses, limit_w):
    overdraft = Overdraft()
    for energy_j, elapsed_s in uses:
        overdraft.use(energy_j, elapsed_s, limit_w)
        assert 0 <= overdraft.repayment_w(limit_w) <= Overdraft.MAX_SHARE * limit_w


@pytest.mark.parametrize('used_s', [1, 10, 3600])
def test_what_is_saved_pays_it_back(used_s):
    overdraft = Overdraft()
    for _ in range(used_s):
        overdraft.use(1.5, elapsed_s=1.0, limit_w=1.0)
    for _ in range(120):
        overdraft.use(1.0 - overdraft.repayment_w(1.0), elapsed_s=1.0, limit_w=1.0)
    assert overdraft.repayment_w(1.0) < 0.01
