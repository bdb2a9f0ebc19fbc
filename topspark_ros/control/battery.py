"""State of charge of the battery, and its energy left, from sensor_msgs/BatteryState.

The state of charge is read from the first of these that is measured: percentage, charge over
capacity, voltage by a configured curve. Each field is checked on its own: a field that is rejected
is reported, and the next source is taken. Drivers mark unmeasured fields in several ways:

- NaN (the message's definition), -1, or a percentage of -1 %: unmeasured, and no fault.
- 0 (the message's default): an empty battery reads 0 as well. A 0 is taken if the last reading was
  near 0. If not, another source that reads more is taken. If there is none, the rest of the message
  has to show that the driver fills it in: by a voltage with a capacity that is not 0, or by
  `present` with a voltage of NaN.

Both ends have a tolerance: a reading up to BELOW_EMPTY below 0 is empty; a percentage up to
ABOVE_FULL above full is full, and so is a charge up to ABOVE_CAPACITY above the capacity, which a
new cell can hold, or an old one whose capacity was estimated anew.

The first state of charge, and the first after a silence longer than the timeout, is believed. Those
after it are checked:

- Jump: a reading that differs from the last by more than a battery can discharge or charge in that
  time. One such reading is ignored, and the last state of charge stays. From the second in a row on
  the battery is IMPLAUSIBLE. A new level that lasts is believed (the battery was exchanged, or the
  gauge corrected itself); a reading at the old level is believed at once. Readings of the voltage
  are smoothed instead, because a load that is switched on makes the voltage drop at once.
- Stuck: a reading that does not change while the reported current discharges a share of the
  capacity. The battery is IMPLAUSIBLE until the reading changes. Without a current or a capacity
  this cannot be detected, and it is not looked for while the battery charges or reads 0.
- Silent: STALE after the timeout. Readings without a state of charge count as silence.

Unless the battery is KNOWN, its state of charge is NaN: neither full nor empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from numbers import Real
from typing import NamedTuple

import numpy as np

from topspark_ros.errors import TopsparkError

from .correction import Smoothed
from .ranges import ABOVE_ZERO, FRACTION, RangeError

JUMP = 0.06  # a smaller step is no jump: gauges have steps of up to 5 %
SETTLE_S = 10.0  # a new level is believed after this time
SETTLE_READINGS = 3  # and this number of readings
SAG_TIME_CONSTANT_S = 30.0  # of the filter for the voltage, which sags under load

BELOW_EMPTY = 0.005  # of full; less than the -0.01 that marks an unmeasured percentage
ABOVE_FULL = 0.05  # of full
ABOVE_CAPACITY = 0.25  # of the capacity

_SECONDS_AN_HOUR = 3600.0
_UNMEASURED = -1.0  # sent by some drivers, in any field; as a percentage also -1 %
# An autopilot's mark for unmeasured is -1 hundredths of an ampere; mavros changes its sign.
_UNMEASURED_CURRENT_A = 0.01


class BatteryError(TopsparkError):
    """A setting is rejected: one line with its name, the value and what is accepted."""


class Supply(IntEnum):
    """Values of power_supply_status in sensor_msgs/BatteryState."""

    UNKNOWN = 0
    CHARGING = 1
    DISCHARGING = 2
    NOT_CHARGING = 3
    FULL = 4


@dataclass(frozen=True)
class BatteryReading:
    """The fields of sensor_msgs/BatteryState that are used. NaN: unmeasured, as there.

    Parameters
    ----------
    percentage
        0 to what it reads at a full battery.
    voltage_v
        V.
    current_a
        A, negative while discharging, unless a driver has it the other way round.
    charge_ah
        Ah.
    capacity_ah
        Of the last full charge, Ah.
    design_capacity_ah
        Used while capacity_ah is unmeasured, Ah.
    present
        Whether there is a battery. Many bridges and drivers leave it false, so false does not
        outweigh a measurement.
    supply
        One of Supply, or any other number for unknown.
    """

    percentage: float = math.nan
    voltage_v: float = math.nan
    current_a: float = math.nan
    charge_ah: float = math.nan
    capacity_ah: float = math.nan
    design_capacity_ah: float = math.nan
    present: bool = True
    supply: int = Supply.UNKNOWN

    def discharge_a(self, positive: bool = False) -> tuple[float, str]:
        """(current out of the battery, A, below 0 while it charges; a line if it is rejected).

        NaN: unmeasured. If `supply` names the direction, it counts more than the sign.

        Parameters
        ----------
        positive
            Whether the driver's current is positive while the battery discharges.
        """
        current_a = self.current_a
        marked = _UNMEASURED in (
            self.percentage,
            self.voltage_v,
            self.charge_ah,
            self.capacity_ah,
            self.design_capacity_ah,
        )
        if math.isnan(current_a) or (current_a == _UNMEASURED and marked):
            return math.nan, ''
        if math.isinf(current_a):
            return math.nan, f'current: {current_a:g} A; accepted: a finite number, or NaN'
        discharge_a = current_a if positive else -current_a
        supply = self.supply
        if supply in (Supply.DISCHARGING, Supply.NOT_CHARGING) and discharge_a < 0.0:
            if math.isclose(current_a, _UNMEASURED_CURRENT_A, rel_tol=1e-6):
                return math.nan, ''
            discharge_a = -discharge_a
        elif supply == Supply.CHARGING and discharge_a > 0.0:
            discharge_a = -discharge_a
        else:
            return discharge_a, ''
        sign = 'positive' if positive else 'negative'
        return discharge_a, (
            f'current: {current_a:g} A while power_supply_status is {Supply(supply).name}; '
            f'accepted: {sign} while discharging (parameter discharge_is_positive); the status '
            'is taken'
        )


@dataclass(frozen=True)
class BatterySettings:
    """How readings are interpreted.

    Parameters
    ----------
    full_percentage
        `percentage` of a full battery, above 0: 1 by the message's definition, 100 with some
        drivers. It is never guessed.
    voltage_curve
        Voltages at equally spaced states of charge, from empty to full, V, two or more, strictly
        rising; empty: the voltage is not used.
    timeout_s
        Age from which a reading is stale, s, above 0.
    min_discharge_s
        Shortest time in which the battery can be emptied or charged, s, above 0.
    stuck_share
        Share of the capacity, 0..1, that has to be discharged without a change of the reading for
        it to count as stuck; at least twice the smallest step seen so far.
    discharge_is_positive
        Whether the driver's current is positive while discharging.

    Raises
    ------
    BatteryError
        For a value out of its range.
    """

    full_percentage: float = 1.0
    voltage_curve: tuple[float, ...] = ()
    timeout_s: float = 10.0
    min_discharge_s: float = 120.0
    stuck_share: float = 0.03
    discharge_is_positive: bool = False

    def __post_init__(self) -> None:
        try:
            for name, accepted in (
                ('full_percentage', ABOVE_ZERO),
                ('timeout_s', ABOVE_ZERO),
                ('min_discharge_s', ABOVE_ZERO),
                ('stuck_share', FRACTION),
            ):
                accepted.require(name, getattr(self, name))
        except RangeError as error:
            raise BatteryError(str(error)) from None
        curve = self.voltage_curve
        if (
            not all(isinstance(volt, Real) and 0 < volt < math.inf for volt in curve)
            or len(curve) == 1
            or any(low >= high for low, high in zip(curve, curve[1:]))
        ):
            raise BatteryError(
                f'voltage_curve is {curve}, accepted is two or more finite numbers '
                'above 0, strictly rising, or none'
            )


class BatteryValidity(IntEnum):
    """Whether the state of charge can be relied on; values as in msg/ControllerStatus.msg."""

    KNOWN = 0
    UNKNOWN = 1
    STALE = 2
    IMPLAUSIBLE = 3


class BatteryMonitor:
    """Follows a battery from its readings. All times `now_s` are of one clock that never goes back,
    s, and finite.

    Attributes
    ----------
    source
        Field that the last state of charge was read from: 'percentage', 'charge' or 'voltage'; '':
        none yet.
    """

    def __init__(self, settings: BatterySettings) -> None:
        self._settings = settings
        self._forget()

    def _forget(self) -> None:
        self.source = ''
        self._read_s = -math.inf
        self._state_of_charge = math.nan
        self._energy_j = math.nan
        self._level: _Level | None = None  # that is believed
        self._new_level: _Level | None = None  # that readings jumped to
        self._jumps = 0  # readings in a row that were not believed
        self._last: _Measured | None = None  # believed last
        self._resolution = 0.0  # smallest step seen, of the state of charge; 0: none
        self._discharged = 0.0  # share of the capacity, since the reading moved last
        self._stuck = False

    def update(self, now_s: float, reading: BatteryReading) -> tuple[str, ...]:
        """Take a reading; returns a line for each field that is rejected.

        A reading without a state of charge changes nothing, and one line says so.
        """
        elapsed_s = self.age_s(now_s)
        silent = elapsed_s > self._settings.timeout_s
        elapsed_s = 0.0 if silent else elapsed_s
        level = 1.0 if silent or self._level is None else self._level.value
        taken, rejected = self._read(reading, level)
        if taken is None:
            return tuple(rejected)
        if silent:
            self._forget()
        rejected = [f'{line}; {taken.source} is taken' for line in rejected]
        discharge_a, contradiction = reading.discharge_a(self._settings.discharge_is_positive)
        if contradiction:
            rejected.append(contradiction)
        state_of_charge = taken.state_of_charge
        if taken.source != self.source:
            self._sag_filter = Smoothed(SAG_TIME_CONSTANT_S, 0.0, 1.0)
        if taken.source == 'voltage':
            first = math.isnan(self._sag_filter.value)
            # The first value weighs as much as many: else a sag soon after it would be half of the
            # mean.
            self._sag_filter.measure(state_of_charge, SAG_TIME_CONSTANT_S if first else elapsed_s)
            state_of_charge = self._sag_filter.value
        self.source = taken.source
        self._read_s = now_s
        self._count_discharge(reading, discharge_a, elapsed_s)
        smoothed = self._last is not None and taken.source == self._last.source == 'voltage'
        if smoothed:
            self._level = _Level(state_of_charge, now_s)
        if self._is_believed(now_s, state_of_charge, elapsed_s):
            self._believe(reading, taken, state_of_charge)
        return tuple(rejected)

    def expect_any(self) -> None:
        """Believe the next reading without comparing it with the last ones."""
        self._level = self._new_level = None
        self._jumps = 0
        self._last = None
        self._stuck = False
        self._discharged = 0.0

    def validity(self, now_s: float) -> BatteryValidity:
        age_s = self.age_s(now_s)
        if age_s == math.inf:
            return BatteryValidity.UNKNOWN
        if age_s > self._settings.timeout_s:
            return BatteryValidity.STALE
        if self._jumps > 1 or self._stuck:
            return BatteryValidity.IMPLAUSIBLE
        return BatteryValidity.KNOWN

    def state_of_charge(self, now_s: float) -> float:
        """0..1; NaN unless the battery is KNOWN."""
        known = self.validity(now_s) == BatteryValidity.KNOWN
        return self._state_of_charge if known else math.nan

    def energy_j(self, now_s: float) -> float:
        """Energy left in the battery, J; NaN: unknown.

        State of charge times capacity (the charge, if no capacity is known) times the voltage of
        that message. The mean voltage until empty is lower, by about a tenth for a full lithium
        battery; under a heavy load the measured voltage is too low itself.
        """
        known = self.validity(now_s) == BatteryValidity.KNOWN
        return self._energy_j if known else math.nan

    def age_s(self, now_s: float) -> float:
        """Time since the last reading with a state of charge, s; inf: there was none."""
        return now_s - self._read_s

    def _read(self, reading: BatteryReading, level: float) -> tuple[_Measured | None, list[str]]:
        """(reading of the source that is taken, None without any; lines on what was rejected).

        level: state of charge that is believed, 0..1; 1: none.
        """
        zero, rejected = None, []
        for source, read in _SOURCES:
            taken = read(reading, self._settings)
            if isinstance(taken, str):
                rejected.append(taken)
            elif taken is not None and taken.value != 0.0:
                return taken, rejected
            elif taken is not None and zero is None:
                if source == self.source and level <= JUMP:
                    return taken, rejected
                zero = taken
        if zero is not None and _fills_in(reading):
            return zero, rejected
        return None, [*rejected, _without_charge(reading, self._settings)]

    def _is_believed(self, now_s: float, state_of_charge: float, elapsed_s: float) -> bool:
        """Whether the reading follows from the last one, or a jump has lasted."""
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

    def _believe(self, reading: BatteryReading, taken: _Measured, state_of_charge: float) -> None:
        if taken != self._last:
            step = abs(state_of_charge - self._state_of_charge)
            if 0.0 < step <= JUMP:
                self._resolution = min(self._resolution or step, step)
            self._last = taken
            self._discharged = 0.0
            self._stuck = False
        self._state_of_charge = state_of_charge
        capacity_ah = _capacity_ah(reading)
        charge_ah = reading.charge_ah if math.isnan(capacity_ah) else state_of_charge * capacity_ah
        energy_j = charge_ah * _SECONDS_AN_HOUR * reading.voltage_v
        # A charge of 0 in a battery that is not empty was not measured.
        known = (
            (charge_ah > 0.0 or charge_ah == state_of_charge == 0.0)
            and 0.0 < reading.voltage_v
            and energy_j < math.inf
        )
        self._energy_j = energy_j if known else math.nan

    def _count_discharge(
        self, reading: BatteryReading, discharge_a: float, elapsed_s: float
    ) -> None:
        share = discharge_a * elapsed_s / (_SECONDS_AN_HOUR * _capacity_ah(reading))
        if math.isfinite(share) and self._state_of_charge > 0.0:
            self._discharged = max(0.0, self._discharged + share)
            if self._discharged > max(self._settings.stuck_share, 2.0 * self._resolution):
                self._stuck = True


@dataclass
class _Level:
    """A state of charge that changes no faster than a battery's can.

    since_s: time of its first reading, s.
    readings: number of readings at this level.
    """

    value: float
    since_s: float
    readings: int = 1

    def follow(self, state_of_charge: float, reach: float) -> bool:
        """Move towards a reading by `reach` at most; False: the reading is too far away."""
        offset = state_of_charge - self.value
        if abs(offset) > JUMP + reach:
            return False
        # Not all the way: steps just below a jump would add up to any speed.
        self.value += min(max(offset, -reach), reach)
        self.readings += 1
        return True

    def has_settled(self, now_s: float) -> bool:
        return self.readings >= SETTLE_READINGS and now_s - self.since_s >= SETTLE_S


class _Measured(NamedTuple):
    """A reading of one source: its value in the message, and the state of charge, 0..1."""

    source: str
    value: float
    state_of_charge: float


def _from_percentage(reading: BatteryReading, settings: BatterySettings) -> _Measured | str | None:
    """The reading; None: unmeasured; a line: rejected. The other sources return the same."""
    percentage, full = reading.percentage, settings.full_percentage
    if (
        math.isnan(percentage)
        or percentage == _UNMEASURED
        or math.isclose(percentage / full, _UNMEASURED / 100.0, rel_tol=1e-6)
    ):
        return None
    if not -BELOW_EMPTY <= percentage / full <= 1.0 + ABOVE_FULL:
        return (
            f'percentage: {percentage:g}; accepted: 0 to {full:g} (parameter '
            'full_percentage), or NaN'
        )
    return _clipped('percentage', percentage, percentage / full)


def _from_charge(reading: BatteryReading, settings: BatterySettings) -> _Measured | str | None:
    charge_ah, capacity_ah = reading.charge_ah, _capacity_ah(reading)
    if math.isnan(charge_ah) or charge_ah == _UNMEASURED or math.isnan(capacity_ah):
        return None
    max_ah = max(capacity_ah, _usable_ah(reading.design_capacity_ah))
    if not (-BELOW_EMPTY * capacity_ah <= charge_ah <= (1.0 + ABOVE_CAPACITY) * max_ah):
        return (
            f'charge: {charge_ah:g} Ah; accepted: 0 to the capacity of {capacity_ah:g} Ah, or NaN'
        )
    return _clipped('charge', charge_ah, charge_ah / capacity_ah)


def _from_voltage(reading: BatteryReading, settings: BatterySettings) -> _Measured | str | None:
    voltage_v, curve = reading.voltage_v, settings.voltage_curve
    if not curve or math.isnan(voltage_v) or voltage_v in (0.0, _UNMEASURED):
        return None
    if not 0.0 < voltage_v < math.inf:
        return f'voltage: {voltage_v:g} V; accepted: a finite number above 0, or NaN'
    return _clipped(
        'voltage', voltage_v, float(np.interp(voltage_v, curve, np.linspace(0, 1, len(curve))))
    )


_SOURCES = (('percentage', _from_percentage), ('charge', _from_charge), ('voltage', _from_voltage))


def _clipped(source: str, value: float, state_of_charge: float) -> _Measured:
    return _Measured(source, value, min(max(state_of_charge, 0.0), 1.0))


def _fills_in(reading: BatteryReading) -> bool:
    """Whether a 0 in this message is a measurement, because its driver fills in the fields."""
    if reading.voltage_v > 0.0:
        return not reading.capacity_ah == reading.design_capacity_ah == 0.0
    return math.isnan(reading.voltage_v) and reading.present


def _without_charge(reading: BatteryReading, settings: BatterySettings) -> str:
    """A line on a reading without a state of charge."""
    fields = [
        f'percentage: {reading.percentage:g}',
        f'charge: {reading.charge_ah:g} Ah of {_capacity_ah(reading):g}',
        f'voltage: {reading.voltage_v:g} V',
        *([] if reading.present else ['present: false']),
    ]
    without = '' if settings.voltage_curve else ' with the parameter voltage_curve'
    return (
        f'{", ".join(fields)}: no state of charge; accepted: a percentage, a charge with a '
        f'capacity, or a voltage{without}; 0 where the message is filled in otherwise'
    )


def _capacity_ah(reading: BatteryReading) -> float:
    """The capacity, or else the design capacity, Ah; NaN: neither is known."""
    capacity_ah = _usable_ah(reading.capacity_ah)
    return _usable_ah(reading.design_capacity_ah) if math.isnan(capacity_ah) else capacity_ah


def _usable_ah(capacity_ah: float) -> float:
    return capacity_ah if 0.0 < capacity_ah < math.inf else math.nan
