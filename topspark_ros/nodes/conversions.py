"""All conversions between our objects and messages, in one place."""
from __future__ import annotations

import array
import math

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import BatteryState, CompressedImage, Image
from std_msgs.msg import Header

from topspark_ros import msg
from topspark_ros.methodology.battery import BatteryReading
from topspark_ros.methodology.budgets import Budget
from topspark_ros.methodology.closed_loop import LearnerReport
from topspark_ros.methodology.control import ControlStatus
from topspark_ros.methodology.policy import Decision
from topspark_ros.methodology.ranges import RangeError
from topspark_ros.perception.activity import Measured
from topspark_ros.perception.online import Classification, OnlineStatus, Timesteps
from topspark_ros.streams.images import ImageError, decode_compressed, to_gray


def stamp_ns(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamp(nanoseconds: int) -> Time:
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def rgb_image(pixels: np.ndarray, header: Header) -> Image:
    """A picture, (height, width, 3) uint8 RGB, as a message."""
    height, width, channels = pixels.shape
    return Image(header=header, height=height, width=width, encoding='rgb8',
                 step=channels * width, data=array.array('B', pixels.tobytes()))


def gray_image(message: Image | CompressedImage, last_stamp_ns: int) -> np.ndarray:
    """A camera's frame, (height, width) uint8.

    last_stamp_ns: of the frame before. Raises ImageError for a frame that cannot be read and for
        one with this stamp, but for 0: no stamp.
    """
    if last_stamp_ns != 0 and stamp_ns(message.header.stamp) == last_stamp_ns:
        raise ImageError('header.stamp: the same as of the frame before; accepted: each frame once')
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, message.data)
    return to_gray(message.encoding, message.height, message.width, message.step,
                   message.is_bigendian, message.data)


def classification_message(result: Classification, header: Header,
                           latency_s: float) -> msg.Classification:
    return msg.Classification(
        header=header, class_id=result.class_name or '', score=result.score,
        class_ids=list(result.class_names), scores=result.scores.tolist(),
        timesteps=result.timesteps, learning=result.learning, latency=latency_s,
        energy=result.energy_j)


def status_message(status: OnlineStatus, stamp: Time, *, received: int, dropped: int,
                   rejected: int, skipped: int, energy_model: str, measured: Measured,
                   meter: str) -> msg.LearnerStatus:
    timesteps, totals, activity = status.timesteps, status.totals, status.activity
    return msg.LearnerStatus(
        header=Header(stamp=stamp), decision_sequence=timesteps.sequence,
        training_timesteps=timesteps.training, inference_timesteps=timesteps.inference,
        learning=timesteps.learning, frame_share=timesteps.frame_share,
        frame_rate=activity.frame_rate_hz, learned_share=activity.learned_share,
        latency_p50=activity.latency_p50_s, latency_p95=activity.latency_p95_s,
        inference_time=activity.inference_s, energy_estimated=activity.energy_j,
        power_estimated=activity.power_w, energy_total_estimated=totals.energy_j,
        energy_measured=measured.energy_j, power_measured=measured.power_w,
        energy_total_measured=measured.total_j, frames_received=received,
        frames_classified=totals.classified, frames_dropped=dropped, frames_rejected=rejected,
        frames_skipped=skipped, frames_learned=totals.learned,
        labels_received=totals.labels, labels_unmatched=totals.labels_unmatched,
        mean_input_spikes=activity.input_spikes, mean_output_spikes=activity.output_spikes,
        synaptic_operations=activity.synaptic_operations,
        recruited_neurons=status.recruited_neurons, labelled_neurons=status.labelled_neurons,
        accuracy=status.accuracy, accuracy_window=status.accuracy_frames,
        energy_model=energy_model, meter=meter)


def timesteps_from(decision: msg.TimestepDecision, accepted: tuple[int, ...],
                   greatest: int) -> Timesteps:
    """The decision as the learner applies it; ValueError naming a field that is not accepted.

    accepted: the T of a profile; empty: 1 to `greatest`.
    """
    for field in ('training_timesteps', 'inference_timesteps'):
        value = getattr(decision, field)
        if accepted and value not in accepted:
            raise ValueError(f'{field}: {value}; accepted: one of the profile\'s '
                             f'{", ".join(map(str, accepted))}')
        if not 1 <= value <= greatest:
            raise ValueError(f'{field}: {value}; accepted: 1 to {greatest}')
    if not 0.0 <= decision.frame_share <= 1.0:
        raise ValueError(f'frame_share: {decision.frame_share:g}; accepted: 0 to 1')
    return Timesteps(decision.training_timesteps, decision.inference_timesteps,
                     decision.learning, decision.sequence, decision.frame_share)


