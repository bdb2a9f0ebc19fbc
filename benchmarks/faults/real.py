"""Real messages, as cameras, batteries and people send them."""

from __future__ import annotations

import array
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import BatteryState, CameraInfo, CompressedImage, Image

from benchmarks.processes import START_TIMEOUT_S, Robot
from topspark_ros import msg
from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.events import EventCamera, Evt3Encoder
from topspark_ros.streams.scenes import SceneRenderer

WIDTH, HEIGHT = 320, 240


def now() -> Time:
    sec, nanosec = divmod(time.time_ns(), 10**9)
    return Time(sec=sec, nanosec=nanosec)


class Digits:
    """Handwritten digits in front of a camera, each frame another one, and the class it shows."""

    def __init__(self, height: int = HEIGHT, width: int = WIDTH) -> None:
        self._height, self._width = height, width
        dataset = load_dataset('digits')
        scenes = SceneRenderer(dataset.images, seed=1, height=height, width=width)
        # Rendering takes longer than the learner does: a few are shown again and again.
        self._frames = [
            (scenes.render(index), dataset.class_names[dataset.labels[index]])
            for index in range(100)
        ]
        self._next = itertools.cycle(range(len(self._frames)))

    def image(self) -> tuple[Image, str]:
        """bgr8."""
        frame, name = self._frames[next(self._next)]
        image = Image(
            height=self._height,
            width=self._width,
            encoding='bgr8',
            step=3 * self._width,
            data=array.array('B', frame.tobytes()),
        )
        image.header.stamp, image.header.frame_id = now(), 'camera'
        return image, name

    def compressed(self) -> tuple[CompressedImage, str]:
        """JPEG."""
        frame, name = self._frames[next(self._next)]
        image = CompressedImage(
            format='jpeg', data=array.array('B', cv2.imencode('.jpg', frame)[1].tobytes())
        )
        image.header.stamp, image.header.frame_id = now(), 'camera'
        return image, name


class Camera:
    """Shows digits at a rate, each labelled, in the place of a camera and a teacher.

    stamp: of each frame; the machine's time unless something else keeps it.
    """

    def __init__(
        self,
        robot: Robot,
        rate_hz: float,
        compressed: bool = False,
        stamp: Callable[[], Time] = now,
    ):
        digits = Digits()
        self._make = digits.compressed if compressed else digits.image
        self._stamp = stamp
        self._robot = robot
        self._period_s = 1.0 / rate_hz
        self._due_s = time.monotonic()
        self.sent = 0
        self._frames = robot.node.create_publisher(
            CompressedImage if compressed else Image,
            'image/compressed' if compressed else 'image',
            qos.sensor(10),
        )
        self._labels = robot.node.create_publisher(msg.Label, 'label', qos.LABEL)

    def show(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Frames for so long; whether `until` came true."""
        end_s = time.monotonic() + seconds
        while not until():
            now_s = time.monotonic()
            if now_s >= end_s:
                return False
            if now_s >= self._due_s:
                self._send()
                # What a busy machine could not send in time is skipped, not sent in a burst.
                self._due_s = max(self._due_s, now_s - self._period_s) + self._period_s
            self._robot.spin(min(max(self._due_s - now_s, 0.0), end_s - now_s), until)
        return True

    def show_until(
        self, condition: Callable[[], object], what: str, timeout_s: float = START_TIMEOUT_S
    ) -> None:
        """TimeoutError if it never comes true."""
        if not self.show(timeout_s, condition):
            self._robot.wait_for(condition, what, 0.0)

    def _send(self) -> None:
        frame, name = self._make()
        frame.header.stamp = self._stamp()
        self._frames.publish(frame)
        self._labels.publish(msg.Label(header=frame.header, class_id=name))
        self.sent += 1


class EventPackets:
    """What an event camera sends of digits that jump from place to place, evt3."""

    def __init__(self) -> None:
        self._digits = Digits()
        self._camera = EventCamera(WIDTH, HEIGHT)
        self._encoder = Evt3Encoder(WIDTH, HEIGHT)
        self._seq = itertools.count()

    def packet(self) -> EventPacket:
        image, _ = self._digits.image()
        gray = cv2.cvtColor(
            np.frombuffer(image.data, np.uint8).reshape(HEIGHT, WIDTH, 3), cv2.COLOR_BGR2GRAY
        )
        events = self._camera.observe(gray, time.time_ns())
        return EventPacket(
            header=image.header,
            width=WIDTH,
            height=HEIGHT,
            encoding='evt3',
            seq=next(self._seq),
            events=array.array('B', self._encoder.encode(events)),
        )


def battery() -> BatteryState:
    state = BatteryState(
        voltage=2.5,
        current=-0.001,
        temperature=math.nan,
        charge=0.1,
        capacity=0.2,
        design_capacity=0.2,
        percentage=0.5,
        present=True,
        power_supply_status=BatteryState.POWER_SUPPLY_STATUS_DISCHARGING,
    )
    state.header.stamp = now()
    return state


def budget(source: str = 'operator', power_w: float = math.nan) -> msg.PowerBudget:
    """Of power alone; NaN: no limit."""
    message = msg.PowerBudget(
        source=source,
        power=power_w,
        energy=math.nan,
        duration=math.nan,
        deadline=math.nan,
        min_accuracy=math.nan,
        lifetime=math.nan,
    )
    message.header.stamp = now()
    return message


def decision(timesteps: int = 8) -> msg.TimestepDecision:
    message = msg.TimestepDecision(
        sequence=1,
        training_timesteps=timesteps,
        inference_timesteps=timesteps,
        learning_share=1.0,
        frame_share=1.0,
        detail='by hand',
    )
    message.header.stamp = now()
    return message


def examples() -> dict[type, Any]:
    """One message of each type that our nodes take."""
    digits, events = Digits(), EventPackets()
    events.packet()
    image, name = digits.image()
    label = msg.Label(header=image.header, class_id=name)
    info = CameraInfo(
        header=image.header,
        width=WIDTH,
        height=HEIGHT,
        distortion_model='plumb_bob',
        k=[300.0, 0.0, 160.0, 0.0, 300.0, 120.0, 0.0, 0.0, 1.0],
    )
    pose = PoseStamped(header=image.header)
    pose.pose.orientation.w = 1.0
    status = msg.LearnerStatus(
        header=image.header,
        training_timesteps=8,
        inference_timesteps=8,
        learning_share=1.0,
        frame_share=1.0,
        frame_rate=20.0,
        energy_model='loihi',
    )
    found = (
        image,
        digits.compressed()[0],
        events.packet(),
        battery(),
        budget(),
        decision(),
        label,
        info,
        pose,
        status,
    )
    return {type(message): message for message in found}
