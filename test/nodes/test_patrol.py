"""The patrol drives along the path, stops when it is to, and labels what the camera shows."""

from __future__ import annotations

import dataclasses
import math

from rig import msg

import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Twist
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo

from topspark_ros.nodes import qos
from topspark_ros.replay.worlds import make_world
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.panels import Optics, PanelFinder, Pose, load_gallery, save_gallery

OPTICS = Optics(320, 240, 277.0, 277.0, 160.0, 120.0)
STEP_S = 0.1


@pytest.fixture(scope='module')
def panels_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world')
    make_world(load_dataset('digits'), 8, 0, folder)
    return folder / 'panels.yaml'


class Robot:
    """A robot that does what it is told, and what comes out of the patrol."""

    def __init__(self, rig, panels_file, **parameters):
        self._rig = rig
        self.process = rig.start(
            'patrol', **{'panels_file': str(panels_file), 'pose_timeout': 60.0, **parameters}
        )
        self.gallery = load_gallery(panels_file)
        self.pose = Pose(self.gallery.path.radius_m, 0.0, math.pi / 2)
        self.time = 1000  # of a frame that has no pose
        self.velocities = rig.collect(Twist, 'cmd_vel')
        self.labels = rig.collect(msg.Label, 'label')
        # Publishers are discovered in their order: who hears the poses hears the frames too.
        self.look()
        self.time = 0
        # What is still under way has come when the answer to a pose the wrong way round has.
        start, self.pose = self.pose, Pose(*self.pose[:2], -math.pi / 2)
        rig.wait_for(lambda: (self.tell(), rig.spin(0.05), self._turns_round)[-1])
        self.pose = start
        self.tell()
        rig.wait_for(lambda: not self._turns_round, 'the answer to the last pose')

    @property
    def _turns_round(self) -> bool:
        return bool(self.velocities) and abs(self.velocities[-1].angular.z) > 1

    @property
    def stamp(self) -> Time:
        seconds, rest = divmod(self.time * round(STEP_S * 1e9), 10**9)
        return Time(sec=seconds, nanosec=rest)

    def step_of(self, message) -> int:
        stamp = message.header.stamp
        return round((stamp.sec + 1e-9 * stamp.nanosec) / STEP_S)

    def tell(self) -> None:
        pose = PoseStamped()
        pose.header.stamp = self.stamp
        pose.pose.position.x, pose.pose.position.y, yaw_rad = self.pose
        pose.pose.orientation.z = math.sin(yaw_rad / 2)
        pose.pose.orientation.w = math.cos(yaw_rad / 2)
        self._rig.publish('pose', pose, qos.STATUS)

    def look(self) -> None:
        optics = OPTICS
        info = CameraInfo(
            width=optics.width,
            height=optics.height,
            k=[
                optics.focal_x,
                0.0,
                optics.centre_x,
                0.0,
                optics.focal_y,
                optics.centre_y,
                0.0,
                0.0,
                1.0,
            ],
        )
        info.header.stamp, info.header.frame_id = self.stamp, 'eye'
        self._rig.publish('camera_info', info, qos.STATUS)

    def step(self) -> Twist:
        """Drive for a time step, tell the pose, and wait for the next velocity."""
        self.time += 1
        x, y, yaw = self.pose
        way = self.velocities[-1].linear.x * STEP_S
        turn = self.velocities[-1].angular.z * STEP_S
        self.pose = Pose(
            x + way * math.cos(yaw + turn / 2), y + way * math.sin(yaw + turn / 2), yaw + turn
        )
        count = len(self.velocities)
        self.tell()
        self._rig.wait_for(lambda: len(self.velocities) > count, 'a velocity')
        return self.velocities[-1]


def stands(velocity: Twist) -> bool:
    return velocity == Twist()


def moves(velocity: Twist) -> bool:
    return velocity.linear.x > 0


def test_it_drives_its_laps_and_labels_what_is_seen(rig, panels_file):
    robot = Robot(rig, panels_file, speed=0.5, laps=1, label_share=1.0)
    finder, seen = PanelFinder(robot.gallery), []
    while moves(robot.step()):
        off_m = math.hypot(*robot.pose[:2]) - robot.gallery.path.radius_m
        assert abs(off_m) < 0.02 and robot.time < 200
        panel = finder.in_view(robot.pose, OPTICS)
        seen.append(panel and panel.class_name)
        robot.look()
    assert math.remainder(math.atan2(*robot.pose[1::-1]), 2 * math.pi) == pytest.approx(0, abs=0.2)
    assert stands(robot.velocities[-1]) and stands(robot.step())
    rig.wait_for(lambda: rig.concern('patrol') == 'finished')
    rig.wait_for(lambda: rig.health('patrol', 'labels published') == str(len(robot.labels)))

    # Frames and poses are on topics of their own: the next pose may come first, or the last one
    # still hold.
    labelled = {robot.step_of(label): label.class_id for label in robot.labels}
    around = zip(range(2, len(seen)), seen, seen[1:], seen[2:])
    assert not [(time, names) for time, *names in around if labelled.get(time) not in names]
    assert {panel.class_name for panel in robot.gallery.panels} == set(labelled.values())
    assert all(label.header.frame_id == 'eye' for label in robot.labels)


