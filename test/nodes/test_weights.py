"""The file of the weights: where it is, and what becomes of one that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

from rig import Camera, Rig, image, msg

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from topspark_ros.engine import create_network, load_checkpoint, save_checkpoint
from topspark_ros.perception.learner_parameters import SnnLearnerParameters

LEARNER = 'snn_learner'
FAST = dict(status_period=0.05, queue_depth=20, training_timesteps=16, inference_timesteps=16)


def teach(rig: Rig) -> None:
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.teach(10)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    rig.wait_for(lambda: statuses and statuses[-1].frames_learned >= 10)


def set_parameter(rig: Rig, name: str, value: str) -> None:
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    (result,) = rig.call(SetParameters, f'{LEARNER}/set_parameters', request).results
    assert result.successful, result.reason


def test_what_waits_for_its_label_when_the_learner_stops_is_in_the_file(rig, tmp_path):
    path = tmp_path / 'w.topspark'
    rig.start(LEARNER, **FAST, label_wait=10.0, checkpoint_file=str(path))
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    frame, name = camera.next_digit()
    camera.label(camera.show(image(frame)).header.stamp, name)
    rig.wait_for(lambda: statuses and statuses[-1].labels_received == 1)
    assert statuses[-1].labelled_neurons == 0
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    checkpoint = load_checkpoint(path)
    assert checkpoint.network.labelled_neurons > 0 and checkpoint.class_names == (name,)


def test_numbers_of_a_confidence_that_is_none_are_rejected(rig, tmp_path):
    path = tmp_path / 'w.topspark'
    network = create_network(SnnLearnerParameters().network_config())
    save_checkpoint(path, network, (), (0.5, 0.5))
    process = rig.start(LEARNER, checkpoint_file=str(path), autostart=False)
    assert not rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
    complaint = f'checkpoint_file: {path} is rejected: confidence is 2 numbers, accepted are 21'
    assert complaint in process.log and 'Traceback' not in process.log
    process.stop()


@pytest.mark.parametrize(
    'path, complaint',
    [
        ('', 'is a folder, accepted is a file'),
        ('file/w.topspark', 'file is no folder'),
        ('/proc/none/w.topspark', 'cannot be written: '),
        ('$NO_SUCH_FOLDER/w.topspark', '$NO_SUCH_FOLDER is not known here'),
    ],
)
def test_a_path_that_cannot_be_written_is_rejected_before_anything_is_learned(
    rig, tmp_path, path, complaint
):
    (tmp_path / 'file').touch()
    process = rig.start(LEARNER, checkpoint_file=f'{tmp_path / path}')
    rig.wait_for(lambda: complaint in process.log)
    (line,) = (line for line in process.log.splitlines() if complaint in line)
    assert 'checkpoint_file: ' in line and 'Traceback' not in process.log
    if '$' in path:  # as any parameter that makes no sense
        assert process.wait() != 0
        return
    assert rig.state(LEARNER) == 'unconfigured'
    rig.wait_for(lambda: 'configure: checkpoint_file: ' in rig.concern(LEARNER))


def test_weights_go_where_the_log_says(rig, tmp_path, monkeypatch):
    monkeypatch.setenv(
        'XDG_CACHE_HOME', os.environ.get('XDG_CACHE_HOME') or str(Path.home() / '.cache')
    )  # kernels stay compiled
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('ROBOT', 'left')
    process = rig.start(LEARNER, **FAST, checkpoint_file='~/$ROBOT/w.topspark')
    rig.wait_until_active(LEARNER)
    path = tmp_path / 'left' / 'w.topspark'
    assert f'weights: none yet, they go to {path}\n' in process.log and not path.exists()
    teach(rig)
    process.stop()
    assert load_checkpoint(path).network.recruited_neurons > 0
    assert not Path('~').exists()


def test_a_save_that_fails_is_an_error_until_one_succeeds_and_the_last_good_file_stays(
    rig, tmp_path
):
    folder = tmp_path / 'weights'
    path = folder / 'w.topspark'
    process = rig.start(LEARNER, **FAST, checkpoint_file=str(path), checkpoint_period=1.0)
    rig.wait_until_active(LEARNER)
    teach(rig)
    rig.wait_for(path.exists)
    saved = path.read_bytes()

    folder.rename(tmp_path / 'moved')
    folder.touch()
    teach(rig)
    rig.wait_for(lambda: rig.concern(LEARNER).startswith(f'weights are not saved: {path}'))
    answer = rig.call(Trigger, f'{LEARNER}/save_weights')
    assert not answer.success and str(path) in answer.message
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    # Nobody may think that it is safe to switch off now.
    rig.wait_for(
        lambda: (
            rig.health(LEARNER, 'state') == 'inactive'
            and rig.concern(LEARNER).startswith('weights are not saved: ')
        )
    )
    assert (tmp_path / 'moved' / 'w.topspark').read_bytes() == saved

    folder.unlink()
    assert rig.call(Trigger, f'{LEARNER}/save_weights').success
    rig.wait_for(lambda: rig.concern(LEARNER) == 'inactive')
    assert path.read_bytes() != saved and load_checkpoint(path)
    assert process.running and 'Traceback' not in process.log


def test_what_could_not_be_saved_at_deactivation_is_saved_when_the_node_is_cleaned_up(
    rig, tmp_path
):
    path = tmp_path / 'weights' / 'w.topspark'
    rig.start(LEARNER, **FAST, checkpoint_file=str(path), checkpoint_period=60.0)
    rig.wait_until_active(LEARNER)
    teach(rig)
    path.parent.rmdir()
    path.parent.touch()
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    rig.wait_for(lambda: rig.concern(LEARNER).startswith(f'weights are not saved: {path}'))
    path.parent.unlink()
    assert rig.transit(LEARNER, Transition.TRANSITION_CLEANUP)
    assert load_checkpoint(path).network.recruited_neurons > 0


def test_a_robot_takes_what_others_have_learned_while_it_runs_and_learns_on(rig, tmp_path):
    own, fleet = tmp_path / 'own.topspark', tmp_path / 'fleet.topspark'
    config = SnnLearnerParameters().network_config()
    others = create_network(config)
    rng = np.random.default_rng(0)
    others.learn_many(rng.random((6, config.inputs), np.float32), 4, np.array(3 * [0, 1]))
    save_checkpoint(fleet, others, ('cup', 'screw'))
    process = rig.start(LEARNER, **FAST, checkpoint_file=str(own), checkpoint_period=60.0)
    rig.wait_until_active(LEARNER)
    teach(rig)
    assert rig.call(Trigger, f'{LEARNER}/save_weights').success
    taught = set(load_checkpoint(own).class_names)

    missing = str(tmp_path / 'missing')
    for path, succeeds in ((missing, False), (str(fleet), True)):
        set_parameter(rig, 'load_file', path)
        answer = rig.call(Trigger, f'{LEARNER}/load_weights')
        assert answer.success == succeeds and path in answer.message
        assert rig.call(Trigger, f'{LEARNER}/save_weights').success
        known = ('cup', 'screw') if succeeds else taught
        assert set(load_checkpoint(own).class_names) == set(known)

    teach(rig)
    before = fleet.read_bytes()
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    network, class_names, _ = load_checkpoint(own)
    assert class_names[:2] == ('cup', 'screw') and len(class_names) > 2
    assert network.recruited_neurons == len(class_names)
    assert fleet.read_bytes() == before
    assert process.running and 'Traceback' not in process.log


def test_weights_of_others_are_saved_even_if_nothing_is_learned_after_them(rig, tmp_path):
    own, fleet = tmp_path / 'own.topspark', tmp_path / 'fleet.topspark'
    others = create_network(SnnLearnerParameters().network_config())
    save_checkpoint(fleet, others, ('cup',))
    rig.start(LEARNER, **FAST, checkpoint_file=str(own), load_file=str(fleet))
    rig.wait_until_active(LEARNER)
    assert rig.call(Trigger, f'{LEARNER}/load_weights').success
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    assert load_checkpoint(own).class_names == ('cup',)


def test_what_did_not_change_is_not_written(rig, tmp_path):
    path = tmp_path / 'w.topspark'
    save_checkpoint(path, create_network(SnnLearnerParameters().network_config()), ())
    before = path.stat()
    rig.start(LEARNER, **FAST, checkpoint_file=str(path), learning=False)
    rig.wait_until_active(LEARNER)
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    assert not camera.show(image(camera.next_digit()[0])).learning
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    # Switched on, it learns, and what it learned is kept.
    assert rig.call(SetBool, f'{LEARNER}/set_learning', SetBool.Request(data=True)).success
    assert rig.transit(LEARNER, Transition.TRANSITION_ACTIVATE)
    teach(rig)
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    assert load_checkpoint(path).network.recruited_neurons > 0
