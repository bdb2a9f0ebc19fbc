"""All conversions between our objects and messages, in one place."""
from __future__ import annotations

import array
import math

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import BatteryState, Image
from std_msgs.msg import Header

from topspark_ros import msg
from topspark_ros.methodology.policy import Budget, Decision, PolicyError
from topspark_ros.perception.online import Classification, OnlineStatus, Timesteps


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


def classification_message(result: Classification, header: Header,
                           latency_s: float) -> msg.Classification:
    return msg.Classification(
        header=header, class_id=result.class_name or '', score=result.score,
        class_ids=list(result.class_names), scores=result.scores.tolist(),
        timesteps=result.timesteps, learning=result.learning, latency=latency_s,
        energy=result.energy_j)


def status_message(status: OnlineStatus, stamp: Time, *, received: int, dropped: int,
                   rejected: int, energy_model: str) -> msg.LearnerStatus:
    timesteps, totals, activity = status.timesteps, status.totals, status.activity
    return msg.LearnerStatus(
        header=Header(stamp=stamp), decision_sequence=timesteps.sequence,
        training_timesteps=timesteps.training, inference_timesteps=timesteps.inference,
        learning=timesteps.learning, frame_rate=activity.frame_rate_hz,
        learned_share=activity.learned_share, latency_p50=activity.latency_p50_s,
        latency_p95=activity.latency_p95_s, energy_estimated=activity.energy_j,
        power_estimated=activity.power_w, energy_measured=math.nan, power_measured=math.nan,
        energy_model=energy_model, frames_received=received, frames_classified=totals.classified,
        frames_dropped=dropped, frames_rejected=rejected, frames_learned=totals.learned,
        labels_received=totals.labels, labels_unmatched=totals.labels_unmatched,
        mean_input_spikes=activity.input_spikes, mean_output_spikes=activity.output_spikes,
        synaptic_operations=activity.synaptic_operations,
        recruited_neurons=status.recruited_neurons, labelled_neurons=status.labelled_neurons,
        accuracy=status.accuracy, accuracy_window=status.accuracy_frames)


def timesteps_from(decision: msg.TimestepDecision, accepted: tuple[int, ...],
                   greatest: int) -> Timesteps:
    """The decision as the learner applies it; ValueError naming the field if T is not accepted.

    accepted: the T of a profile; empty: 1 to `greatest`.
    """
    for field in ('training_timesteps', 'inference_timesteps'):
        value = getattr(decision, field)
        if accepted and value not in accepted:
            raise ValueError(f'{field}: {value}; accepted: one of the profile\'s '
                             f'{", ".join(map(str, accepted))}')
        if not 1 <= value <= greatest:
            raise ValueError(f'{field}: {value}; accepted: 1 to {greatest}')
    return Timesteps(decision.training_timesteps, decision.inference_timesteps,
                     decision.learning, decision.sequence)


def decision_message(decision: Decision, sequence: int, stamp: Time) -> msg.TimestepDecision:
    return msg.TimestepDecision(
        header=Header(stamp=stamp), sequence=sequence,
        training_timesteps=decision.training_timesteps,
        inference_timesteps=decision.inference_timesteps, learning=decision.learning,
        reason=int(decision.reason), detail=decision.detail,
        expected_accuracy=decision.expected_accuracy,
        expected_latency=decision.expected_latency_s, expected_energy=decision.expected_energy_j,
        expected_power=decision.expected_power_w)


_BUDGET_FIELDS = {'power_w': 'power', 'energy_j': 'energy', 'deadline_s': 'deadline',
                  'min_accuracy': 'min_accuracy'}


def budget_from(message: msg.PowerBudget) -> Budget:
    """The limits; ValueError, naming the message's field, if one is not acceptable."""
    try:
        return Budget(**{limit: getattr(message, field)
                         for limit, field in _BUDGET_FIELDS.items()})
    except PolicyError as error:
        limit, rest = str(error).split(' ', 1)
        raise ValueError(f'{_BUDGET_FIELDS[limit]} {rest}') from None


def drawn_power_w(status: msg.LearnerStatus) -> float:
    """What perception draws, W: as measured, or else as estimated."""
    return status.power_estimated if math.isnan(status.power_measured) else status.power_measured


def state_of_charge_from(message: BatteryState, full_percentage: float) -> float:
    """State of charge, 0..1.

    full_percentage: what `percentage` reads at a full battery, 1 as in the message's definition
        or 100 as some drivers send; nothing is guessed.

    Where percentage is NaN (unmeasured), charge over capacity is used. Raises ValueError for a
    percentage or a charge out of range, and where the message tells neither.
    """
    if not math.isnan(message.percentage):
        if not 0.0 <= message.percentage <= full_percentage:
            raise ValueError(f'percentage: {message.percentage:g}; accepted: 0 to '
                             f'{full_percentage:g} (parameter full_percentage), or NaN')
        return message.percentage / full_percentage
    capacity = message.capacity if message.capacity > 0 else message.design_capacity
    if math.isnan(message.charge) or not 0 < capacity < math.inf:
        raise ValueError('percentage: nan, and no charge with a capacity; accepted: either of them')
    if not 0.0 <= message.charge <= capacity:
        raise ValueError(f'charge: {message.charge:g} Ah; accepted: 0 to the capacity of '
                         f'{capacity:g} Ah, or NaN')
    return message.charge / capacity
