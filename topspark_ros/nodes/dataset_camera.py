"""Camera node: shows a dataset's real images as a camera would see them, with their labels."""

from __future__ import annotations

import array
import math
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.exceptions import InvalidHandle
from sensor_msgs.msg import Image

from topspark_ros import msg
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters
from topspark_ros.nodes.parameters import parameter
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.scenes import TURN_FRAMES, show_images

AT_ONCE_NS = 200_000  # a thread that waited for longer between two clocks reads both again


@dataclass(frozen=True)
class DatasetCameraParameters(ManagedParameters):
    """Parameters of the camera."""

    dataset: str = parameter(
        'digits',
        f'Images to show: {", ".join(DATASET_NAMES)}, or a folder with a sub-folder of photographs '
        'for each class.',
        fixed=True,
        path=True,
    )
    width: int = parameter(320, 'Columns of a frame.', unit='px', low=32, high=4096, fixed=True)
    height: int = parameter(240, 'Rows of a frame.', unit='px', low=32, high=4096, fixed=True)
    frame_rate: float = parameter(
        20.0, 'Frames a second.', unit='Hz', low=0.1, high=240.0, fixed=True
    )
    frames: int = parameter(
        0, 'Frames to show, then stop; 0: for ever.', low=0, high=2**31 - 1, fixed=True
    )
    frames_per_image: int = parameter(
        1,
        'Frames that show one image. 1: each stands still at a place of its own; more: it goes '
        f'round a small circle, once in {TURN_FRAMES}, for an event camera to see it.',
        low=1,
        high=10_000,
        fixed=True,
    )
    label_share: float = parameter(
        0.5,
        'Share of the images whose label is published, after the last frame of each.',
        low=0.0,
        high=1.0,
        fixed=True,
    )
    seed: int = parameter(
        0,
        'Seed of the order, the scenes and the choice of labels.',
        low=0,
        high=2**31 - 1,
        fixed=True,
    )
    wait_for_subscribers: bool = parameter(
        False,
        'Show nothing until both topics have a subscriber, so that no frame is lost to nobody.',
        fixed=True,
    )
    frame_id: str = parameter('camera', 'Frame of the header.', fixed=True)


class DatasetCamera(ManagedNode[DatasetCameraParameters]):
    """Publishes camera frames that show a dataset's images in random order.

    ROS Parameters:
        see :class:`DatasetCameraParameters`, or `ros2 param describe`

    Publishers:
        * image (sensor_msgs/Image, bgr8)
        * label (topspark_ros/Label): of a share of the images: the time from the first to the last
          frame that shows it
        * /diagnostics (diagnostic_msgs/DiagnosticArray): frames and labels published
    """

    Parameters = DatasetCameraParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('dataset_camera', **node_options)

    def configure(self) -> None:
        self._dataset = load_dataset(self.parameters.dataset, photographs=True)
        self._image = self.create_lifecycle_publisher(Image, 'image', qos.sensor(10))
        self._label = self.create_lifecycle_publisher(msg.Label, 'label', qos.LABEL)

    def activate(self) -> None:
        p = self.parameters
        self._views = show_images(
            self._dataset.images, p.height, p.width, p.frames_per_image, p.label_share, p.seed
        )
        self._frames = self._labels = 0
        self._timer = self.create_timer(1.0 / p.frame_rate, self._show)

    def _show(self) -> None:
        p = self.parameters
        if p.frames and self._frames == p.frames:
            return
        if (
            p.wait_for_subscribers
            and not self._frames
            and not (self._image.get_subscription_count() and self._label.get_subscription_count())
        ):
            return
        try:
            stamp = self._due_stamp()
        except InvalidHandle:  # deactivated at this very moment: the timer is gone
            return
        view = next(self._views)
        image = Image(
            height=p.height,
            width=p.width,
            encoding='bgr8',
            step=3 * p.width,
            data=array.array('B', view.frame.tobytes()),
        )
        image.header.stamp, image.header.frame_id = stamp, p.frame_id
        self._image.publish(image)
        self._frames += 1

        if view.number == 0:
            self._since = stamp
        if view.labelled:
            label = msg.Label(class_id=self._dataset.class_names[self._dataset.labels[view.index]])
            label.header.stamp, label.header.frame_id = self._since, p.frame_id
            if view.number:
                label.until = stamp
            self._label.publish(label)
            self._labels += 1
        if self._frames == p.frames:
            self.get_logger().info(f'all {p.frames} frames shown, {self._labels} labelled')
            self.diagnostics.publish()

    def _due_stamp(self) -> Time:
        """When the timer was due: a camera exposes on time, however late its frame is taken."""
        took_ns = math.inf
        while took_ns > AT_ONCE_NS:
            now_ns = self.get_clock().now().nanoseconds
            until_ns = self._timer.time_until_next_call()
            took_ns = self.get_clock().now().nanoseconds - now_ns
        return conversions.stamp(now_ns + until_ns - self._timer.timer_period_ns)

    def report(self) -> diagnostics.Report:
        done = self._frames == self.parameters.frames
        return (
            diagnostics.OK,
            'finished' if done else 'showing',
            {'frames published': self._frames, 'labels published': self._labels},
        )
