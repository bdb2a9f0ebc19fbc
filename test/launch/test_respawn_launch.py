"""Killed nodes come back: the learner with its weights, the controller with the decision."""

from __future__ import annotations

import os
import signal
import tempfile
import unittest
from pathlib import Path

from bringup import SHARE, Robot, environment, include

import launch_testing.actions
import launch_testing.asserts
import pytest
from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable
from std_srvs.srv import Trigger

from topspark_ros.control.decision import Reason
from topspark_ros.engine import load_checkpoint

FOLDER = tempfile.TemporaryDirectory()  # removed when the interpreter ends
CHECKPOINT = Path(FOLDER.name) / 'weights.topspark'
OWN_PROFILE = Path(FOLDER.name) / 'own.xml'  # of Fast DDS


@pytest.mark.launch_test
def generate_test_description():
    OWN_PROFILE.write_bytes((SHARE / 'config' / 'fastdds_profile.xml').read_bytes())
    return LaunchDescription(
        [
            *environment(),
            SetEnvironmentVariable('FASTRTPS_DEFAULT_PROFILES_FILE', str(OWN_PROFILE)),
            include(
                'topspark.launch.py',
                namespace='robot',
                checkpoint_file=str(CHECKPOINT),
                respawn='true',
                respawn_delay='0.1',
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class WhileItRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot('robot', camera='image')

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def kill(self, proc_info, process: str) -> None:
        pid = proc_info[process].pid
        os.kill(pid, signal.SIGKILL)
        self.robot.wait_for(lambda: proc_info[process].pid != pid, f'{process} is back')

    def test_1_the_learner_goes_on_with_weights_and_decision(self, proc_info, proc_output):
        robot = self.robot
        learned = robot.status(
            lambda status: status.recruited_neurons > 5 and status.power_estimated, 'it learned'
        )
        robot.limit_power('power_budget', 0.1 * learned.power_estimated)
        before = robot.applied(Reason.POWER)
        self.assertTrue(robot.call(Trigger, 'snn_learner/save_weights').success)

        self.kill(proc_info, 'snn_learner')
        robot.statuses.clear()
        after = robot.applied(Reason.POWER)
        self.assertGreaterEqual(after.recruited_neurons, before.recruited_neurons)
        self.assertGreaterEqual(after.decision_sequence, before.decision_sequence)
        proc_output.assertWaitFor(f'resumed from {CHECKPOINT}: ', timeout=1)

    def test_2_the_controller_goes_on_with_the_budget(self, proc_info):
        self.kill(proc_info, 'timestep_controller')
        self.robot.decisions.clear()
        self.robot.applied(Reason.POWER)

    def test_3_a_profile_of_the_users_own_stays(self, proc_info):
        environ = Path(f'/proc/{proc_info["snn_learner"].pid}/environ').read_bytes()
        self.assertIn(f'FASTRTPS_DEFAULT_PROFILES_FILE={OWN_PROFILE}\0'.encode(), environ)


@launch_testing.post_shutdown_test()
class AfterCtrlC(unittest.TestCase):
    def test_every_process_ended_well_and_the_weights_are_saved(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
        network, names, _ = load_checkpoint(CHECKPOINT)
        self.assertGreater(network.recruited_neurons, 5)
        self.assertTrue(names)
