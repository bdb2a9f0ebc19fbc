"""Patrol node: drives a simulated robot past panels, and teaches what they show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import PoseStamped, Twist
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CameraInfo

from topspark_ros import msg
from topspark_ros.nodes import diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault
from topspark_ros.nodes.parameters import parameter
from topspark_ros.perception.messages import stamp_ns
from topspark_ros.streams.circuit import Circuit
from topspark_ros.streams.panels import Optics, PanelFinder, PanelsError, Pose, load_gallery
from topspark_ros.streams.share import FrameShare

WATCH_PERIOD_S = 0.1
POSE_AGE_NS = 100_000_000  # a frame is not labelled by a pose that is further from it in time


@dataclass(frozen=True)
class PatrolParameters(ManagedParameters):
    """Parameters of the patrol."""

    panels_file: str = parameter(
        '',
        'panels.yaml of a world of `topspark make-world`: path, camera and panels.',
        fixed=True,
        path=True,
    )
    speed: float = parameter(0.4, 'Along the path.', unit='m/s', low=0.0, high=5.0)
    laps: int = parameter(0, 'Laps to drive, then stop; 0: for ever.', low=0, high=2**31 - 1)
    label_share: float = parameter(
        0.5,
        'Share of the frames that show exactly one panel whose label is published.',
        low=0.0,
        high=1.0,
    )
    pose_timeout: float = parameter(
        1.0, 'Time without a pose after which the robot is stopped.', unit='s', low=0.1, high=60.0
    )


class Patrol(ManagedNode[PatrolParameters]):
    """Follows the path, and labels the frames in which one panel is wholly in view, and no other.

    The robot stands still while no pose comes, after the last lap, and after deactivation.

    ROS Parameters:
        see :class:`PatrolParameters`, or `ros2 param describe`

    Subscribers:
        * pose (geometry_msgs/PoseStamped): of the robot in the world
        * camera_info (sensor_msgs/CameraInfo): stamps of the frames, and the camera's optics

    Publishers:
        * cmd_vel (geometry_msgs/Twist)
        * label (topspark_ros/Label): stamp of the frame
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = PatrolParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('patrol', **node_options)

    def configure(self) -> None:
        try:
            self._gallery = load_gallery(self.parameters.panels_file)
        except PanelsError as error:
            raise NodeFault(f'panels_file: {error}') from None
        self._finder = PanelFinder(self._gallery)
        self._velocity = self.create_lifecycle_publisher(Twist, 'cmd_vel', qos.STATUS)
        self._label = self.create_lifecycle_publisher(msg.Label, 'label', qos.LABEL)

    def activate(self) -> None:
        self._circuit = Circuit(self._gallery.path.radius_m)
        self._share = FrameShare()
        self._pose: Pose | None = None
        self._pose_ns = 0
        self._heard_s = -math.inf
        self._shown = self._labels = 0
        self.undo_with(self.publish_last, self._velocity, Twist())
        self.create_subscription(PoseStamped, 'pose', self._on_pose, qos.sensor(1))
        self.create_subscription(CameraInfo, 'camera_info', self._on_frame, qos.sensor(10))
        # Not of the node's clock, which may stand still just then.
        self.create_timer(
            WATCH_PERIOD_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _on_pose(self, message: PoseStamped) -> None:
        pose = _planar(message)
        if not all(map(math.isfinite, pose)):
            self.diagnostics.reject('pose', f'pose: {pose}; accepted: finite numbers')
            return
        self._pose = pose
        self._pose_ns = stamp_ns(message.header.stamp)
        self._heard_s = self.now_s()
        velocity = Twist()
        forward, turn = self._circuit.drive(pose, self.parameters.speed)
        if not self._finished:
            velocity.linear.x, velocity.angular.z = forward, turn
        self._velocity.publish(velocity)

    def _on_frame(self, message: CameraInfo) -> None:
        age_ns = abs(stamp_ns(message.header.stamp) - self._pose_ns)
        if self._pose is None or age_ns > POSE_AGE_NS:
            return
        optics = Optics(
            message.width, message.height, message.k[0], message.k[4], message.k[2], message.k[5]
        )
        panel = self._finder.in_view(self._pose, optics)
        if panel is None:
            return
        self._shown += 1
        if self._share.takes(self.parameters.label_share):
            self._label.publish(msg.Label(header=message.header, class_id=panel.class_name))
            self._labels += 1

    def _watch(self) -> None:
        if self._silent:
            self._velocity.publish(Twist())

    @property
    def _silent(self) -> bool:
        return not 0.0 <= self.now_s() - self._heard_s <= self.parameters.pose_timeout

    @property
    def _finished(self) -> bool:
        return 0 < self.parameters.laps <= self._circuit.laps

    def report(self) -> diagnostics.Report:
        values = {
            'laps': self._circuit.laps,
            'off the path [m]': self._circuit.off_m,
            'frames of one panel': self._shown,
            'labels published': self._labels,
        }
        if self._silent:
            topic = self.resolve_topic_name('pose')
            return (
                diagnostics.WARN,
                f'stopped: no pose on {topic} (publishers: {self.count_publishers(topic)})',
                values,
            )
        return diagnostics.OK, 'finished' if self._finished else 'driving', values


def _planar(message: PoseStamped) -> Pose:
    position, q = message.pose.position, message.pose.orientation
    yaw_rad = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
    return Pose(position.x, position.y, yaw_rad)
