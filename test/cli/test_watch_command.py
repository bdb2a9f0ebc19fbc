"""What `topspark watch` shows of a snapshot, without any process."""

from __future__ import annotations

import argparse
import io
import math

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

from rich.console import Console
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.cli import live_view, watch
from topspark_ros.control.battery import BatteryValidity
from topspark_ros.control.decision import Reason
from topspark_ros.nodes.observer import Health, Snapshot, Topic

NAN = math.nan


def learner(**fields) -> msg.LearnerStatus:
    return msg.LearnerStatus(
        **{
            'training_timesteps': 8,
            'inference_timesteps': 4,
            'learning_share': 1.0,
            'frame_share': 1.0,
            'frame_rate': 20.0,
            'latency_p50': 0.0042,
            'latency_p95': 0.0081,
            'inference_time': 0.0012,
            'power_estimated': 5.8e-5,
            'power_measured': NAN,
            'frames_classified': 1234,
            'recruited_neurons': 312,
            'accuracy': 0.955,
            'accuracy_window': 200,
            'energy_model': 'loihi',
        }
        | fields
    )


def controller(**fields) -> msg.ControllerStatus:
    return msg.ControllerStatus(
        **{
            'training_timesteps': 8,
            'inference_timesteps': 4,
            'learning_share': 1.0,
            'frame_share': 1.0,
            'expected_accuracy': 0.973,
            'expected_power': 5.5e-5,
            'power': 5e-5,
            'power_limit': NAN,
            'power_allowed': NAN,
            'mission_power': NAN,
            'energy_left': NAN,
            'time_left': NAN,
            'deadline': NAN,
            'min_accuracy': NAN,
            'state_of_charge': 0.631,
            'frame_rate': 20.0,
            'energy_correction': 1.31,
            'latency_correction': 0.92,
            'latency_overhead': 0.0031,
        }
        | fields
    )


def decision(**fields) -> msg.TimestepDecision:
    return msg.TimestepDecision(
        **{
            'sequence': 12,
            'training_timesteps': 8,
            'inference_timesteps': 4,
            'learning_share': 1.0,
            'frame_share': 1.0,
            'reason': Reason.POWER.value,
            'detail': 'allowed are 60 µW',
        }
        | fields
    )


def snapshot(**parts) -> Snapshot:
    state = Snapshot(now_s=100.0)
    for name, value in parts.items():
        setattr(state, name, value)
    return state


