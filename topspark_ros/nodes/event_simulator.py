"""Event simulator node: what an event camera would send in the place of a camera."""

from __future__ import annotations

import array
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import Image

from topspark_ros.engine import report_compilation
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters
from topspark_ros.nodes.parameters import parameter
from topspark_ros.streams.events import EventCamera, EventError, Evt3Encoder
from topspark_ros.streams.events.simulation import (
    MAX_INTERVAL_NS,
    MAX_NOISE_RATE_HZ,
    MAX_REFRACTORY_S,
    MIN_CONTRAST_THRESHOLD,
)
from topspark_ros.streams.images import ImageError

SILENT_S = 2.0  # node time without a frame after which one is missed


@dataclass(frozen=True)
class EventSimulatorParameters(ManagedParameters):
    """Parameters of the event camera."""

    contrast_threshold: float = parameter(
        0.2,
        'Change of the log intensity (natural) that makes an event.',
        low=MIN_CONTRAST_THRESHOLD,
        high=10.0,
        fixed=True,
    )
    refractory_period: float = parameter(
        0.001,
        'A pixel sends nothing for so long after an event.',
        unit='s',
        low=0.0,
        high=MAX_REFRACTORY_S,
        fixed=True,
    )
    noise_rate: float = parameter(
        0.0,
        'Events that each pixel sends at random.',
        unit='Hz',
        low=0.0,
        high=MAX_NOISE_RATE_HZ,
        fixed=True,
    )
    seed: int = parameter(0, 'Seed of the noise.', low=0, high=2**31 - 1, fixed=True)


class EventSimulator(ManagedNode[EventSimulatorParameters]):
    """Makes of a camera an event camera: one packet a frame, with the events since the one before.

    A packet has the header of its frame. Sensor time is the frames' stamp, of which evt3 keeps 24
    bits of microseconds; a frame without a stamp gets the node's time. Where frames change their
    size, or their stamps go back or leap, the camera starts again: with a packet without events
    whose `seq` is 0, like that of the first frame.

    ROS Parameters:
        see :class:`EventSimulatorParameters`, or `ros2 param describe`

    Subscribers:
        * image (sensor_msgs/Image: the encodings that the learner takes)

    Publishers:
        * events (event_camera_msgs/EventPacket, evt3)
        * /diagnostics (diagnostic_msgs/DiagnosticArray): frames, events, what was rejected
    """

    Parameters = EventSimulatorParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('event_simulator', **node_options)

    def configure(self) -> None:
        with report_compilation(self.get_logger().info):
            EventCamera(1, 1)  # compile, or load, the kernels
            Evt3Encoder(1, 1)
        self._publisher = self.create_lifecycle_publisher(EventPacket, 'events', qos.EVENTS)

    def activate(self) -> None:
        self._size: tuple[int, int] | None = None
        self._last_ns = 0
        self._frames = self._events = self._restarts = 0
        self._heard_s = math.nan
        self._reported = self.now_s(), 0, 0
        self._image = self.create_subscription(Image, 'image', self._on_image, qos.sensor(10))

    def _on_image(self, message: Image) -> None:
        header = message.header
        if conversions.stamp_ns(header.stamp) == 0:
            header.stamp = self.get_clock().now().to_msg()
        t_ns = conversions.stamp_ns(header.stamp)
        try:
            image = conversions.camera_image(message, self._last_ns, colour=False)
            events = self._observe(image.gray(), t_ns)
        except (ImageError, EventError) as error:
            self.diagnostics.reject('image', error)
            return
        self._publisher.publish(
            EventPacket(
                header=header,
                height=message.height,
                width=message.width,
                seq=self._seq,
                encoding='evt3',
                events=array.array('B', self._encoder.encode(events)),
            )
        )
        self._seq += 1
        self._last_ns = t_ns
        self._heard_s = self.now_s()
        self._frames += 1
        self._events += len(events)
        if self.debugging:
            self.get_logger().debug(f'frame {t_ns * 1e-9:.6f} s: {len(events)} events')

    def _observe(self, gray: np.ndarray, t_ns: int) -> np.ndarray:
        """The events since the frame before, from a camera that may have to start again."""
        height, width = gray.shape
        if gray.shape != self._size:
            p = self.parameters
            self._start_packets(width, height)
            self._camera = EventCamera(
                width, height, p.contrast_threshold, p.refractory_period, p.noise_rate, p.seed
            )
            self._size = height, width
            self.get_logger().info(f'frames of {width} x {height} pixels: the camera starts')
        restarts = self._camera.restarts
        events = self._camera.observe(gray, t_ns)
        if self._camera.restarts > restarts:
            self._start_packets(width, height)
            self._restarts += 1
            self.get_logger().warning(
                f'header.stamp: {t_ns * 1e-9:.3f} s after {self._last_ns * 1e-9:.3f} s; accepted: '
                f'up to {MAX_INTERVAL_NS * 1e-9:g} s later; the camera starts again',
                throttle_duration_sec=5.0,
            )
        return events

    def _start_packets(self, width: int, height: int) -> None:
        self._encoder = Evt3Encoder(width, height)
        self._seq = 0  # as of a driver that has started again: decoders begin anew

    def report(self) -> diagnostics.Report:
        now_s = self.now_s()
        (then_s, frames, events), self._reported = (
            self._reported,
            (now_s, self._frames, self._events),
        )
        passed_s = now_s - then_s
        per_s = 1.0 / passed_s if passed_s > 0.0 else math.nan  # NaN: the clock was set back
        level, message = diagnostics.OK, 'observing'
        if not 0.0 <= now_s - self._heard_s < SILENT_S:
            level = diagnostics.WARN
            topic = self._image.topic_name
            message = f'no frame on {topic} (publishers: {self.count_publishers(topic)})'
        return (
            level,
            message,
            {
                'frames': self._frames,
                'frame rate [Hz]': (self._frames - frames) * per_s,
                'events': self._events,
                'event rate [Hz]': (self._events - events) * per_s,
                'frames rejected': self.diagnostics.rejected,
                'restarts': self._restarts,
            },
        )
