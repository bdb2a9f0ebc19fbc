"""A queue in front of a consumer that is too slow."""

from __future__ import annotations

import pytest

from topspark_ros.streams.backlog import Backlog

SECOND = 1.0


def test_what_is_taken_in_time_comes_in_order_and_whole():
    backlog = Backlog(SECOND, capacity=100)
    for number in range(10):
        backlog.put(number, 10, now_s=0.0)
    assert [backlog.take(1.0) for _ in range(10)] == list(range(10))
    assert len(backlog) == backlog.discarded == 0


def test_a_consumer_that_is_behind_goes_on_with_the_newest_once_it_had_a_result():
    backlog = Backlog(SECOND, capacity=100)
    for number in range(10):
        backlog.put(number, 1, now_s=0.0)
    assert [backlog.take(5.0) for _ in range(3)] == [0, 1, 2]  # late, but without a result
    backlog.succeed()
    assert backlog.take(5.0) == 9
    assert backlog.discarded == 6 and len(backlog) == 0
    backlog.put(10, 1, now_s=5.0)
    backlog.put(11, 1, now_s=5.0)
    assert [backlog.take(9.0), backlog.take(9.0)] == [10, 11]  # a new run, again without one


@pytest.mark.parametrize('times_too_slow', [2, 10, 100])
@pytest.mark.parametrize('run', [1, 7, 40])
def test_there_are_results_however_slow_the_consumer_is(times_too_slow, run):
    """A result takes `run` successive items."""
    backlog = Backlog(SECOND, capacity=10**6)
    results = successive = put = oldest_s = 0
    last = None
    while put < 20_000:
        for _ in range(times_too_slow):
            backlog.put(put, 1, now_s=put * 1e-3)
            put += 1
        item = backlog.take(put * 1e-3)
        oldest_s = max(oldest_s, (put - item) * 1e-3 if results else 0.0)
        successive = successive + 1 if last is not None and item == last + 1 else 1
        last = item
        if successive % run == 0:
            results += 1
            backlog.succeed()
    assert results >= 3
    # It waits for no longer than it is patient, and than one result takes.
    assert oldest_s < SECOND + 2 * run * times_too_slow * 1e-3
    assert backlog.discarded + len(backlog) >= put * (1 - 1.01 / times_too_slow) - 1


def test_a_size_above_the_capacity_is_not_held():
    backlog = Backlog(SECOND, capacity=100)
    for number in range(50):
        backlog.put(number, 30, now_s=0.0)
        assert len(backlog) <= 3
    backlog.put('huge', 1000, now_s=0.0)
    assert backlog.take(0.0) == 'huge' and backlog.discarded == 50
