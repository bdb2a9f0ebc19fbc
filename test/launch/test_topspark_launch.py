"""Two cameras of a robot, side by side: they come up, each hears its own, both the battery's and
operator's; Ctrl-C ends everything well."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from bringup import SHARE, Robot, environment, include

import launch_testing.actions
import launch_testing.asserts
import pytest
import yaml
from launch import LaunchDescription
from launch.actions import UnsetEnvironmentVariable

from topspark_ros import msg
from topspark_ros.control.decision import Reason
from topspark_ros.engine import load_checkpoint

NODES = ('snn_learner', 'timestep_controller')
FOLDER = tempfile.TemporaryDirectory()  # removed when the interpreter ends
LEFT, RIGHT = (Path(FOLDER.name) / f'{side}.topspark' for side in ('left', 'right'))


def parameters(name: str, **learner: object) -> str:
    path = Path(FOLDER.name) / f'{name}.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                '/**/snn_learner': {
                    'ros__parameters': {
                        'checkpoint_file': str(LEFT),
                        'status_period': 0.1,
                        **learner,
                    }
                }
            }
        )
    )
    return str(path)


@pytest.mark.launch_test
def generate_test_description():
    common = {'battery_topic': '/robot/battery_state', 'budget_topic': '/robot/power_budget'}
    return LaunchDescription(
        [
            *environment(),
            UnsetEnvironmentVariable('FASTRTPS_DEFAULT_PROFILES_FILE'),
            include(
                'topspark.launch.py',
                namespace='robot/left',
                image_topic='/robot/left/eye',
                params_file=parameters('left', picture_side=32),
                **common,
            ),
            # Its argument counts before what the file says.
            include(
                'topspark.launch.py',
                namespace='robot/right',
                image_topic='/robot/right/eye',
                params_file=parameters('right'),
                checkpoint_file=str(RIGHT),
                **common,
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    )


def setting_of(status: msg.LearnerStatus) -> tuple[float, ...]:
    """What may be less under a limit, that which is given up last first."""
    return (
        status.frame_share,
        status.learning_share,
        status.training_timesteps,
        status.inference_timesteps,
    )


class WhileItRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.left = Robot('robot/left', camera='eye')
        cls.right = Robot('robot/right')

    @classmethod
    def tearDownClass(cls):
        cls.left.close()
        cls.right.close()

    def test_1_all_nodes_become_active(self):
        self.left.wait_until_active(*NODES)
        self.right.wait_until_active(*NODES)

    def test_2_a_frame_in_gives_a_classification_out(self):
        self.left.wait_for(lambda: self.left.results, 'a classification')
        self.assertGreater(self.left.results[0].timesteps, 0)

    def test_3_a_budget_of_the_robot_changes_what_is_done(self):
        before = self.left.status(
            lambda status: (
                status.decision_sequence and status.labels_received > 10 and status.power_estimated
            ),
            'it works by a decision',
        )
        self.left.limit_power('/robot/power_budget', 0.1 * before.power_estimated)
        after = self.left.applied(Reason.POWER)
        self.assertLess(setting_of(after), setting_of(before))

    def test_4_the_other_camera_hears_nothing_of_it(self):
        self.right.statuses.clear()
        status = self.right.status(bool, 'a status')
        self.assertEqual((status.frames_received, status.labels_received), (0, 0))
        self.assertFalse(self.right.results)

    def test_5_camera_images_have_room_in_shared_memory(self, proc_info):
        environ = Path(f'/proc/{proc_info["snn_learner"].pid}/environ').read_bytes()
        self.assertIn(
            f'FASTRTPS_DEFAULT_PROFILES_FILE={SHARE}/config/fastdds_profile.xml'.encode(), environ
        )


@launch_testing.post_shutdown_test()
class AfterCtrlC(unittest.TestCase):
    def test_every_process_ended_well(self, proc_info):
        self.assertEqual(len(proc_info.processes()), 2 * len(NODES))
        launch_testing.asserts.assertExitCodes(proc_info)

    def test_the_learner_that_learned_saved_its_weights(self):
        left, names, _ = load_checkpoint(LEFT)
        self.assertEqual(left.config.side, 32)
        self.assertGreater(left.recruited_neurons, 0)
        self.assertTrue(names)
        self.assertFalse(RIGHT.exists())
