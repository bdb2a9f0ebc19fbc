"""Budgets of several sources: which limit is in force, how they are used up, when they lapse."""

import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.control.budgets import (
    BATTERY,
    MAX_SOURCES,
    REPLAN_S,
    Budget,
    BudgetBook,
    Limits,
)
from topspark_ros.control.ranges import RangeError

# Other load on the machine is no failure.
untimed = settings(deadline=None)

nan = math.nan


def book_of(now_s=0.0, **budgets):
    book = BudgetBook()
    for source, budget in budgets.items():
        book.set(now_s, source, budget)
    return book


@pytest.mark.parametrize(
    'field, value, accepted',
    [
        ('power_w', -1.0, 'a finite number from 0, or NaN for no limit'),
        ('power_w', math.inf, 'a finite number from 0, or NaN for no limit'),
        ('energy_j', -0.1, 'a finite number from 0, or NaN for no limit'),
        ('duration_s', 0.0, 'a finite number above 0, or NaN for no limit'),
        ('deadline_s', 0.0, 'a finite number above 0, or NaN for no limit'),
        ('lifetime_s', -5.0, 'a finite number above 0, or NaN for no limit'),
        ('min_accuracy', 90.0, 'a fraction from 0 to 1, or NaN for no limit'),
        ('min_accuracy', None, 'a fraction from 0 to 1, or NaN for no limit'),
        ('power_w', True, 'a finite number from 0, or NaN for no limit'),
    ],
)
def test_rejected_budget(field, value, accepted):
    with pytest.raises(RangeError) as error:
        Budget(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'


# Several sources.


def test_no_budget_is_no_limit():
    limits = BudgetBook().limits(0.0)
    assert all(
        math.isnan(value)
        for value in (
            limits.power_w,
            limits.mission_power_w,
            limits.energy_j,
            limits.time_left_s,
            limits.deadline_s,
            limits.min_accuracy,
            limits.strictest_power_w,
        )
    )
    assert limits.overdraft_w == 0 and limits.allowed_power_w == math.inf


def test_the_strictest_of_each_limit_counts():
    book = book_of(
        operator=Budget(power_w=3.0, deadline_s=0.1, min_accuracy=0.9),
        guard=Budget(power_w=2.0, energy_j=50.0, deadline_s=0.2),
        mission=Budget(energy_j=40.0, min_accuracy=0.8),
    )
    limits = book.limits(0.0)
    assert (limits.power_w, limits.energy_j, limits.deadline_s, limits.min_accuracy) == (
        2.0,
        40.0,
        0.1,
        0.9,
    )
    assert book.sources(0.0) == ('guard', 'mission', 'operator')


def test_the_batterys_own_budget_is_nobody_elses():
    book = BudgetBook()
    book.set(0.0, None, Budget(energy_j=10.0))
    book.set(0.0, BATTERY, Budget(energy_j=20.0))
    assert book.sources(0.0) == (BATTERY, BATTERY) and book.limits(0.0).energy_j == 10.0
    book.drop(None)
    assert book.sources(0.0) == (BATTERY,) and book.limits(0.0).energy_j == 20.0


def test_a_source_replaces_its_own_budget_only():
    book = book_of(a=Budget(power_w=1.0, deadline_s=0.1), b=Budget(power_w=2.0))
    book.set(1.0, 'a', Budget(power_w=3.0))
    limits = book.limits(1.0)
    assert limits.power_w == 2.0 and math.isnan(limits.deadline_s)


@pytest.mark.parametrize(
    'limits, strictest_w, allowed_w',
    [
        (Limits(power_w=3.0), 3.0, 3.0),
        (Limits(mission_power_w=2.0), 2.0, 2.0),
        (Limits(power_w=3.0, mission_power_w=2.0, overdraft_w=0.5), 2.0, 1.5),
        (Limits(power_w=3.0, overdraft_w=4.0), 3.0, 0.0),
        (Limits(overdraft_w=4.0), nan, math.inf),
    ],
)
def test_power_allowed(limits, strictest_w, allowed_w):
    assert limits.strictest_power_w == pytest.approx(strictest_w, nan_ok=True)
    assert limits.allowed_power_w == allowed_w


# Time.


def test_each_lapses_by_itself():
    book = book_of(
        brief=Budget(power_w=1.0, lifetime_s=10.0),
        longer=Budget(power_w=2.0, lifetime_s=20.0),
        lasting=Budget(power_w=3.0),
    )
    powers = [book.limits(now_s).power_w for now_s in (0.0, 9.9, 10.0, 19.9, 20.0, 1e9)]
    assert powers == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert book.sources(1e9) == ('lasting',)
    book.set(1e9, 'brief', Budget(power_w=1.0, lifetime_s=10.0))
    assert book.limits(1e9).power_w == 1.0


def test_an_old_budget_lapses_after_what_is_left_of_its_lifetime():
    book = BudgetBook()
    book.set(100.0, 'latched', Budget(power_w=1.0, lifetime_s=10.0), age_s=7.0)
    assert book.sources(102.9) == ('latched',) and book.sources(103.0) == ()
    book.set(200.0, 'latched', Budget(power_w=1.0, lifetime_s=10.0), age_s=30.0)
    assert book.sources(200.0) == ()


def test_energy_that_has_to_last_is_planned_anew_each_minute():
    book = book_of(mission=Budget(energy_j=600.0, duration_s=600.0))
    # (time s, used before J, planned W): energy left over time left, at 0, 60, 120, ... s.
    for now_s, used_j, planned_w in (
        (0.0, 0.0, 600 / 600),
        (30.0, 30.0, 600 / 600),
        (59.9, 29.9, 600 / 600),
        (60.0, 0.1, 540 / 540),
        (90.0, 0.0, 540 / 540),
        (120.0, 0.0, 540 / 480),
        (180.0, 240.0, 300 / 420),
        (540.0, 200.0, 100 / 60),
        (570.0, 0.0, 100 / 60),
        (599.0, 99.0, 100 / 60),
    ):
        book.spend(used_j)
        limits = book.limits(now_s)
        assert limits.mission_power_w == pytest.approx(planned_w), now_s
        assert limits.time_left_s == pytest.approx(600.0 - now_s)
    assert book.limits(599.0).energy_j == pytest.approx(1.0)
    over = book.limits(600.0)
    assert math.isnan(over.mission_power_w) and over.energy_j == pytest.approx(1.0)


def test_energy_without_a_duration_may_be_used_at_any_rate():
    limits = book_of(a=Budget(energy_j=10.0)).limits(0.0)
    assert limits.energy_j == 10.0 and math.isnan(limits.mission_power_w)
    limits = book_of(a=Budget(duration_s=10.0)).limits(0.0)
    assert math.isnan(limits.energy_j) and math.isnan(limits.mission_power_w)


def test_the_strictest_plan_counts_and_its_time():
    book = book_of(
        long=Budget(energy_j=100.0, duration_s=1000.0),
        short=Budget(energy_j=50.0, duration_s=100.0),
    )
    limits = book.limits(0.0)
    assert limits.mission_power_w == pytest.approx(0.1) and limits.time_left_s == 1000.0
    assert limits.energy_j == 50.0


def test_all_are_charged_with_what_was_used_and_none_below_nothing():
    book = book_of(a=Budget(energy_j=10.0), b=Budget(energy_j=4.0), c=Budget(power_w=1.0))
    book.spend(3.0)
    assert book.limits(0.0).energy_j == 1.0
    book.spend(3.0)
    assert book.limits(0.0).energy_j == 0.0
    book.drop('b')
    assert book.limits(0.0).energy_j == 4.0
    book.drop('a')
    assert math.isnan(book.limits(0.0).energy_j)


@pytest.mark.parametrize(
    'age_s, left_j, planned_w',
    [
        (0.0, 100.0, 1.0),
        (25.0, 75.0, 1.0),
        (99.0, 1.0, 1.0),
        (100.0, 0.0, nan),
        (1e9, 0.0, nan),
        (-5.0, 100.0, 1.0),  # of a clock that is ahead
    ],
)
def test_of_an_old_budget_the_due_share_counts_as_used(age_s, left_j, planned_w):
    book = BudgetBook()
    book.set(1000.0, 'latched', Budget(energy_j=100.0, duration_s=100.0), age_s)
    assert book.limits(1000.0).energy_j == pytest.approx(left_j)
    assert book.limits(1000.0).mission_power_w == pytest.approx(planned_w, nan_ok=True)
    book.set(1000.0, 'latched', Budget(energy_j=100.0), age_s)
    assert book.limits(1000.0).energy_j == 100.0  # of which nothing is due


# What was used before the book was there.

MISSION = Budget(energy_j=100.0, duration_s=100.0)


@pytest.mark.parametrize(
    'budget, age_s, total_j, active_s, left_j',
    [
        # Active all the time since: its mean power.
        (MISSION, 60.0, 200.0, 600.0, 80.0),
        (Budget(energy_j=100.0), 60.0, 200.0, 600.0, 80.0),
        (MISSION, 60.0, 0.0, 600.0, 100.0),
        # Active for a part of it: all of that, and of the rest what was due, where it has to last.
        (MISSION, 60.0, 30.0, 40.0, 50.0),
        (Budget(energy_j=100.0), 60.0, 30.0, 40.0, 70.0),
        # Nothing is known.
        (MISSION, 60.0, 0.0, 0.0, 40.0),
        (Budget(energy_j=100.0), 60.0, 0.0, 0.0, 100.0),
        (MISSION, 900.0, 0.0, 0.0, 0.0),
        # Nothing had passed.
        (MISSION, 0.0, 200.0, 600.0, 100.0),
        (MISSION, -5.0, 200.0, 600.0, 100.0),
        (Budget(power_w=1.0), 60.0, 200.0, 600.0, nan),
    ],
)
@pytest.mark.parametrize('budget_first', [True, False])
def test_what_was_used_before(budget_first, budget, age_s, total_j, active_s, left_j):
    book = BudgetBook()
    if budget_first:
        book.set(1000.0, 'mission', budget, age_s)
        book.know_totals(1000.0, total_j, active_s)
    else:
        book.know_totals(1000.0, total_j, active_s)
        book.set(1000.0, 'mission', budget, age_s)
    assert book.limits(1000.0).energy_j == pytest.approx(left_j, nan_ok=True)


def test_only_the_first_totals_say_what_was_before():
    book = book_of(now_s=0.0, mission=MISSION)
    book.know_totals(10.0, 20.0, 5.0)
    assert book.limits(10.0).energy_j == 80.0
    book.spend(3.0)
    book.know_totals(11.0, 23.0, 6.0)
    assert book.limits(11.0).energy_j == 77.0


def test_sources_are_bounded():
    book = BudgetBook()
    for number in range(MAX_SOURCES):
        book.set(0.0, str(number), Budget(power_w=1.0, lifetime_s=10.0))
    book.set(1.0, '0', Budget(power_w=2.0, lifetime_s=10.0))
    book.set(1.0, None, Budget(energy_j=1.0))  # the battery's own always has a place
    with pytest.raises(RangeError, match="source: 'one more'; accepted: one of the 50 that"):
        book.set(1.0, 'one more', Budget())
    book.set(10.0, 'one more', Budget())  # the others have lapsed
    assert book.sources(10.0) == ('0', BATTERY, 'one more')


finite = st.floats(0, 1e6)
values = {field.name: st.just(nan) | finite.filter(bool) for field in fields(Budget)}
budgets = st.builds(Budget, **values | {'min_accuracy': st.just(nan) | st.floats(0, 1)})
events = st.lists(
    st.tuples(st.floats(-1e6, 1e6), st.sampled_from('abc'), budgets, st.floats(-1e6, 1e6), finite),
    max_size=8,
)


@untimed
@given(events=events, now_s=st.floats(-1e6, 1e6))
def test_limits_are_never_laxer_than_those_of_a_source(events, now_s):
    book, latest = BudgetBook(), {}
    for set_s, source, budget, age_s, used_j in events:
        book.set(set_s, source, budget, age_s)
        book.spend(used_j)
        latest[source] = budget
    limits, sources = book.limits(now_s), book.sources(now_s)
    for source in sources:
        budget = latest[source]
        assert not limits.power_w > budget.power_w
        assert not limits.energy_j > budget.energy_j
        assert not limits.deadline_s > budget.deadline_s
        assert not limits.min_accuracy < budget.min_accuracy
    assert set(sources) <= set(latest)
    assert not limits.mission_power_w < 0 and not limits.energy_j < 0


@untimed
@given(
    energy_j=st.floats(1, 1e4),
    duration_s=st.floats(1, 1e4),
    draws=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_drawing_no_more_than_planned_lasts_to_the_end(energy_j, duration_s, draws):
    book = book_of(mission=Budget(energy_j=energy_j, duration_s=duration_s))
    # One draw after each plan, of at most what is planned until the next one.
    for step, draw in zip(range(math.ceil(duration_s / REPLAN_S)), draws):
        now_s = step * REPLAN_S
        planned_w = book.limits(now_s).mission_power_w
        until_s = min(now_s + REPLAN_S, duration_s)
        assert planned_w * (duration_s - now_s) <= book.limits(now_s).energy_j * (1 + 1e-9)
        book.spend(draw * planned_w * (until_s - now_s))
        left_j = book.limits(now_s).energy_j
        assert left_j >= planned_w * (duration_s - until_s) - 1e-6 * energy_j