def lines(state: Snapshot) -> list[str]:
    """The view at 100 columns, without its frame."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live_view.view(state, title='robot', hint='Look at the namespace.'))
    text = console.export_text()
    assert max(map(len, text.splitlines())) == 100
    return [line.strip('│╭╮╰╯─ ') for line in text.splitlines()]


def row(state: Snapshot, name: str) -> str:
    """What stands beside `name`, the bar skipped."""
    line = next(line for line in lines(state) if line.startswith(name))
    return ' '.join(line.removeprefix(name).translate({ord(cell): None for cell in '█░'}).split())


def cells(state: Snapshot, name: str) -> int:
    """How full the bar beside `name` is."""
    return next(line for line in lines(state) if line.startswith(name)).count('█')


@pytest.mark.parametrize(
    'setting, shown',
    [
        ({}, 'T 4 in inference T 8 in training learning on all frames'),
        (
            {'learning_share': 0.0, 'frame_share': 0.5},
            'T 4 in inference T 8 in training learning off 50.0% of frames',
        ),
        ({'frame_share': 0.0}, 'T 4 in inference T 8 in training learning on paused'),
    ],
)
def test_timesteps_are_those_that_the_learner_applies(setting, shown):
    state = snapshot(learner=learner(**setting), controller=controller(inference_timesteps=64))
    assert row(state, 'Timesteps') == shown
    assert row(snapshot(controller=controller(**setting)), 'Timesteps') == shown


def test_accuracy_stands_beside_what_was_expected_and_the_floor():
    state = snapshot(learner=learner(), controller=controller(min_accuracy=0.9))
    assert row(state, 'Accuracy') == (
        '95.5% of the last 200 labelled frames 312 neurons expected 97.3% floor 90.0%'
    )
    assert 'floor' not in row(snapshot(learner=learner(), controller=controller()), 'Accuracy')


@pytest.mark.parametrize(
    'power_w, limit_w, shown, full',
    [
        (3e-5, 6e-5, '30 µW of 60 µW 50.0%', 0.5),
        (9e-5, 6e-5, '90 µW of 60 µW 150.0%', 1.0),
        (0.0, 6e-5, '0 W of 60 µW 0.0%', 0.0),
        (3e-5, 0.0, '30 µW of 0 W –', 1.0),
        (0.0, 0.0, '0 W of 0 W 0.0%', 0.0),
        (NAN, 6e-5, '– of 60 µW –', 0.0),
        (3e-5, NAN, '30 µW no limit', 0.0),
    ],
)
def test_power_is_a_bar_against_its_limit(power_w, limit_w, shown, full):
    state = snapshot(controller=controller(power=power_w, power_limit=limit_w))
    assert row(state, 'Power') == shown
    assert cells(state, 'Power') == full * live_view.BAR_CELLS


def test_power_without_a_controller_is_what_the_learner_measures():
    assert row(snapshot(learner=learner()), 'Power') == '58 µW no limit'
    state = snapshot(learner=learner(power_measured=2.5, meter='rapl'))
    assert row(state, 'Power') == '2.5 W no limit'
    assert 'measured by rapl' in lines(state)


def test_an_overdraft_is_told():
    state = snapshot(controller=controller(power_limit=6e-5, power_allowed=5e-5))
    assert any('allowed 50 µW: more was used before' in line for line in lines(state))
    state = snapshot(controller=controller(power_limit=6e-5, power_allowed=6e-5))
    assert not any('allowed' in line for line in lines(state))


def test_a_mission_is_shown_while_there_is_one():
    state = snapshot(
        controller=controller(energy_left=0.31, time_left=3900.0, mission_power=7.9e-5)
    )
    assert row(state, 'Mission') == '310 mJ left for 1 h 5 min 79 µW lasts to the end'
    state = snapshot(controller=controller(energy_left=0.31))
    assert row(state, 'Mission') == '310 mJ left'
    assert not any(line.startswith('Mission') for line in lines(snapshot(controller=controller())))


@pytest.mark.parametrize('battery', BatteryValidity)
def test_the_battery_says_what_is_known_of_it(battery):
    charge = 0.25 if battery == BatteryValidity.KNOWN else NAN
    state = snapshot(
        controller=controller(battery=battery.value, state_of_charge=charge),
        battery=BatteryState(voltage=2.5, current=NAN),
    )
    shown = '25.0%' if battery == BatteryValidity.KNOWN else '–'
    assert row(state, 'Battery') == f'{shown} {battery.name.lower()} 2.5 V'
    filled = live_view.BAR_CELLS / 4 if battery == BatteryValidity.KNOWN else 0
    assert cells(state, 'Battery') == filled


def test_latency_corrections_and_budgets():
    state = snapshot(
        learner=learner(), controller=controller(deadline=0.05, budget_sources=['mission', ''])
    )
    assert row(state, 'Latency') == (
        '4.2 ms median 95% within 8.1 ms deadline 50 ms inference 1.2 ms'
    )
    assert row(state, 'Corrected') == (
        'energy of the profile x 1.31 its inference time x 0.92 3.1 ms overhead'
    )
    assert row(state, 'Budgets') == 'mission, unnamed'


def test_the_last_decision_comes_first_with_its_reason():
    state = snapshot(controller=controller())
    state.decisions.extend(
        [
            decision(),
            decision(
                sequence=13, reason=Reason.ENERGY.value, learning_share=0.0, detail='[used] up'
            ),
        ]
    )
    shown = [' '.join(line.split()[1:]) for line in lines(state) if '#' in line]
    assert shown == ['#13 ENERGY T 4/– [used] up', '#12 POWER T 4/8 allowed are 60 µW']


def test_nodes_that_are_not_well_not_active_or_gone_are_warned_of():
    state = snapshot(
        controller=controller(),
        health={
            'a': Health(99.0, 0, 'learning', {'state': 'active'}),
            'b': Health(
                99.0, 1, 'some input was rejected', {'state': 'active', 'rejected on label': '3'}
            ),
            'c': Health(99.0, 0, 'inactive', {'state': 'inactive'}),
            'd': Health(80.0, 0, 'discharging', {'state': 'active'}),
            'e': Health(99.0, 2, 'configure: Traceback\n  boom', {'state': 'unconfigured'}),
        },
    )
    warnings = {
        'b': 'some input was rejected, 3 rejected on label',
        'c': 'inactive',
        'd': 'silent for 20 s; it said: discharging',
        'e': 'configure: Traceback boom',
    }
    shown = lines(state)
    begin = shown.index('Warnings') + 1
    assert dict(line.split(maxsplit=1) for line in shown[begin:-1]) == warnings
    text = live_view.line(state, 'hint')
    assert '\n' not in text and all(f'{name}: {said}' in text for name, said in warnings.items())


TOPICS = [
    Topic('/status', True, NAN, 0),
    Topic('/decision', False, 20.0, 1),
    Topic('/battery', True, 88.0, 1),
    Topic('/health', True, 99.0, 1),
    Topic('/other', True, NAN, 2, 'RELIABILITY'),
]
MISSING = [
    '/status (publishers: 0)',
    '/battery (publishers: 1, last heard 12 s ago)',
    '/other (publishers: 2, QoS that does not fit: RELIABILITY)',
]


def test_topics_that_do_not_come_are_named_with_their_publishers():
    state = snapshot(controller=controller(), topics=TOPICS)
    shown = lines(state)
    assert shown[shown.index('Not heard') + 1 : -1] == MISSING
    assert live_view.line(state, 'hint').endswith(' | '.join(MISSING))


def test_nothing_heard_tells_why_that_may_be():
    shown = lines(snapshot(topics=TOPICS))
    assert shown[shown.index('Nothing heard yet') + 1 : -1] == [
        *MISSING,
        '',
        'Look at the namespace.',
    ]
    state = snapshot(topics=TOPICS, elsewhere=['/robot1', '/robot2'])
    assert lines(state)[-2] == 'There is a learner in /robot1, /robot2.'
    assert live_view.line(state, 'hint').endswith(' | There is a learner in /robot1, /robot2.')


def test_one_line_tells_the_most_important():
    state = snapshot(learner=learner(), controller=controller(power_limit=6e-5))
    state.decisions.append(decision())
    assert live_view.line(state, 'hint') == (
        'T   4 infer   8 train | learning on, all frames | accuracy 95.5% | 20 Hz, latency 8.1 ms '
        '| 50 µW of 60 µW | charge 63.1% known | POWER'
    )


@pytest.mark.parametrize(
    'seconds, text',
    [
        (NAN, '–'),
        (59.0, '59 s'),
        (60.0, '1 min 0 s'),
        (3599.0, '59 min 59 s'),
        (3900.0, '1 h 5 min'),
        (90_000.0, '1 d 1 h'),
    ],
)
def test_periods(seconds, text):
    assert live_view.period(seconds) == text


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['--namespace', 'robot 1'], "--namespace is '/robot 1', accepted is a ROS name: "),
        (['--battery-topic', '3x'], "--battery-topic is '3x', accepted is a ROS name: "),
        (['--duration', '0'], '--duration is 0.0, accepted is above 0'),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, said):
    parser = argparse.ArgumentParser()
    watch.add_arguments(parser)
    with pytest.raises(ValueError) as rejected:
        watch.run(parser.parse_args(arguments))
    assert str(rejected.value).startswith(said) and '\n' not in str(rejected.value)
