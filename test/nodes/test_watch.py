"""`topspark watch` as a process, over DDS, beside nodes that the test plays."""

from __future__ import annotations

import math
import signal
import subprocess
import time

from rig import TIMEOUT_S

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.control.decision import Reason
from topspark_ros.nodes import qos


class Watch:
    """The command, where there is no terminal, in a folder outside the checkout."""

    def __init__(self, rig, *arguments):
        self._rig = rig
        self._output = rig.folder / f'watch_{time.monotonic_ns()}.txt'
        with open(self._output, 'wb') as output:
            self.process = subprocess.Popen(
                ['topspark', 'watch', *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=rig.folder,
            )

    @property
    def text(self) -> str:
        return self._output.read_text(errors='replace')  # a character may be half written

    def wait(self) -> int:
        """The exit code; the rig spins meanwhile."""
        self._rig.wait_for(lambda: self.process.poll() is not None, 'the end of topspark watch')
        return self.process.returncode


@pytest.fixture
def watch(rig):
    started = []

    def start(*arguments) -> Watch:
        started.append(Watch(rig, *arguments))
        return started[-1]

    yield start
    for watching in started:
        watching.process.kill()
        watching.process.wait(TIMEOUT_S)


def play(rig) -> None:
    """Publish, twice a second, what nodes in the rig's namespace would."""
    unwell = DiagnosticStatus(
        level=DiagnosticStatus.WARN,
        hardware_id='topspark',
        name=f'{rig.namespace}/snn_learner'.lstrip('/'),
        message='no frame',
    )
    others = DiagnosticStatus(
        level=DiagnosticStatus.WARN,
        hardware_id='topspark',
        name='elsewhere/snn_learner',
        message='not of this robot',
    )
    messages = {
        'snn_learner/status': (
            msg.LearnerStatus(
                training_timesteps=8,
                inference_timesteps=4,
                learning_share=1.0,
                frame_share=1.0,
                power_measured=math.nan,
            ),
            qos.STATUS,
        ),
        'timestep_controller/status': (
            msg.ControllerStatus(power=3e-5, power_limit=6e-5, state_of_charge=0.5),
            qos.STATUS,
        ),
        'timestep_decision': (
            msg.TimestepDecision(sequence=7, reason=Reason.POWER.value, detail='allowed are 60 µW'),
            qos.STATE,
        ),
        'battery_state': (BatteryState(voltage=2.5, current=math.nan), qos.STATUS),
        '/diagnostics': (DiagnosticArray(status=[unwell, others]), qos.STATUS),
    }
    publishers = [
        (rig.node.create_publisher(type(message), topic, profile), message)
        for topic, (message, profile) in messages.items()
    ]
    for publisher, message in publishers:
        rig.node.create_timer(0.5, lambda p=publisher, m=message: p.publish(m))


def test_once_shows_what_is_published_and_ends(rig, watch):
    play(rig)
    watching = watch('--namespace', rig.namespace, '--once', '--duration', str(TIMEOUT_S))
    assert watching.wait() == 0, watching.text
    for shown in (
        'T 4 in inference',
        '30 µW of 60 µW',
        '50.0%   known   2.5 V',
        'allowed are 60 µW',
        'snn_learner  no frame',
    ):
        assert shown in watching.text
    assert 'not of this robot' not in watching.text and 'Not heard' not in watching.text


def test_lines_come_until_ctrl_c_which_ends_well(rig, watch):
    play(rig)
    watching = watch('--namespace', rig.namespace)
    rig.wait_for(lambda: watching.text.count('T   4 infer   8 train') >= 2, 'two lines')
    watching.process.send_signal(signal.SIGINT)
    assert watching.wait() == 0
    assert 'Traceback' not in watching.text


def test_nothing_heard_names_topics_publishers_and_the_namespace_of_a_learner(rig, watch):
    play(rig)
    short, long = watch('--once', '--duration', '0.1'), watch()
    rig.wait_for(lambda: f'There is a learner in {rig.namespace}.' in long.text, 'the namespace')
    for topic in (
        'snn_learner/status',
        'timestep_controller/status',
        'timestep_decision',
        'battery_state',
    ):
        assert f'/{topic} (publishers: 0)' in long.text
    assert short.wait() == 1
    assert 'Nothing heard yet' in short.text


def test_a_publisher_whose_qos_does_not_fit_is_told(rig, watch):
    publisher = rig.node.create_publisher(msg.LearnerStatus, 'snn_learner/status', qos.sensor(1))
    watching = watch('--namespace', rig.namespace)
    told = f'{publisher.topic} (publishers: 1, QoS that does not fit: RELIABILITY)'
    rig.wait_for(lambda: told in watching.text, told)
