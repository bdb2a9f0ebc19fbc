"""Which candidates each filter removes, and which limit is said to have decided."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.control.budgets import Limits
from topspark_ros.control.decision import Reason
from topspark_ros.control.filters import FILTERS, LIMITS, Assessment, choose, select
from topspark_ros.methodology.tradeoff import enumerate_candidates, score_candidates

RATE_HZ = 10.0


def assess(profile, limits, present=-1, margin=0.0, doubt=0.0) -> Assessment:
    candidates = enumerate_candidates(profile, learned_share=1.0)
    return Assessment(
        candidates=candidates,
        limits=limits,
        margin=margin,
        present=present,
        allowed=np.full(len(candidates), True),
        score=score_candidates(candidates, 0.02, 0.02),
        doubt=np.full((len(candidates), len(candidates)), doubt),
        energy_j=candidates.energy_j,
        power_w=candidates.energy_j * RATE_HZ * candidates.frame_share,
        latency_s=candidates.latency_s,
        frame_rate_hz=RATE_HZ,
        state_of_charge=1.0,
        battery_known=True,
        labelled_frames=0,
    )


def removed_by(selection) -> dict[str, set[int]]:
    return {step.filter.name: set(step.removed.tolist()) for step in selection.steps}


def test_without_limits_only_preferences_remove(profile):
    selection = select(assess(profile, Limits()))
    assert {name for name, rows in removed_by(selection).items() if rows} == {
        'most frames',
        'non-dominated',
    }


def test_each_filter_reports_what_it_removed(profile):
    limits = Limits(power_w=1.2, mission_power_w=0.5, deadline_s=0.005, min_accuracy=0.87)
    assessment = assess(profile, limits)
    power_w, latency_s = assessment.power_w, assessment.latency_s
    removed = removed_by(select(assessment))

    assert list(removed) == [each.name for each in FILTERS]
    assert removed['power limit'] == set(np.flatnonzero(power_w > 1.2))
    assert removed['mission'] == set(np.flatnonzero((power_w <= 1.2) & (power_w > 0.5)))
    learn_all = np.flatnonzero((power_w <= 0.5) & (assessment.candidates.learning_share == 1.0))
    assert removed['deadline'] == set(learn_all[latency_s[learn_all] > 0.005])


def test_what_is_ignored_reports_all_the_same(profile):
    assessment = assess(profile, Limits(power_w=1.2))
    ignoring = select(assessment, ignored=LIMITS)
    assert removed_by(ignoring)['power limit'] == removed_by(select(assessment))['power limit']
    assert ignoring.row == select(assess(profile, Limits())).row


def test_the_cheapest_is_chosen_of_those_that_are_not_told_from_the_best(profile):
    told_apart, alike = (assess(profile, Limits(), doubt=doubt) for doubt in (0.0, 0.06))
    best, chosen = select(told_apart).row, select(alike).row
    assert alike.energy_j[chosen] < alike.energy_j[best]
    assert alike.score[best] - 0.06 <= alike.score[chosen] < alike.score[best]
    cheaper = (alike.energy_j < alike.energy_j[chosen]) & (alike.candidates.learning_share == 1.0)
    assert (alike.score[cheaper] < alike.score[best] - 0.06).all() and cheaper.any()


def test_a_limit_that_is_not_met_ends_the_filters(profile):
    selection = select(assess(profile, Limits(deadline_s=1e-5, min_accuracy=0.99)))
    assert not selection.met
    assert [step.filter.name for step in selection.steps] == [
        'power limit',
        'mission',
        'most frames',
        'deadline',
    ]


limit = st.just(math.nan) | st.floats(0.0, 10.0)


@settings(deadline=None, max_examples=60)
@given(
    limits=st.builds(
        Limits,
        power_w=limit,
        mission_power_w=limit,
        overdraft_w=st.floats(0.0, 1.0),
        deadline_s=limit,
        min_accuracy=st.just(math.nan) | st.floats(0.0, 1.0),
    ),
    present=st.integers(-1, 40),
    margin=st.floats(0.0, 0.9),
)
def test_filters_always_leave_something_and_the_reason_is_a_limit_that_is_set(
    profile, limits, present, margin
):
    assessment = assess(profile, limits, present, margin)
    assert all(len(step.kept) for step in select(assessment).steps)
    row, reason = choose(assessment)
    bound = {
        Reason.POWER: limits.power_w,
        Reason.MISSION: limits.mission_power_w,
        Reason.DEADLINE: limits.deadline_s,
        Reason.ACCURACY: limits.min_accuracy,
    }
    assert not math.isnan(bound.get(reason, 0.0))
    if reason == Reason.SCORE:
        assert all(select(assessment, ignored=(each,)).row == row for each in LIMITS)


@pytest.mark.parametrize(
    'field, reason', [('power_w', Reason.POWER), ('mission_power_w', Reason.MISSION)]
)
def test_the_limit_that_decides_is_the_stricter(profile, field, reason):
    limits = Limits(**{'power_w': 2.0, 'mission_power_w': 2.0, field: 0.5})
    assert choose(assess(profile, limits))[1] == reason
