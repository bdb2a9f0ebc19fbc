"""Learner and controller in one process with one executor, and the arguments of `ros2 run`."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

from rig import Camera, composed, image, msg

import pytest
from ament_index_python.packages import get_package_prefix
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from topspark_ros.control.decision import Reason
from topspark_ros.engine import load_checkpoint
from topspark_ros.nodes import qos
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.nodes.timestep_controller import TimestepController

LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'


def test_learner_and_controller_in_one_process(rig, tmp_path):
    checkpoint = tmp_path / 'weights.topspark'
    learner = SnnLearner(
        namespace=rig.namespace,
        parameter_overrides=[
            Parameter('checkpoint_file', value=str(checkpoint)),
            Parameter('status_period', value=0.05),
        ],
    )
    controller = TimestepController(namespace=rig.namespace)
    with composed(learner, controller):
        rig.wait_until_active(LEARNER)
        rig.wait_until_active(CONTROLLER)
        statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
        decisions = rig.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        camera = Camera(rig)
        camera.meet(lambda: image(camera.next_digit()[0]))
        camera.teach(20)
        before = rig.latest(
            statuses,
            lambda status: status.decision_sequence and status.recruited_neurons,
            'it learned, by a decision',
        )
        rig.publish(
            'power_budget',
            msg.PowerBudget(
                power=0.1 * before.power_estimated,
                energy=math.nan,
                duration=math.nan,
                deadline=math.nan,
                min_accuracy=math.nan,
                lifetime=math.nan,
            ),
            qos.STATE,
        )

        def limited() -> bool:
            camera.send(image(camera.next_digit()[0]))  # it spends while it sees
            return (
                decisions
                and decisions[-1].reason == Reason.POWER
                and statuses[-1].decision_sequence == decisions[-1].sequence
            )

        rig.wait_for(limited, 'the budget is kept')

        def effort(status: msg.LearnerStatus) -> tuple[float, ...]:
            return (
                status.frame_share,
                status.learning_share,
                status.inference_timesteps,
                status.training_timesteps,
            )

        assert effort(statuses[-1]) < effort(before)
    network, names, _ = load_checkpoint(checkpoint)
    assert network.recruited_neurons >= before.recruited_neurons > 0 and names


@pytest.fixture
def looking_elsewhere(rig, tmp_path):
    """A learner as `ros2 run` starts it, with each kind of ROS argument."""
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**/snn_learner:\n  ros__parameters: {picture_side: 32}\n')
    program = Path(get_package_prefix('topspark_ros')) / 'lib' / 'topspark_ros' / LEARNER
    process = subprocess.Popen(
        [
            program,
            '--ros-args',
            '-r',
            f'__ns:={rig.namespace}',
            '-r',
            'image:=eye/image',
            '--params-file',
            parameters,
            '-p',
            f'checkpoint_file:={tmp_path}/weights.topspark',
        ],
        cwd=tmp_path,
    )
    yield process
    process.terminate()
    assert process.wait() == 0


def test_an_executable_takes_the_arguments_of_ros(rig, tmp_path, looking_elsewhere):
    rig.wait_until_active(LEARNER)
    camera = Camera(rig, 'eye/image')
    camera.meet(lambda: image(camera.next_digit()[0]))
    assert rig.call(Trigger, f'{LEARNER}/save_weights').success
    looking_elsewhere.terminate()
    assert looking_elsewhere.wait() == 0
    assert load_checkpoint(tmp_path / 'weights.topspark').network.config.side == 32
