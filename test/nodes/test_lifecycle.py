"""Transitions: what is kept, what is restored, what is rejected, and that services answer."""

from __future__ import annotations

import threading

from rig import Camera, composed, image, msg

import pytest
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from topspark_ros.nodes.executor import NodeExecutor
from topspark_ros.nodes.snn_learner import SnnLearner

LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'
CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
FAST = dict(status_period=0.05, queue_depth=20, training_timesteps=16, inference_timesteps=16)


def last_status(rig, statuses) -> msg.LearnerStatus:
    """The first status from now on."""
    statuses.clear()
    return rig.wait_for(lambda: statuses and statuses[-1], 'a status')


def wait_until_all_is_learned(rig, statuses) -> None:
    statuses.clear()
    rig.wait_for(
        lambda: statuses and statuses[-1].frames_learned == statuses[-1].frames_classified,
        'every frame to be learned',
    )


def test_a_lifecycle_cycle_keeps_the_weights_and_a_killed_node_resumes(rig, tmp_path):
    checkpoint = tmp_path / 'weights' / 'digits.ckpt'  # the folder is made
    process = rig.start(LEARNER, **FAST, checkpoint_file=str(checkpoint))
    rig.wait_until_active(LEARNER)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.teach(40)
    camera.show(image(camera.next_digit()[0]))  # so the last labelled one is learned
    wait_until_all_is_learned(rig, statuses)
    learned = last_status(rig, statuses)
    assert learned.recruited_neurons > 5 and learned.accuracy_window > 10
    assert rig.transit(LEARNER, DEACTIVATE) and rig.state(LEARNER) == 'inactive'
    assert checkpoint.exists()
    assert rig.transit(LEARNER, ACTIVATE)
    kept = last_status(rig, statuses)
    assert kept.recruited_neurons == learned.recruited_neurons
    assert (kept.accuracy, kept.accuracy_window) == (learned.accuracy, learned.accuracy_window)
    assert kept.frames_classified == kept.labels_received == 0  # counts are new
    assert kept.energy_total_estimated == 0.0
    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(
        lambda: (
            statuses[-1].frames_classified >= 2
            and statuses[-1].frames_received
            == (statuses[-1].frames_classified + statuses[-1].frames_dropped)
        )
    )
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
    assert checkpoint.read_bytes().startswith(b'topspark network')  # left as it was

    checkpoint.unlink()
    assert rig.transit(LEARNER, CONFIGURE) and rig.transit(LEARNER, ACTIVATE)


class WaitingLearner(SnnLearner):
    """Is configured when it may be: as of a first start, whose kernels take a minute."""

    def __init__(self, **options):
        super().__init__(**options)
        self.may_go_on = threading.Event()

    def configure(self):
        self.may_go_on.wait()
        super().configure()


@pytest.fixture
def waiting_learner(rig):
    node = WaitingLearner(
        namespace=rig.namespace, parameter_overrides=[Parameter('autostart', value=False)]
    )
    with composed(node, executor=NodeExecutor()):
        yield node
        node.may_go_on.set()


def test_services_answer_while_the_learner_configures(rig, waiting_learner):
    configured = rig.transit_async(LEARNER, CONFIGURE)
    rig.wait_for(lambda: rig.state(LEARNER) == 'configuring')
    assert not configured.done()
    waiting_learner.may_go_on.set()
    assert rig.answer(configured).success and rig.state(LEARNER) == 'inactive'


def test_a_second_configure_meanwhile_is_rejected(rig, waiting_learner):
    first = rig.transit_async(LEARNER, CONFIGURE)
    rig.wait_for(lambda: rig.state(LEARNER) == 'configuring')
    assert not rig.transit(LEARNER, CONFIGURE)
    waiting_learner.may_go_on.set()
    assert rig.answer(first).success
    assert rig.state(LEARNER) == 'inactive'


def test_a_node_that_waits_says_what_for(rig):
    process = rig.start(LEARNER, autostart=False)
    assert rig.state(LEARNER) == 'unconfigured'
    assert f'ros2 lifecycle set {rig.namespace}/snn_learner' in process.log


@pytest.mark.parametrize('transition_id', [ACTIVATE, DEACTIVATE, CLEANUP, 200])
def test_a_transition_that_the_state_does_not_have_is_rejected(waiting, transition_id):
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
