"""What the nodes say: each thing once, by the one that knows why; at the debug level all of it."""

from __future__ import annotations

from every_node import alive, case  # noqa: F401  (a fixture)
from rig import Camera, composed, image, msg

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.parameter import Parameter

from topspark_ros.nodes import qos
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.nodes.timestep_controller import TimestepController

SUCCESS = TransitionCallbackReturn.SUCCESS
LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'


@pytest.fixture
def perception(rig):
    """Learner and controller in this process, whose log capfd sees."""
    learner = SnnLearner(
        namespace=rig.namespace, parameter_overrides=[Parameter('neurons', value=20)]
    )
    controller = TimestepController(namespace=rig.namespace)
    with composed(learner, controller):
        rig.wait_until_active(LEARNER)
        rig.wait_until_active(CONTROLLER)
        yield learner, controller


@pytest.mark.parametrize('level', [LoggingSeverity.INFO, LoggingSeverity.DEBUG])
def test_a_decision_is_explained_by_the_controller_alone(rig, perception, capfd, level):
    learner, controller = perception
    set_logger_level(learner.get_logger().name, level)
    camera = Camera(rig)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    decisions = rig.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(lambda: statuses and statuses[-1].decision_sequence > 0, 'a decision applied')
    rig.wait_for(lambda: decisions, 'the decision')
    shown = camera.show(image(camera.next_digit()[0]))
    camera.show(image(camera.next_digit()[0]))  # so what is to be said of that one is said
    lines = capfd.readouterr().err.splitlines()
    explained = [line for line in lines if decisions[0].detail in line]
    assert len(explained) == 1
    assert CONTROLLER in explained[0] and '[INFO]' in explained[0]
    of_learner = [line for line in lines if f'.{LEARNER}]' in line]
    debug = [line for line in of_learner if '[DEBUG]' in line]
    if level == LoggingSeverity.INFO:
        assert not debug and not any('decision' in line for line in of_learner)
    else:
        assert any('decision 1 is applied' in line for line in debug)
        assert any(
            f'frame {shown.header.stamp.sec}.' in line
            and f'T {shown.timesteps}' in line
            and 'latency' in line
            for line in debug
        )


def test_each_step_of_a_transition_and_each_refusal_is_told_at_the_debug_level(case, capfd):
    with alive(*case) as node:
        set_logger_level(node.get_logger().name, LoggingSeverity.DEBUG)
        try:
            assert node.trigger_configure() == node.trigger_activate() == SUCCESS
            made = capfd.readouterr().err
            for publisher in node.publishers:
                if getattr(publisher, 'is_activated', False):
                    assert f'made: LifecyclePublisher {publisher.topic_name}\n' in made
            for number in range(3):
                node.diagnostics.reject('somewhere', f'message {number}')
            told = capfd.readouterr().err.splitlines()
            assert [line.split(']')[0] for line in told] == ['[WARN', '[DEBUG', '[DEBUG']
            assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
            undone = capfd.readouterr().err
            assert undone.count('undoing: destroy_') + undone.count('undoing: pause') == made.count(
                'made: '
            )
        finally:
            set_logger_level(node.get_logger().name, LoggingSeverity.UNSET)
