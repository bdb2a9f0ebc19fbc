"""The demos as launch files: frames or windows are learned, and all ends with the camera."""

from __future__ import annotations

from bringup import SHARE, Launched, Robot

import yaml
from plates import write_plates
from rcl_interfaces.srv import GetParameters

from topspark_ros.engine import load_checkpoint

FRAMES = 40


def test_the_demo_learns_and_ends_with_its_camera(tmp_path):
    content = yaml.safe_load((SHARE / 'config' / 'demo.yaml').read_text())
    content['/**/dataset_camera']['ros__parameters']['frames'] = FRAMES
    (tmp_path / 'short.yaml').write_text(yaml.safe_dump(content))
    weights = tmp_path / 'weights.topspark'
    with (
        Robot('demo') as robot,
        Launched(
            tmp_path,
            'demo.launch.py',
            namespace='demo',
            params_file=tmp_path / 'short.yaml',
            checkpoint_file=weights,
        ) as launch,
    ):
        robot.wait_for(lambda: not launch.running, 'the end')
        assert launch.wait() == 0, launch.log
    assert 'process has died' not in launch.log
    assert launch.log.count('process has finished cleanly') == 5
    assert f'all {FRAMES} frames shown' in launch.log
    assert len(robot.results) > FRAMES // 2  # the first may come before discovery
    assert robot.decisions
    network, names, _ = load_checkpoint(weights)
    assert network.recruited_neurons > 0 and names


def parameters_of(robot, node, *names):
    """rcl_interfaces/ParameterValue, of each name."""
    client = robot.node.create_client(GetParameters, f'{node}/get_parameters')
    robot.wait_for(client.service_is_ready, f'the service of {node}')
    asked = client.call_async(GetParameters.Request(names=names))
    robot.wait_for(asked.done, f'the parameters of {node}')
    return asked.result().values


def test_the_demo_with_photographs_of_a_folder(tmp_path):
    """Whole, in colour, as with `topspark demo --dataset`; all else as in the shipped file."""
    write_plates(tmp_path / 'plates', 10)
    with (
        Robot('demo') as robot,
        Launched(
            tmp_path, 'demo.launch.py', namespace='demo', dataset=tmp_path / 'plates'
        ) as launch,
    ):
        robot.wait_for(
            lambda: robot.statuses and robot.statuses[-1].frames_learned > FRAMES, 'learned frames'
        )
        view, depth = parameters_of(robot, 'snn_learner', 'picture_view', 'queue_depth')
        launch.interrupt()
        assert launch.wait() == 0, launch.log
    assert view.string_value == 'frame' and depth.integer_value == 100
    assert set(robot.results[-1].class_ids) <= {
        path.name for path in (tmp_path / 'plates').iterdir()
    }
    assert 'process has died' not in launch.log


def test_the_demo_with_an_event_camera_until_it_is_interrupted(tmp_path):
    with (
        Robot('demo') as robot,
        Launched(tmp_path, 'demo.launch.py', namespace='demo', input='events') as launch,
    ):
        robot.wait_for(
            lambda: (
                robot.statuses
                and robot.statuses[-1].frames_learned
                and robot.statuses[-1].labels_received
            ),
            'a window learned',
        )
        (profile,) = parameters_of(robot, 'timestep_controller', 'profile_file')
        launch.interrupt()
        assert launch.wait() == 0, launch.log
    assert profile.string_value.endswith('/config/profile_events.yaml')
    assert 'process has died' not in launch.log
    assert launch.log.count('process has finished cleanly') == 6
