"""What is known of the battery, from its messages: state of charge and energy left.

The state of charge is read from the first of these that is measured: percentage, charge over
capacity, voltage by a configured curve. A reading is believed at once when nothing is known (the
first one, one after a silence longer than the timeout, one after the clock was set back). Then:

- Jump: a reading further from the last than a battery can be discharged or charged in that time.
  A single one is passed over: the last state of charge stays, so that an outlier changes nothing.
  From the second in a row on the battery is IMPLAUSIBLE. A new level that lasts is believed (the
  battery was exchanged, or the gauge corrected itself); the old level is believed again at once.
- Stuck: a reading that does not change at all while the current that is reported has discharged a
  share of the capacity is IMPLAUSIBLE until it moves. Without a current or a capacity this cannot
  be seen, nor is it looked for while charging, or at 0, below which no reading falls.
- Silent: STALE after the timeout. Refused readings count as silence.

What is not KNOWN has no state of charge (NaN): it is neither full nor empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from numbers import Real

import numpy as np

from topspark_ros.errors import TopsparkError

from .correction import Smoothed
from .ranges import ABOVE_ZERO, FRACTION, RangeError

JUMP = 0.06  # smaller steps are none: a gauge in steps of 5 % does not jump
SETTLE_S = 10.0  # a new level is believed after this time,
SETTLE_READINGS = 3  # and so many readings
SAG_TIME_CONSTANT_S = 30.0  # voltage sags under load, that is no discharge

_SECONDS_AN_HOUR = 3600.0


class BatteryError(TopsparkError):
    """A reading or a setting was refused: one line with field, value and what is accepted."""


@dataclass(frozen=True)
class BatteryReading:
    """The fields of sensor_msgs/BatteryState that count here. NaN: unmeasured, as there.

    percentage: 0 to what it reads at a full battery.
    voltage_v: V.
    current_a: A, negative while discharging.
    charge_ah: Ah.
    capacity_ah: of the last full charge, Ah.
    design_capacity_ah: used while capacity_ah is unmeasured, Ah.
    """

    percentage: float = math.nan
    voltage_v: float = math.nan
    current_a: float = math.nan
    charge_ah: float = math.nan
    capacity_ah: float = math.nan
    design_capacity_ah: float = math.nan


@dataclass(frozen=True)
class BatterySettings:
    """How readings are understood.

    full_percentage: what `percentage` reads at a full battery, 1 as in the message's definition or
        100 as some drivers send; nothing is guessed. Above 0.
    voltage_curve: V at equally spaced states of charge, empty to full, two or more, strictly
        rising; empty: voltage tells nothing.
    timeout_s: a reading that is older is stale, s, above 0.
    min_discharge_s: least time in which the battery could be emptied, or charged, s, above 0.
    stuck_share: of the capacity, discharged while the reading stands still, for which it counts
        as stuck, 0..1; at least twice the smallest step that was seen.

    Raises BatteryError for a value out of its range.
    """

    full_percentage: float = 1.0
    voltage_curve: tuple[float, ...] = ()
    timeout_s: float = 10.0
    min_discharge_s: float = 120.0
    stuck_share: float = 0.03

    def __post_init__(self) -> None:
        try:
            for name, accepted in (
                ('full_percentage', ABOVE_ZERO), ('timeout_s', ABOVE_ZERO),
                ('min_discharge_s', ABOVE_ZERO), ('stuck_share', FRACTION),
            ):
                accepted.require(name, getattr(self, name))
        except RangeError as error:
            raise BatteryError(str(error)) from None
        curve = self.voltage_curve
        if not all(isinstance(volt, Real) and 0 < volt < math.inf for volt in curve) \
                or len(curve) == 1 or any(low >= high for low, high in zip(curve, curve[1:])):
            raise BatteryError(f'voltage_curve is {curve}, accepted is two or more finite numbers '
                               'above 0, strictly rising, or none')


class BatteryState(IntEnum):
    """What the state of charge is worth; values as in msg/ControllerStatus.msg."""

    KNOWN = 0
    UNKNOWN = 1
    STALE = 2
    IMPLAUSIBLE = 3


class BatteryMonitor:
    """What readings of a battery add up to. All times `now_s` are of one clock, s, and finite.

    When the clock is set back, everything is forgotten.

    source: what the last accepted reading was read from, 'percentage', 'charge' or 'voltage'; '':
        there is none.
    """

    def __init__(self, settings: BatterySettings) -> None:
        self._settings = settings
        self._now_s = -math.inf
        self._forget()

    def hear(self, now_s: float, reading: BatteryReading) -> None:
        """Take in a reading.

        Raises BatteryError for a percentage, charge or voltage that would be used but is out of
        range, and for a reading that tells no state of charge; the last one stays. Other values
        that are out of range count as unmeasured.
        """
        elapsed_s = self.age_s(now_s)
        source, told, state_of_charge = _read(reading, self._settings)
        if elapsed_s > self._settings.timeout_s:
            self._forget()
            elapsed_s = 0.0
        if source != self.source:
            self._sag_filter = Smoothed(SAG_TIME_CONSTANT_S, 0.0, 1.0)
        if source == 'voltage':
            first = math.isnan(self._sag_filter.value)
            # The first one counts as many: a sag soon after it is not to be half of the mean.
            self._sag_filter.measure(state_of_charge, SAG_TIME_CONSTANT_S if first else elapsed_s)
            state_of_charge = self._sag_filter.value
        self.source = source
        self._heard_s = now_s
        self._count_discharge(reading, elapsed_s)
        if self._is_believed(now_s, state_of_charge, elapsed_s):
            self._believe(reading, (source, told), state_of_charge)

    def state(self, now_s: float) -> BatteryState:
        age_s = self.age_s(now_s)
        if age_s == math.inf:
            return BatteryState.UNKNOWN
        if age_s > self._settings.timeout_s:
            return BatteryState.STALE
        if self._jumps > 1 or self._stuck:
            return BatteryState.IMPLAUSIBLE
        return BatteryState.KNOWN

    def state_of_charge(self, now_s: float) -> float:
        """0..1; NaN unless the state is KNOWN."""
        known = self.state(now_s) == BatteryState.KNOWN
        return self._state_of_charge if known else math.nan

    def energy_j(self, now_s: float) -> float:
        """What is left in the battery, J; NaN: unknown.

        State of charge times capacity (or the charge, where no capacity is known) times the
        voltage of that message. The voltage stands for the mean until empty, which is lower,
        by a tenth or so for a full lithium battery; under a heavy load it is too low itself.
        """
        known = self.state(now_s) == BatteryState.KNOWN
        return self._energy_j if known else math.nan

    def age_s(self, now_s: float) -> float:
        """Since the last accepted reading, s; inf: there is none, or the clock was set back."""
        if now_s < self._now_s:
            self._forget()
        self._now_s = now_s
        return now_s - self._heard_s

    def _forget(self) -> None:
        self.source = ''
        self._heard_s = -math.inf
        self._state_of_charge = math.nan
        self._energy_j = math.nan
        self._level: _Level | None = None  # that is believed
        self._new_level: _Level | None = None  # that readings jumped to
        self._jumps = 0  # readings in a row that were not believed
        self._told: tuple[str, float] | None = None  # source and value that was believed last
        self._resolution = 0.0  # smallest step seen, of the state of charge; 0: none
        self._discharged = 0.0  # share of the capacity, since the reading moved last
        self._stuck = False

    def _is_believed(self, now_s: float, state_of_charge: float, elapsed_s: float) -> bool:
        """Whether the reading goes on from the last, or a jump has lasted."""
        reach = elapsed_s / self._settings.min_discharge_s
        if self._level is None:
            self._level = _Level(state_of_charge, now_s)
        elif not self._level.follow(state_of_charge, reach):
            self._jumps += 1
            if self._new_level is None or not self._new_level.follow(state_of_charge, reach):
                self._new_level = _Level(state_of_charge, now_s)
            if not self._new_level.has_settled(now_s):
                return False
            self._level = self._new_level
        self._new_level = None
        self._jumps = 0
        return True

    def _believe(self, reading: BatteryReading, told: tuple[str, float],
                 state_of_charge: float) -> None:
        if told != self._told:
            step = abs(state_of_charge - self._state_of_charge)
            if 0.0 < step <= JUMP:
                self._resolution = min(self._resolution or step, step)
            self._told = told
            self._discharged = 0.0
            self._stuck = False
        self._state_of_charge = state_of_charge
        capacity_ah = _capacity_ah(reading)
        charge_ah = reading.charge_ah if math.isnan(capacity_ah) else state_of_charge * capacity_ah
        energy_j = charge_ah * _SECONDS_AN_HOUR * reading.voltage_v
        known = charge_ah >= 0.0 and 0.0 < reading.voltage_v and energy_j < math.inf
        self._energy_j = energy_j if known else math.nan

    def _count_discharge(self, reading: BatteryReading, elapsed_s: float) -> None:
        share = -reading.current_a * elapsed_s / (_SECONDS_AN_HOUR * _capacity_ah(reading))
        if math.isfinite(share) and self._state_of_charge > 0.0:
            self._discharged = max(0.0, self._discharged + share)
            if self._discharged > max(self._settings.stuck_share, 2.0 * self._resolution):
                self._stuck = True


@dataclass
class _Level:
    """A state of charge that moves no faster than that of a battery can.

    since_s: time of its first reading, s.
    readings: that it was made of.
    """

    value: float
    since_s: float
    readings: int = 1

    def follow(self, state_of_charge: float, reach: float) -> bool:
        """Move to a reading as far as it can have moved since the last; False: it is another's."""
        offset = state_of_charge - self.value
        if abs(offset) > JUMP + reach:
            return False
        # Not all the way, or jumps would add up to any speed.
        self.value += min(max(offset, -reach), reach)
        self.readings += 1
        return True

    def has_settled(self, now_s: float) -> bool:
        return self.readings >= SETTLE_READINGS and now_s - self.since_s >= SETTLE_S


