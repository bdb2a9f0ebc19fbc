"""`topspark teach` and its like as processes, beside a learner and a camera."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rig import msg

import pytest
from std_srvs.srv import SetBool

from topspark_ros.nodes import qos

LEARNER = 'snn_learner'


class Command:
    """The command, where there is no terminal."""

    def __init__(self, rig, output: Path, *words: str):
        self._rig, self._output = rig, output
        with open(output, 'wb') as file:
            self.process = subprocess.Popen(
                ['topspark', *words],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=rig.folder,
                env=os.environ | {'PYTHONUNBUFFERED': '1'},
            )

    @property
    def text(self) -> str:
        return self._output.read_text(errors='replace')  # a character may be half written

    def type(self, line: str) -> None:
        """As a person at the terminal."""
        self.process.stdin.write(f'{line}\n'.encode())
        self.process.stdin.flush()

    def wait(self) -> int:
        """The exit code; the rig spins meanwhile."""
        self._rig.wait_for(lambda: self.process.poll() is not None, 'the end of the command')
        return self.process.returncode


@pytest.fixture
def command(shared_rig, tmp_path) -> Iterator:
    """Starts `topspark` in the rig's namespace, unless it names another."""
    started: list[Command] = []

    def start(*words: str, namespace: str = shared_rig.namespace) -> Command:
        output = tmp_path / f'{len(started)}.txt'
        started.append(Command(shared_rig, output, *words, '--namespace', namespace))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture(scope='module')
def classes(shared_rig):
    """What a learner, before a camera that shows digits, says of its classes."""
    classes = shared_rig.collect(msg.Classes, f'{LEARNER}/classes', qos.STATE)
    shared_rig.start(
        LEARNER, picture_side=28, status_period=0.05, label_wait=0.5, questions_per_hour=3600
    )
    shared_rig.wait_until_active(LEARNER)
    results = shared_rig.collect(msg.Classification, 'classification')
    shared_rig.start('dataset_camera', label_share=0.0, frame_rate=20.0)
    shared_rig.wait_for(lambda: results, 'a first frame')
    return classes


def test_a_class_is_taught_listed_renamed_and_forgotten(shared_rig, classes, command):
    teaching = command('teach', 'mug', '--for', '3')
    assert teaching.wait() == 0, teaching.text
    assert re.search(r'mug: \d s left \| seen as ', teaching.text)
    assert "examples of 'mug' were learned" in teaching.text
    shared_rig.latest(classes, lambda known: not known.taught and sum(known.frames) > 0)

    shown = command('classes')
    assert shown.wait() == 0
    assert shown.text.splitlines()[-1].split()[0] == 'mug'
    renaming = command('rename', 'mug', 'cup')
    assert renaming.wait() == 0 and renaming.text == "'mug' is 'cup' from now on\n"
    forgetting = command('forget', 'cup')
    assert forgetting.wait() == 0 and forgetting.text.startswith("'cup' is forgotten, of which ")
    shared_rig.latest(classes, lambda known: not known.class_ids)
    shown = command('classes')
    assert shown.wait() == 0 and shown.text == 'no class yet\n'


def test_ctrl_c_stops_it_and_ends_well(shared_rig, classes, command):
    teaching = command('teach', 'bus')
    shared_rig.wait_for(lambda: teaching.text.count('bus: until Ctrl-C | seen as bus') >= 2)
    teaching.process.send_signal(signal.SIGINT)
    assert teaching.wait() == 0, teaching.text
    assert 'Traceback' not in teaching.text
    assert "examples of 'bus' were learned" in teaching.text.splitlines()[-1]
    shared_rig.latest(classes, lambda known: not known.taught)


def test_it_ends_where_the_terminal_is_gone(shared_rig, classes, command):
    teaching = command('teach', 'car')
    shared_rig.latest(classes, lambda known: known.taught == 'car')
    teaching.process.kill()
    shared_rig.latest(classes, lambda known: not known.taught, 'the end of the teaching')


def test_where_nothing_is_learned_it_is_said_and_the_exit_code_tells(shared_rig, classes, command):
    set_learning = f'{LEARNER}/set_learning'
    assert shared_rig.call(SetBool, set_learning, SetBool.Request(data=False)).success
    teaching = command('teach', 'van', '--for', '1')
    code = teaching.wait()
    assert shared_rig.call(SetBool, set_learning, SetBool.Request(data=True)).success
    assert code == 1
    assert 'learned: nothing: the parameter learning is false' in teaching.text
    assert teaching.text.endswith("0 examples of 'van' were learned, 0 in all\n")


def test_questions_are_shown_and_their_answers_learned(shared_rig, classes, command):
    answering = command('answer')
    shared_rig.wait_for(lambda: answering.text.count('What is it?') == 1, 'a first question')
    answering.type('x' * 1000)  # no name
    shared_rig.wait_for(lambda: 'accepted: at most' in answering.text, 'the rejection')
    answering.type('tram')
    shared_rig.wait_for(lambda: "learned as 'tram'" in answering.text, 'the answer is learned')
    shared_rig.latest(classes, lambda known: 'tram' in known.class_ids)
    shared_rig.wait_for(lambda: answering.text.count('What is it?') == 3, 'another question')
    answering.type('-')
    answering.process.stdin.close()
    assert answering.wait() == 0, answering.text
    assert answering.text.endswith('\n1 answers, 1 of them learned\n')


def test_what_the_learner_rejects_is_one_line(classes, command):
    for words, told in (
        (['forget', 'lorry'], "topspark forget: class_id: 'lorry'; accepted: "),
        (['rename', 'lorry', 'truck'], "topspark rename: class_id: 'lorry'; accepted: "),
        (['teach', ' '], 'topspark teach: class_id: empty; accepted: '),
    ):
        rejected = command(*words)
        assert rejected.wait() == 2
        assert rejected.text.startswith(told) and rejected.text.count('\n') == 1


def test_where_no_learner_is_it_is_said_where_one_is(shared_rig, classes, command):
    lost = command('teach', 'mug', namespace='/nobody')
    assert lost.wait() == 2
    assert lost.text == (
        'topspark teach: no learner: /nobody/snn_learner does not answer. '
        f'There is a learner in {shared_rig.namespace}.\n'
    )


def test_a_name_that_ros_does_not_take_is_rejected(command):
    wrong = command('classes', namespace='/robot 1')
    assert wrong.wait() == 2
    assert wrong.text.startswith(
        "topspark classes: --namespace is '/robot 1', accepted is a ROS name"
    )
