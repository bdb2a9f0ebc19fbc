"""The fields of messages, from ROS or from a bag, turned into values of ours and back."""

from __future__ import annotations

import math
from typing import Any

from topspark_ros.control.accuracy import AccuracyReport, Trial
from topspark_ros.control.battery import BatteryReading
from topspark_ros.control.budgets import Budget
from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.decision import Decision
from topspark_ros.control.ranges import RangeError
from topspark_ros.errors import TopsparkError
from topspark_ros.perception.activity import MAX_REMEMBERED, Measured
from topspark_ros.perception.online import OnlineStatus, Timesteps
from topspark_ros.perception.teaching import TimedLabel
from topspark_ros.streams.compressed import CompressedImage
from topspark_ros.streams.images import CameraImage, ImageError, RawImage

MAX_SOURCE_CHARACTERS = 100
_TRIAL_FIELDS = ('trial_timesteps', 'trial_in_force', 'trial_frames', 'trial_worse', 'trial_better')
MAX_DECISIONS = 2**63  # the numbers of decisions go on from there: they have to fit a message

Message = Any  # of the type that the function's docstring names


class MessageError(TopsparkError):
    """A field of a message is rejected: one line with its name, the value and what is accepted."""


def stamp_ns(stamp: Message) -> int:
    """builtin_interfaces/Time."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def camera_image(message: Message, last_stamp_ns: int, colour: bool = True) -> CameraImage:
    """A camera's frame, sensor_msgs/Image or CompressedImage.

    last_stamp_ns: of the frame before. colour: whether it will be asked for colours. Raises
    ImageError for a frame that cannot be read and for one with this stamp, but for 0: no stamp.
    """
    if last_stamp_ns != 0 and stamp_ns(message.header.stamp) == last_stamp_ns:
        raise ImageError('header.stamp: the same as of the frame before; accepted: each frame once')
    if hasattr(message, 'format'):
        return CompressedImage(message.format, message.data, colour)
    return RawImage(
        message.encoding,
        message.height,
        message.width,
        message.step,
        message.is_bigendian,
        message.data,
    )


def label_from(message: Message) -> TimedLabel:
    """A Label, or one of a recording made before labels could name a span of time."""
    until = getattr(message, 'until', None)
    return TimedLabel(
        stamp_ns(message.header.stamp), message.class_id, 0 if until is None else stamp_ns(until)
    )


def battery_reading(message: Message) -> BatteryReading:
    """sensor_msgs/BatteryState."""
    return BatteryReading(
        percentage=message.percentage,
        voltage_v=message.voltage,
        current_a=message.current,
        charge_ah=message.charge,
        capacity_ah=message.capacity,
        design_capacity_ah=message.design_capacity,
        present=message.present,
        supply=message.power_supply_status,
    )


_BUDGET_FIELDS = {
    'power_w': 'power',
    'energy_j': 'energy',
    'duration_s': 'duration',
    'deadline_s': 'deadline',
    'min_accuracy': 'min_accuracy',
    'lifetime_s': 'lifetime',
}


def budget_from(message: Message) -> Budget:
    """The limits of a PowerBudget; MessageError, naming the field, for one out of its range."""
    if len(message.source) > MAX_SOURCE_CHARACTERS:
        raise MessageError(
            f'source: {len(message.source)} characters; accepted: at most {MAX_SOURCE_CHARACTERS}'
        )
    try:
        return Budget(**{limit: getattr(message, field) for limit, field in _BUDGET_FIELDS.items()})
    except RangeError as error:
        limit, rest = str(error).split(' ', 1)
        raise MessageError(f'{_BUDGET_FIELDS[limit]} {rest}') from None


def budget_age_s(message: Message, now_ns: int, published_ns: int) -> float:
    """How long ago a PowerBudget was set, s, not below 0; one without a stamp: when published.

    now_ns, published_ns: on the clock of its stamp.
    """
    set_ns = stamp_ns(message.header.stamp) or published_ns
    return max(0.0, (now_ns - set_ns) * 1e-9)


def timesteps_from(message: Message) -> Timesteps:
    """A TimestepDecision as the learner applies it, unchecked: `Steering.apply` does that."""
    return Timesteps(
        message.training_timesteps,
        message.inference_timesteps,
        message.learning_share,
        message.sequence,
        message.frame_share,
    )


def decision_fields(decision: Decision, sequence: int) -> dict[str, Any]:
    """The fields of a TimestepDecision, without its header."""
    return dict(
        sequence=sequence,
        training_timesteps=decision.training_timesteps,
        inference_timesteps=decision.inference_timesteps,
        learning_share=decision.learning_share,
        frame_share=decision.frame_share,
        reason=int(decision.reason),
        detail=decision.detail,
        expected_accuracy=decision.expected_accuracy,
        expected_latency=decision.expected_latency_s,
        expected_energy=decision.expected_energy_j,
        expected_power=decision.expected_power_w,
    )


def status_fields(
    status: OnlineStatus,
    *,
    active_s: float,
    received: int,
    dropped: int,
    rejected: int,
    skipped: int,
    energy_model: str,
    measured: Measured = Measured(),
    meter: str = '',
) -> dict[str, Any]:
    """The fields of a LearnerStatus, without its header.

    active_s: time since activation, s.
    received, dropped, rejected, skipped: frames.
    """
    timesteps, totals, activity = status.timesteps, status.totals, status.activity
    return dict(
        decision_sequence=timesteps.sequence,
        training_timesteps=timesteps.training,
        inference_timesteps=timesteps.inference,
        learning_share=timesteps.learning_share,
        frame_share=timesteps.frame_share,
        frame_rate=activity.frame_rate_hz,
        learned_share=activity.learned_share,
        latency_p50=activity.latency_p50_s,
        latency_p95=activity.latency_p95_s,
        inference_time=activity.inference_s,
        energy_estimated=activity.energy_j,
        power_estimated=activity.power_w,
        energy_total_estimated=totals.energy_j,
        energy_total_learning=totals.learning_energy_j,
        energy_total_trials=totals.trial_energy_j,
        active_time=active_s,
        energy_measured=measured.energy_j,
        power_measured=measured.power_w,
        energy_total_measured=measured.total_j,
        frames_received=received,
        frames_classified=totals.classified,
        frames_dropped=dropped,
        frames_rejected=rejected,
        frames_skipped=skipped,
        frames_empty=totals.empty,
        frames_learned=totals.learned,
        labels_received=totals.labels,
        labels_unmatched=totals.labels_unmatched,
        labels_late=totals.labels_late,
        questions=totals.questions,
        answers=totals.answers,
        further_objects=totals.further_objects,
        mean_input_spikes=activity.input_spikes,
        mean_output_spikes=activity.output_spikes,
        synaptic_operations=activity.synaptic_operations,
        recruited_neurons=status.recruited_neurons,
        labelled_neurons=status.labelled_neurons,
        accuracy=status.accuracy,
        accuracy_window=status.accuracy_frames,
        trial_timesteps=[trial.timesteps for trial in status.trials],
        trial_in_force=[trial.in_force for trial in status.trials],
        trial_frames=[trial.frames for trial in status.trials],
        trial_worse=[trial.worse for trial in status.trials],
        trial_better=[trial.better for trial in status.trials],
        cost_timesteps=[cost.timesteps for cost in status.costs],
        cost_frames=[cost.frames for cost in status.costs],
        cost_energy=[cost.energy_j for cost in status.costs],
        cost_time=[cost.time_s for cost in status.costs],
        energy_model=energy_model,
        meter=meter,
    )


def learner_report(message: Message) -> LearnerReport:
    """The controller's part of a LearnerStatus; MessageError for a number that is out of range.

    Equal to `controlling.report_of` the status that the message was made of.
    """
    if message.decision_sequence >= MAX_DECISIONS:
        raise MessageError(
            f'decision_sequence: {message.decision_sequence}; accepted: below {MAX_DECISIONS}'
        )
    field = 'energy_total_measured' if message.meter else 'energy_total_estimated'
    energy_j = getattr(message, field)
    if not 0.0 <= energy_j < math.inf:
        raise MessageError(f'{field}: {energy_j:g}; accepted: a finite number from 0')
    parts_j = [0.0, 0.0]  # a meter tells no parts
    if not message.meter:
        for index, part in enumerate(('energy_total_learning', 'energy_total_trials')):
            parts_j[index] = getattr(message, part)
            if not 0.0 <= parts_j[index] <= energy_j:
                raise MessageError(
                    f'{part}: {parts_j[index]:g}; accepted: 0 to {field}, {energy_j:g}'
                )
    return LearnerReport(
        time_s=stamp_ns(message.header.stamp) * 1e-9,
        training_timesteps=message.training_timesteps,
        inference_timesteps=message.inference_timesteps,
        learning_share=message.learning_share,
        frame_share=message.frame_share,
        classified=message.frames_classified,
        skipped=message.frames_skipped,
        learned=message.frames_learned,
        further_objects=message.further_objects,
        energy_j=energy_j,
        learning_energy_j=parts_j[0],
        trial_energy_j=parts_j[1],
        frame_rate_hz=message.frame_rate,
        metered=bool(message.meter),
        decided=message.decision_sequence > 0,
        latency_s=message.latency_p95,
        inference_s=message.inference_time,
        active_s=message.active_time if 0.0 <= message.active_time < math.inf else 0.0,
        accuracy=_accuracy_report(message),
    )


def _accuracy_report(message: Message) -> AccuracyReport:
    if not (math.isnan(message.accuracy) or 0.0 <= message.accuracy <= 1.0):
        raise MessageError(f'accuracy: {message.accuracy:g}; accepted: 0 to 1, or NaN')
    columns = {field: list(getattr(message, field)) for field in _TRIAL_FIELDS}
    lengths = {field: len(values) for field, values in columns.items()}
    if max(lengths.values()) > MAX_REMEMBERED or len(set(lengths.values())) > 1:
        found = ', '.join(f'{field} {length}' for field, length in lengths.items())
        raise MessageError(f'lengths of {found}; accepted: all equal, at most {MAX_REMEMBERED}')
    for field in _TRIAL_FIELDS[2:]:
        for value in columns[field]:
            if not 0.0 <= value < math.inf:
                raise MessageError(f'{field}: {value:g}; accepted: finite numbers from 0')
    trials = tuple(Trial(*row) for row in zip(*columns.values()))
    return AccuracyReport(message.accuracy, message.accuracy_window, trials)
