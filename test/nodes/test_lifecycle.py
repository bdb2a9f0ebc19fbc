"""Transitions: what is kept, what is restored, what is refused, and that services answer."""
from __future__ import annotations

import os
import threading

import pytest

from rig import Camera, image, msg

from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from topspark_ros.engine import NetworkConfig, create_network, save_checkpoint

LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'
CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
FAST = dict(status_period=0.05, queue_depth=20, training_timesteps=16, inference_timesteps=16)


def last_status(rig, statuses) -> msg.LearnerStatus:
    """The first status from now on."""
    statuses.clear()
    return rig.wait_for(lambda: statuses and statuses[-1], 'a status')


@pytest.fixture
def fifo(tmp_path):
    """A file that a reader waits for until the test writes it."""
    path = tmp_path / 'fifo'
    os.mkfifo(path)
    return path


def feed(fifo, content: bytes) -> None:
    """Write into the FIFO from a thread: opening it waits for the reader."""
    threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True).start()


def wait_until_all_is_learned(rig, statuses) -> None:
    statuses.clear()
    rig.wait_for(lambda: statuses and statuses[-1].frames_learned == statuses[-1].frames_classified,
                 'every frame to be learned')


def test_a_lifecycle_cycle_keeps_the_weights_and_a_killed_node_resumes(rig, tmp_path):
    checkpoint = tmp_path / 'weights' / 'digits.ckpt'      # the folder is made
    process = rig.start(LEARNER, **FAST, checkpoint_file=str(checkpoint))
    rig.wait_until_active(LEARNER)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.teach(40)
    camera.show(image(camera.next_digit()[0]))      # so the last labelled one is learned
    wait_until_all_is_learned(rig, statuses)
    learned = last_status(rig, statuses)
    assert learned.recruited_neurons > 10 and learned.accuracy_window > 10
    assert rig.transit(LEARNER, DEACTIVATE) and rig.state(LEARNER) == 'inactive'
    assert checkpoint.exists()
    assert rig.transit(LEARNER, ACTIVATE)
    kept = last_status(rig, statuses)
    assert kept.recruited_neurons == learned.recruited_neurons
    assert (kept.accuracy, kept.accuracy_window) == (learned.accuracy, learned.accuracy_window)
    assert kept.frames_classified == kept.labels_received == 0      # counts are new
    assert kept.energy_total_estimated == 0.0
    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(lambda: statuses[-1].frames_classified >= 2 and statuses[-1].frames_received == (
        statuses[-1].frames_classified + statuses[-1].frames_dropped))
    wait_until_all_is_learned(rig, statuses)
    kept = last_status(rig, statuses)

    assert rig.transit(LEARNER, DEACTIVATE) and rig.transit(LEARNER, CLEANUP)
    assert rig.state(LEARNER) == 'unconfigured'
    assert rig.transit(LEARNER, CONFIGURE) and rig.transit(LEARNER, ACTIVATE)
    restored = last_status(rig, statuses)
    assert restored.recruited_neurons == kept.recruited_neurons
    assert restored.accuracy_window == 0

    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.teach(10)
    before = camera.show(image(camera.next_digit()[0]))
    wait_until_all_is_learned(rig, statuses)
    assert rig.call(Trigger, 'snn_learner/save_weights').success
    neurons = last_status(rig, statuses).recruited_neurons
    process.kill()
    statuses.clear()

    rig.start(LEARNER, **FAST, checkpoint_file=str(checkpoint))
    resumed = rig.wait_for(lambda: statuses and statuses[-1], 'a status of the new process')
    assert resumed.recruited_neurons == neurons
    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    assert list(camera.results[0].class_ids) == list(before.class_ids)


def test_a_corrupt_checkpoint_leaves_the_node_unconfigured_with_one_line(rig, tmp_path):
    checkpoint = tmp_path / 'broken.ckpt'
    checkpoint.write_bytes(b'topspark network' + bytes(100))
    process = rig.start(LEARNER, checkpoint_file=str(checkpoint))
    rig.wait_for(lambda: str(checkpoint) in process.log)
    assert rig.state(LEARNER) == 'unconfigured' and process.running
    lines = [line for line in process.log.splitlines() if str(checkpoint) in line]
    assert len(lines) == 1 and 'configure: ' in lines[0] and 'Traceback' not in process.log
    rig.wait_for(lambda: str(checkpoint) in rig.concern(LEARNER), 'diagnostics say so')
    assert checkpoint.read_bytes().startswith(b'topspark network')      # left as it was

    checkpoint.unlink()
    assert rig.transit(LEARNER, CONFIGURE) and rig.transit(LEARNER, ACTIVATE)


def test_services_answer_while_the_learner_configures(rig, fifo, tmp_path):
    whole = tmp_path / 'whole.ckpt'
    save_checkpoint(whole, create_network(NetworkConfig(neurons=400)), ())
    process = rig.start(LEARNER, autostart=False, checkpoint_file=str(fifo))
    assert rig.state(LEARNER) == 'unconfigured'
    assert f'ros2 lifecycle set {rig.namespace}/snn_learner' in process.log
    configured = rig.transit_async(LEARNER, CONFIGURE)
    rig.wait_for(lambda: rig.state(LEARNER) == 'configuring')
    assert not configured.done()
    feed(fifo, whole.read_bytes())
    assert rig.answer(configured).success and rig.state(LEARNER) == 'inactive'


def test_a_second_configure_meanwhile_is_refused(rig, fifo, shipped_profile):
    process = rig.start(LEARNER, autostart=False, profile_file=str(fifo))
    first = rig.transit_async(LEARNER, CONFIGURE)
    rig.wait_for(lambda: rig.state(LEARNER) == 'configuring')
    assert not rig.transit(LEARNER, CONFIGURE)
    feed(fifo, shipped_profile.read_bytes())
    assert rig.answer(first).success
    assert rig.state(LEARNER) == 'inactive' and process.running


@pytest.mark.parametrize('transition_id', [ACTIVATE, DEACTIVATE, CLEANUP, 200])
def test_a_transition_that_the_state_does_not_have_is_refused(waiting, transition_id):
    assert not waiting.rig.transit(CONTROLLER, transition_id)
    assert waiting.rig.state(CONTROLLER) == 'unconfigured'
    assert waiting.running


@pytest.fixture(scope='module')
def waiting(shared_rig):
    process = shared_rig.start(CONTROLLER, autostart=False)
    process.rig = shared_rig
    return process


def test_shutdown_ends_the_life_but_not_the_process(rig):
    process = rig.start(CONTROLLER)
    rig.wait_until_active(CONTROLLER)
    assert rig.transit(CONTROLLER, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert rig.state(CONTROLLER) == 'finalized' and process.running


def test_interrupted_while_it_configures_a_node_ends_well(rig, fifo, shipped_profile):
    process = rig.start(LEARNER, profile_file=str(fifo))
    rig.wait_for(lambda: rig.state(LEARNER) == 'configuring')
    feed(fifo, shipped_profile.read_bytes())
    process.stop()
