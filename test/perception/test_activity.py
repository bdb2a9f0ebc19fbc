"""Activity and meter windows: rates, shares and power over the last seconds, from known input."""

import math

import pytest

from topspark_ros.engine import OperationCounts
from topspark_ros.perception.activity import (
    MAX_REMEMBERED,
    STALE_S,
    ActivityWindow,
    Cost,
    CostByTimesteps,
    Measured,
    MeterWindow,
)

INFERENCE = OperationCounts(input_spikes=10, output_spikes=2, synaptic_operations=100)
LEARNING = OperationCounts(input_spikes=30, output_spikes=9, synaptic_operations=300)


def filled(frames: int, period_s: float = 0.1, start_s: float = 100.0) -> ActivityWindow:
    """Frames at a steady rate, every second one learned."""
    window = ActivityWindow(2.0)
    for frame in range(frames):
        now_s = start_s + frame * period_s
        window.inference(now_s, INFERENCE, 1.0, 0.001 * (1 + frame % 5))
        window.latency(0.01 * (1 + frame % 5))
        if frame % 2 == 0:
            window.learning(now_s, LEARNING, 3.0)
    return window


def test_nothing_happened():
    activity = ActivityWindow(2.0).summary(5.0)
    assert activity.frame_rate_hz == 0.0 and activity.power_w == 0.0
    for value in (
        activity.learned_share,
        activity.latency_p50_s,
        activity.latency_p95_s,
        activity.inference_s,
        activity.energy_j,
        activity.input_spikes,
        activity.output_spikes,
        activity.synaptic_operations,
    ):
        assert math.isnan(value)


def test_rates_and_means_over_a_full_window():
    activity = filled(100).summary(100.0 + 99 * 0.1)
    assert activity.frame_rate_hz == pytest.approx(10.0)
    assert activity.learned_share == pytest.approx(0.5)
    assert activity.energy_j == pytest.approx(1.0 + 3.0 / 2)
    assert activity.power_w == pytest.approx(activity.energy_j * activity.frame_rate_hz)
    assert (activity.input_spikes, activity.output_spikes) == (10, 2)  # of inferences alone
    assert activity.synaptic_operations == pytest.approx(100 + 300 / 2)
    assert activity.latency_p50_s == pytest.approx(0.03)
    assert activity.latency_p95_s == pytest.approx(0.05)
    assert activity.inference_s == pytest.approx(0.003)


def test_before_the_window_has_filled_once_it_is_shorter():
    activity = filled(6).summary(100.6)
    assert activity.frame_rate_hz == pytest.approx(6 / 0.6)
    assert activity.power_w == pytest.approx((6 * 1.0 + 3 * 3.0) / 0.6)


def test_what_is_older_than_the_window_is_forgotten():
    window = filled(10)
    assert window.summary(101.0).frame_rate_hz > 0
    late = window.summary(200.0)
    assert late.frame_rate_hz == 0.0 and late.power_w == 0.0 and math.isnan(late.latency_p50_s)


def test_a_clock_that_was_set_back_begins_anew():
    window = filled(10)
    window.inference(3.0, INFERENCE, 1.0, 0.5)
    activity = window.summary(4.0)
    assert activity.frame_rate_hz == pytest.approx(1.0)
    assert activity.power_w == pytest.approx(1.0)
    assert activity.learned_share == 0.0 and activity.inference_s == 0.5


# A meter.


def nothing(measured: Measured) -> bool:
    return all(math.isnan(value) for value in measured)


def test_one_reading_measures_nothing():
    window = MeterWindow(2.0)
    assert nothing(window.summary(100.0))
    window.add(100.0, 5.0, 3)
    assert nothing(window.summary(100.0))


def test_power_and_energy_of_a_frame_are_over_the_window():
    window = MeterWindow(2.0)
    for tenth in range(51):  # 3 W, and 5 W in the last 2 s; 20 frames a second
        energy_j = 0.3 * min(tenth, 30) + 0.5 * max(tenth - 30, 0)
        window.add(100.0 + tenth / 10, energy_j, 2 * tenth)
    assert window.summary(105.0) == pytest.approx((0.25, 5.0, 19.0))


def test_readings_that_are_far_apart_are_joined():
    window = MeterWindow(2.0)
    for number in range(4):
        window.add(100.0 + 5 * number, 10.0 * number**2, 0)
    measured = window.summary(115.0)
    assert (measured.power_w, measured.total_j) == pytest.approx((10.0, 90.0))
    assert math.isnan(measured.energy_j)  # without a frame


def test_what_was_read_long_ago_says_nothing():
    window = MeterWindow(2.0)
    window.add(100.0, 0.0, 0)
    window.add(101.0, 1.0, 1)
    assert window.summary(101.0 + STALE_S) == (1.0, 1.0, 1.0)
    assert nothing(window.summary(101.1 + STALE_S))


def test_what_an_inference_takes_at_each_t_is_a_mean_that_fades():
    costs = CostByTimesteps()
    assert costs.summary() == ()
    for energy_j, time_s in ((1.0, 0.1), (3.0, 0.3)):
        costs.add(4, energy_j, time_s)
    costs.add(1, 0.5, 0.01)
    few, many = costs.summary()
    assert few == Cost(1, 1.0, 0.5, 0.01) and many.timesteps == 4
    assert many[1:] == pytest.approx((2.0, 2.0, 0.2), rel=0.01)
    for _ in range(5000):
        costs.add(4, 5.0, 0.5)
    assert costs.summary()[1][1:] == pytest.approx((500.0, 5.0, 0.5), rel=0.01)


def test_of_many_t_those_with_most_frames_are_remembered():
    costs = CostByTimesteps()
    for _ in range(2):
        costs.add(7, 1.0, 1.0)
    for timesteps in range(100, 100 + 3 * MAX_REMEMBERED):
        costs.add(timesteps, 1.0, 1.0)
    assert len(costs.summary()) == MAX_REMEMBERED and costs.summary()[0].timesteps == 7