def decision_message(decision: Decision, sequence: int, stamp: Time) -> msg.TimestepDecision:
    return msg.TimestepDecision(
        header=Header(stamp=stamp), sequence=sequence,
        training_timesteps=decision.training_timesteps,
        inference_timesteps=decision.inference_timesteps, learning=decision.learning,
        frame_share=decision.frame_share, reason=int(decision.reason), detail=decision.detail,
        expected_accuracy=decision.expected_accuracy,
        expected_latency=decision.expected_latency_s, expected_energy=decision.expected_energy_j,
        expected_power=decision.expected_power_w)


def controller_status_message(status: ControlStatus, decision: Decision | None, sequence: int,
                              meter: str, stamp: Time) -> msg.ControllerStatus:
    """`decision`: the last one, None before the first; `sequence`: its number."""
    limits = status.limits
    message = msg.ControllerStatus(
        header=Header(stamp=stamp), decision_sequence=sequence, power=status.power_w,
        power_limit=limits.strictest_power_w,
        power_allowed=(math.nan if math.isinf(limits.allowed_power_w)
                       else limits.allowed_power_w),
        mission_power=limits.mission_power_w, energy_left=limits.energy_j,
        time_left=limits.time_left_s, deadline=limits.deadline_s,
        min_accuracy=limits.min_accuracy, state_of_charge=status.state_of_charge,
        battery=int(status.battery), frame_rate=status.frame_rate_hz,
        energy_correction=status.energy_ratio, latency_correction=status.latency_ratio,
        latency_overhead=status.latency_overhead_s, budget_sources=list(status.sources),
        meter=meter, expected_accuracy=math.nan, expected_power=math.nan)
    if decision is not None:
        for field in ('training_timesteps', 'inference_timesteps', 'learning', 'frame_share',
                      'expected_accuracy'):
            setattr(message, field, getattr(decision, field))
        message.reason = int(decision.reason)
        message.expected_power = decision.expected_power_w
    return message


_BUDGET_FIELDS = {
    'power_w': 'power', 'energy_j': 'energy', 'duration_s': 'duration', 'deadline_s': 'deadline',
    'min_accuracy': 'min_accuracy', 'lifetime_s': 'lifetime'}


def budget_from(message: msg.PowerBudget) -> Budget:
    """The limits; ValueError, naming the message's field, if one is not acceptable."""
    try:
        return Budget(**{limit: getattr(message, field)
                         for limit, field in _BUDGET_FIELDS.items()})
    except RangeError as error:
        limit, rest = str(error).split(' ', 1)
        raise ValueError(f'{_BUDGET_FIELDS[limit]} {rest}') from None


def battery_reading(message: BatteryState) -> BatteryReading:
    return BatteryReading(
        percentage=message.percentage, voltage_v=message.voltage, current_a=message.current,
        charge_ah=message.charge, capacity_ah=message.capacity,
        design_capacity_ah=message.design_capacity)


def learner_report(message: msg.LearnerStatus) -> LearnerReport:
    """What the controller learns of the learner; ValueError for an energy that is none."""
    field = 'energy_total_measured' if message.meter else 'energy_total_estimated'
    energy_j = getattr(message, field)
    if not 0.0 <= energy_j < math.inf:
        raise ValueError(f'{field}: {energy_j:g}; accepted: a finite number from 0')
    return LearnerReport(
        time_s=stamp_ns(message.header.stamp) * 1e-9,
        training_timesteps=message.training_timesteps,
        inference_timesteps=message.inference_timesteps, learning=message.learning,
        frame_share=message.frame_share, classified=message.frames_classified,
        skipped=message.frames_skipped, learned=message.frames_learned, energy_j=energy_j,
        frame_rate_hz=message.frame_rate,
        metered=bool(message.meter), decided=message.decision_sequence > 0,
        latency_s=message.latency_p95, inference_s=message.inference_time)


def drawn_power_w(status: msg.LearnerStatus) -> float:
    """What perception draws, W: as measured, or else as estimated."""
    return status.power_estimated if math.isnan(status.power_measured) else status.power_measured
