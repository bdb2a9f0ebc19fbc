"""Our objects as messages. What messages say is read in `perception.messages`."""

from __future__ import annotations

import array
import math

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from topspark_ros import msg
from topspark_ros.control.controller import ControlStatus
from topspark_ros.control.decision import Decision
from topspark_ros.perception.messages import (  # noqa: F401  (two of them for the nodes)
    MessageError,
    camera_image,
    decision_fields,
    stamp_ns,
)
from topspark_ros.perception.online import Classification
from topspark_ros.streams import cdr

MAX_LOAD_W = 1e5


def stamp(nanoseconds: int) -> Time:
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def rgb_image(pixels: np.ndarray, header: cdr.Header) -> Image:
    """A picture, (height, width, 3) uint8 RGB, as a message."""
    height, width, channels = pixels.shape
    message = Image(
        height=height,
        width=width,
        encoding='rgb8',
        step=channels * width,
        data=array.array('B', pixels.tobytes()),
    )
    fill_header(message.header, header)
    return message


class ClassificationMessage:
    """One message, filled again for each result: to make one costs more than to classify."""

    def __init__(self) -> None:
        self._message = msg.Classification()
        self._class_names: tuple[str, ...] = ()

    def filled(
        self,
        result: Classification,
        header: cdr.Header,
        begin_ns: int,
        end_ns: int,
        latency_s: float,
    ) -> msg.Classification:
        """To be published before the next one is filled."""
        message = self._message
        fill_header(message.header, header)
        for time, time_ns in ((message.begin, begin_ns), (message.end, end_ns)):
            time.sec, time.nanosec = divmod(time_ns, 1_000_000_000)
        if result.class_names != self._class_names:
            self._class_names = result.class_names
            message.class_ids = list(result.class_names)
        message.empty = result.empty
        message.class_id, message.score = result.class_name or '', result.score
        message.confidence, message.unknown = result.confidence, result.unknown
        message.scores = array.array('f', result.scores.tobytes())
        message.timesteps, message.learning = result.timesteps, result.learning
        message.further_objects = sum(not each.empty for each in result.further)
        message.latency, message.energy = latency_s, result.frame_energy_j
        return message


def question_message(
    result: Classification, picture: np.ndarray, header: cdr.Header
) -> msg.Question:
    """picture: as of `rgb_image`."""
    order = np.argsort(-result.scores, kind='stable')
    message = msg.Question(
        image=rgb_image(picture, header),
        class_ids=[result.class_names[index] for index in order],
        scores=array.array('f', result.scores[order].tobytes()),
        confidence=result.confidence,
        unknown=result.unknown,
    )
    fill_header(message.header, header)
    return message


def fill_header(message: Header, header: cdr.Header) -> None:
    message.stamp.sec, message.stamp.nanosec = header.stamp
    message.frame_id = header.frame_id


def label_message(class_name: str, header: cdr.Header) -> msg.Label:
    """Of the frame with this header."""
    message = msg.Label(class_id=class_name)
    fill_header(message.header, header)
    return message


def status_message(fields: dict[str, object], stamp: Time) -> msg.LearnerStatus:
    """fields: as of `messages.status_fields`."""
    return msg.LearnerStatus(header=Header(stamp=stamp), **fields)


def decision_message(decision: Decision, sequence: int, stamp: Time) -> msg.TimestepDecision:
    return msg.TimestepDecision(header=Header(stamp=stamp), **decision_fields(decision, sequence))


def controller_status_message(
    status: ControlStatus, decision: Decision | None, sequence: int, meter: str, stamp: Time
) -> msg.ControllerStatus:
    """`decision`: the last one, None before the first; `sequence`: its number."""
    limits = status.limits
    message = msg.ControllerStatus(
        header=Header(stamp=stamp),
        decision_sequence=sequence,
        power=status.power_w,
        power_limit=limits.strictest_power_w,
        power_allowed=(math.nan if math.isinf(limits.allowed_power_w) else limits.allowed_power_w),
        mission_power=limits.mission_power_w,
        energy_left=limits.energy_j,
        time_left=limits.time_left_s,
        deadline=limits.deadline_s,
        min_accuracy=limits.min_accuracy,
        state_of_charge=status.state_of_charge,
        battery=int(status.battery),
        frame_rate=status.frame_rate_hz,
        energy_correction=status.energy_ratio,
        latency_correction=status.latency_ratio,
        latency_overhead=status.latency_overhead_s,
        timesteps=[each.timesteps for each in status.outlook],
        timesteps_accuracy=[each.accuracy for each in status.outlook],
        timesteps_energy=[each.energy_j for each in status.outlook],
        timesteps_latency=[each.latency_s for each in status.outlook],
        budget_sources=list(status.sources),
        meter=meter,
        expected_accuracy=math.nan,
        expected_power=math.nan,
    )
    if decision is not None:
        for field in (
            'training_timesteps',
            'inference_timesteps',
            'learning_share',
            'frame_share',
            'expected_accuracy',
        ):
            setattr(message, field, getattr(decision, field))
        message.reason = int(decision.reason)
        message.expected_power = decision.expected_power_w
    return message


def drawn_power_w(status: msg.LearnerStatus) -> float:
    """What perception draws, W: as measured, or else as estimated."""
    return getattr(status, _power_field(status))


def load_w(status: msg.LearnerStatus) -> float:
    """The same as the load of a battery; MessageError for a power that is none."""
    power_w = drawn_power_w(status)
    if not 0.0 <= power_w <= MAX_LOAD_W:
        raise MessageError(
            f'{_power_field(status)}: {power_w:g} W; accepted: 0 to {MAX_LOAD_W:g} W'
        )
    return power_w


def _power_field(status: msg.LearnerStatus) -> str:
    return 'power_estimated' if math.isnan(status.power_measured) else 'power_measured'