def test_it_finds_back_to_the_path(rig, panels_file):
    robot = Robot(rig, panels_file, speed=0.5)
    robot.pose = Pose(robot.pose.x_m - 0.4, 0.3, -2.0)  # inside, and the wrong way round
    for _ in range(100):
        robot.step()
    assert math.hypot(*robot.pose[:2]) == pytest.approx(robot.gallery.path.radius_m, abs=0.02)
    assert moves(robot.velocities[-1])


def test_a_share_of_the_frames_is_labelled(rig, panels_file):
    robot = Robot(rig, panels_file, speed=0.0, label_share=0.25)
    panel = robot.gallery.panels[0]
    heading = math.atan2(panel.y_m, panel.x_m)
    radius_m = robot.gallery.path.radius_m
    robot.pose = Pose(
        radius_m * math.cos(heading), radius_m * math.sin(heading), heading + math.pi / 2
    )
    for _ in range(40):
        robot.step()
        robot.look()
    rig.wait_for(lambda: rig.health('patrol', 'frames of one panel') == '40', '40 frames')
    assert rig.health('patrol', 'labels published') == '10'
    rig.wait_for(lambda: len(robot.labels) == 10)
    assert {label.class_id for label in robot.labels} == {panel.class_name}

    robot.time += 5  # no pose of the robot is near enough to this frame in time
    robot.look()
    robot.time -= 5
    robot.step()
    robot.look()
    rig.wait_for(lambda: rig.health('patrol', 'frames of one panel') == '41', 'one more')


def test_two_objects_in_view_are_not_labelled(rig, panels_file, tmp_path):
    gallery = load_gallery(panels_file)
    panel = gallery.panels[0]
    beside = dataclasses.replace(panel, class_name='other', z_m=panel.z_m + 0.1, side_m=0.1)
    crowded = tmp_path / 'crowded.yaml'
    save_gallery(dataclasses.replace(gallery, panels=(panel, beside)), crowded)
    robot = Robot(rig, crowded, speed=0.5, label_share=1.0)
    for _ in range(10):
        robot.step()
        robot.look()
    rig.wait_for(lambda: float(rig.health('patrol', 'laps') or 0) > 0.1)
    assert rig.health('patrol', 'frames of one panel') == '0'


def test_it_stops_while_no_pose_comes(rig, panels_file):
    robot = Robot(rig, panels_file, pose_timeout=0.2)
    assert moves(robot.step())
    rig.wait_for(lambda: stands(robot.velocities[-1]), 'a stop')
    rig.wait_for(lambda: 'no pose' in rig.concern('patrol'))
    rig.wait_for(lambda: moves(robot.step()), 'it goes on')


def test_a_pose_that_is_none_is_rejected(rig, panels_file):
    robot = Robot(rig, panels_file)
    robot.pose = Pose(math.nan, 0.0, 0.0)
    robot.tell()
    rig.wait_for(lambda: rig.rejected('patrol', 'pose') == 1)
    assert all(math.isfinite(velocity.linear.x) for velocity in robot.velocities)


def test_it_stops_when_it_is_deactivated_or_ended(rig, panels_file):
    robot = Robot(rig, panels_file)
    assert moves(robot.step())
    assert rig.transit('patrol', Transition.TRANSITION_DEACTIVATE)
    rig.wait_for(lambda: stands(robot.velocities[-1]), 'a stop')
    rig.wait_until_unheard('pose')
    assert rig.transit('patrol', Transition.TRANSITION_ACTIVATE)
    assert moves(robot.step())
    robot.process.stop()
    rig.wait_for(lambda: stands(robot.velocities[-1]), 'a stop')


@pytest.mark.parametrize(
    'content, complaint',
    [
        (None, 'No such file or directory, accepted is a gallery in YAML'),
        ('path: {radius_m: 1.0}', 'accepted is the fields path, camera, panels'),
    ],
)
def test_a_panels_file_that_is_none_is_said_in_one_line(rig, tmp_path, content, complaint):
    path = tmp_path / 'panels.yaml'
    if content is not None:
        path.write_text(content)
    process = rig.start('patrol', panels_file=str(path))
    rig.wait_for(lambda: f'panels_file: {path}: ' in process.log and complaint in process.log)
    assert rig.state('patrol') == 'unconfigured' and 'Traceback' not in process.log