def _read(reading: BatteryReading, settings: BatterySettings) -> tuple[str, float, float]:
    """(source, its value, state of charge 0..1)."""
    percentage, full = reading.percentage, settings.full_percentage
    if not math.isnan(percentage):
        if not 0.0 <= percentage <= full:
            raise BatteryError(f'percentage: {percentage:g}; accepted: 0 to {full:g} '
                               '(parameter full_percentage), or NaN')
        return 'percentage', percentage, percentage / full

    charge_ah, capacity_ah = reading.charge_ah, _capacity_ah(reading)
    if not math.isnan(charge_ah) and not math.isnan(capacity_ah):
        if not 0.0 <= charge_ah <= capacity_ah:
            raise BatteryError(f'charge: {charge_ah:g} Ah; accepted: 0 to the capacity of '
                               f'{capacity_ah:g} Ah, or NaN')
        return 'charge', charge_ah, charge_ah / capacity_ah

    voltage_v, curve = reading.voltage_v, settings.voltage_curve
    if not curve:
        raise BatteryError('percentage: nan, and no charge with a capacity; accepted: either of '
                           'them, or a voltage with the parameter voltage_curve')
    if not 0.0 < voltage_v < math.inf:
        raise BatteryError(f'voltage: {voltage_v:g} V, and neither percentage nor charge with a '
                           'capacity; accepted: any of them, voltage above 0')
    return 'voltage', voltage_v, float(np.interp(voltage_v, curve, np.linspace(0, 1, len(curve))))


def _capacity_ah(reading: BatteryReading) -> float:
    """The capacity, or else the design capacity, Ah; NaN: neither is known."""
    for capacity_ah in (reading.capacity_ah, reading.design_capacity_ah):
        if 0.0 < capacity_ah < math.inf:
            return capacity_ah
    return math.nan
