"""Clocks that jump in a recording, and long quiet gaps: reported, without cost, and as live."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.replay import run as running
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.figures import figures
from topspark_ros.replay.jumps import StampClock, described, without_gaps
from topspark_ros.replay.periods import Periods
from topspark_ros.replay.recording import BATTERY, BUDGET, EVENTS, IMAGE, LABEL
from topspark_ros.replay.report import write_report
from topspark_ros.replay.results import STATUS, TimeJump
from topspark_ros.replay.settings import EvaluationSettings
from topspark_ros.streams.bags import Recorded

PROFILE = str(Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml')
LEARNER = SnnLearnerParameters(
    rule='recruiting', neurons=100, training_timesteps=16, inference_timesteps=16
)
FIXED = EvaluationSettings('T = 16', LEARNER)
CONTROLLER = TimestepControllerParameters(profile_file=PROFILE)
CONTROLLED = EvaluationSettings('controller', replace(LEARNER, profile_file=PROFILE), CONTROLLER)
S = 1_000_000_000
YEARS_55 = 1_735_689_600
PAUSE_NS = 5 * S  # of the recording, after which it is changed
NEVER_S = 1e18  # in the place of QUIET_S: every period is worked off


def moved(message, step_ns: int):
    """The message with its header stamp moved."""
    stamp = message.header.stamp
    seconds, nanoseconds = divmod(stamp.sec * S + stamp.nanosec + step_ns, S)
    time_type = type(stamp)
    return replace(message, header=replace(message.header, stamp=time_type(seconds, nanoseconds)))


@pytest.fixture
def after_pause(digits_bag, rewritten):
    """The bag with what comes after 5 s moved, in recorded time and in header stamps.

    begin_s: what all of it is moved by.
    """

    def change(recorded_s: float, stamps_s: float, drop=(), begin_s: int = 0):
        begin_ns = []

        def move(time_ns, topic, message):
            begin_ns[:] = begin_ns or [time_ns]
            late = time_ns - begin_ns[0] >= PAUSE_NS
            if topic not in drop or not late:
                yield (
                    time_ns + begin_s * S + late * round(recorded_s * S),
                    topic,
                    message.__msgtype__,
                    moved(message, begin_s * S + late * round(stamps_s * S)),
                )

        return rewritten(digits_bag, move)

    return change


def decided(run) -> list[tuple]:
    return [
        (
            each.time_s,
            each.training_timesteps,
            each.inference_timesteps,
            each.learning_share,
            each.frame_share,
            each.reason,
        )
        for each in run.decisions
    ]


@pytest.mark.parametrize('settings', [FIXED, CONTROLLED], ids=lambda settings: settings.name)
def test_a_jump_of_55_years_costs_nothing_and_is_told(after_pause, digits_bag, settings, tmp_path):
    bag = after_pause(YEARS_55, YEARS_55, begin_s=10 - YEARS_55)  # 1970, then 2025
    run = evaluate(bag, settings)
    whole = evaluate(digits_bag, settings)
    assert len(run.frames) == len(whole.frames) == 150
    if settings is FIXED:
        np.testing.assert_array_equal(run.frames['label'], whole.frames['label'])
    assert run.jumps[0] == TimeJump(
        'recorded time', pytest.approx(4.9, abs=0.1), pytest.approx(YEARS_55 + 0.1, abs=0.1)
    )
    (line,) = described(run.jumps)
    assert line.startswith('recorded time: ahead by 17356896') and '(55.0 years)' in line
    # As long as without the jump, and a few rows more.
    assert run.bag_s == pytest.approx(whole.bag_s, abs=0.2)
    assert len(run.status) < len(whole.status) + 400
    assert figures(run).power_w == pytest.approx(figures(whole).power_w, rel=0.5)

    text = write_report(tmp_path / 'report', [run]).with_name('README.md').read_text()
    assert f'- {line}' in text and 'without a message' not in text
    shown = without_gaps(run)
    assert shown.frames['time_s'].max() < 16 and shown.status['time_s'].max() < 16


def every_period(monkeypatch, bag, settings):
    """The evaluation that leaves none out."""
    with monkeypatch.context() as patched:
        patched.setattr(running, 'QUIET_S', NEVER_S)
        return evaluate(bag, settings)


def agrees(sparse, dense) -> None:
    """What was skipped makes no difference to what is there."""
    assert decided(sparse) == decided(dense)
    assert len(sparse.status) < len(dense.status)
    by_time = {row['time_s']: row for row in dense.status}
    for row in sparse.status:
        for name in STATUS.names:
            # A plan of a mission may be a minute old, which is much at its end.
            rtol = math.inf if name in ('power_limit_w', 'mission_power_w') else 1e-6
            np.testing.assert_allclose(
                row[name], by_time[row['time_s']][name], rtol=rtol, err_msg=name
            )
    assert sparse.frames.tobytes() == dense.frames.tobytes()


@pytest.mark.parametrize('drop', [(), (BATTERY.name,)])
def test_in_a_quiet_stretch_the_controller_decides_as_if_every_period_were_worked_off(
    after_pause, monkeypatch, drop
):
    """Battery, stale after 30 s, and learner, budgets and a mission that ends within it."""
    bag = after_pause(700.25, 700.25, drop)
    settings = replace(
        CONTROLLED,
        controller=replace(
            CONTROLLER, budget_timeout=250.0, mission_duration=400.0, battery_timeout=33.0
        ),
    )
    sparse, dense = evaluate(bag, settings), every_period(monkeypatch, bag, settings)
    agrees(sparse, dense)
    quiet = [each for each in sparse.decisions if 10 < each.time_s < 700]
    assert any('BATTERY' in each.reason for each in quiet) and len(sparse.status) < 700


def test_a_budget_that_lapses_in_a_quiet_stretch_does_so_in_time(
    digits_bag, rewritten, monkeypatch
):
    begin_ns = []

    def lapsing(time_ns, topic, message):
        begin_ns[:] = begin_ns or [time_ns]
        if topic == BUDGET.name:
            message = replace(message, power=1e-6, lifetime=300.0)
        late = time_ns - begin_ns[0] >= 7 * S
        step_ns = late * 600 * S
        if topic != BUDGET.name or not late:
            yield time_ns + step_ns, topic, message.__msgtype__, moved(message, step_ns)

    bag = rewritten(digits_bag, lapsing)
    sparse, dense = evaluate(bag, CONTROLLED), every_period(monkeypatch, bag, CONTROLLED)
    agrees(sparse, dense)
    assert any(300 < each.time_s < 310 for each in sparse.decisions)


@pytest.mark.parametrize('stamps_s', [0, -3600])
def test_a_clock_that_was_set_back_is_told_and_nothing_is_lost(after_pause, digits_bag, stamps_s):
    whole = evaluate(digits_bag, FIXED)
    run = evaluate(after_pause(-3600, stamps_s), FIXED)
    assert described(run.jumps) == ['recorded time: back by 3599.900 s at 4.900 s']
    for name in ('label', 'predicted') + (() if stamps_s else ('stamp_ns', 'energy_j')):
        np.testing.assert_array_equal(run.frames[name], whole.frames[name])
    assert (np.diff(run.frames['time_s']) >= 0).all()


@pytest.mark.parametrize('step_s', [3600, -3600, YEARS_55 / 8, -1.5])
def test_header_stamps_that_jump_are_told(after_pause, step_s):
    run = evaluate(after_pause(0, step_s), FIXED)
    lines = described(run.jumps)
    assert len(run.frames) == 150
    way = 'ahead' if step_s > 0 else 'back'
    for topic in (IMAGE.name, LABEL.name):
        (line,) = [line for line in lines if f'header stamps of {topic}: ' in line]
        assert f' {way} by {abs(step_s):.3f} s' in line and ' at 5.0' in line


def test_what_was_lost_stands_in_the_report(events_bag, rewritten, tmp_path):
    """Whatever is counted and is not of what came and was done, also what is counted anew."""

    def broken(time_ns, topic, message):
        if topic == EVENTS.name and 100 <= message.seq < 159:
            message = replace(message, events=message.events[:-1])
        if topic == LABEL.name:
            message = moved(message, -3600 * S)
            message.until.sec = max(0, message.until.sec - 3600)
        yield time_ns, topic, message.__msgtype__, message

    learner = replace(LEARNER, event_window=0.16, event_min_count=20, label_wait=1.0)
    run = evaluate(rewritten(events_bag, broken), replace(FIXED, learner=learner))
    assert run.losses['events: truncated'] == 59 and run.losses['labels of no frame'] == 15
    text = write_report(tmp_path / 'report', [run]).with_name('README.md').read_text()
    assert '- events: truncated: 59' in text and '- labels of no frame: 15' in text
    assert 'Nothing was lost' not in text
    anew = replace(run, lost=(), counts={'messages': 7, 'eaten by mice': 3})
    text = write_report(tmp_path / 'anew', [anew]).with_name('README.md').read_text()
    assert '- eaten by mice: 3' in text and 'Nothing was lost' not in text
    whole = evaluate(events_bag, replace(FIXED, learner=learner))
    assert not whole.losses.keys() - {'events: discarded', 'events: untimed words'}


def test_many_jumps_are_few_lines():
    jumps = [
        TimeJump('header stamps of /image', float(number), -2.0 - number) for number in range(100)
    ]
    lines = described(jumps)
    assert len(lines) == 4
    assert lines[-1] == 'header stamps of /image: 97 more jumps, by 101.000 s at most'


@pytest.mark.parametrize(
    'steps_s, jumps',
    [
        ([(1.0, 1.0)] * 3, []),  # (stamps, recorded time)
        ([(3.0, 3.0)], []),
        ([(-0.5, 0.1)], []),
        ([(0.5, 0.1)], []),  # lost, in another order, late
        ([(0.5, 1.0)] * 3, []),  # a simulation that is slow
        ([(2.0, 0.1)], [1.9]),
        ([(-2.0, 0.1)], [-2.1]),
        ([(-60.0, -60.0)], []),
        ([(0.1, -60.0)], []),
    ],
)
def test_what_is_a_jump_of_stamps(steps_s, jumps):
    clock = StampClock('/image')
    stamp_ns = 10**18
    recorded = Recorded('/image', '', stamp_ns, stamp_ns, b'')
    found = [clock.jump(stamp_ns, recorded, 0.0)]
    for stamp_s, recorded_s in steps_s:
        stamp_ns += round(stamp_s * S)
        recorded = recorded._replace(
            recorded_ns=recorded.recorded_ns + round(recorded_s * S),
            time_ns=recorded.time_ns + round(max(0.0, recorded_s) * S),
        )
        found.append(clock.jump(stamp_ns, recorded, 0.0))
    assert [jump.step_s for jump in found if jump] == pytest.approx(jumps)
    assert clock.jump(0, recorded, 0.0) is None


def test_periods():
    periods = Periods(2.0, 0.1)
    assert periods.due_s == 2.1
    periods.go_on()
    assert periods.due_s == 2.0 + 2 * 0.1
    for time_s in (2.15, 100.0, 2.0 + 1_000_003 * 0.1, 1e9):
        periods.skip_to(time_s)
        assert periods.due_s <= max(time_s, 2.2) and periods.due_s + 0.1 > time_s
    never = Periods(2.0, math.inf)
    never.skip_to(1e12)
    assert never.due_s == math.inf
