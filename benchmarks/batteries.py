"""The state of charge that the controller believes, against real discharges.

    python -m benchmarks.batteries

Batteries of TOPSPARK_DATA that tell nothing but their voltage:

- quadrotor: whole flights, over months; the charge used is taken as proportional to the sum of
  what drives the motors.
- ageing cells: discharges at 2 A over their lives; the charge is the integral of the current.

Each discharge is judged by two voltage curves of eleven points, as a user would write them down:
that of the first discharge, when the cell was new, and that of the one before it. Errors are in
points of the state of charge, while the true one is 90 to 20 %.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from topspark_ros.control.battery import (
    BatteryMonitor,
    BatteryReading,
    BatterySettings,
    BatteryValidity,
)

RATE_HZ = 1.0  # of the battery's messages
JUDGED = 0.2, 0.9  # true states of charge
CURVE = np.linspace(0.0, 1.0, 11)
FULL_V, EMPTY_V = 4.05, 2.6  # a flight that begins and ends so used the whole charge
BOUND = 10.0  # points


class Discharge(NamedTuple):
    """name; time, s, voltage, V, and true state of charge, 0..1, all (readings,) float64."""

    name: str
    time_s: np.ndarray
    voltage_v: np.ndarray
    state_of_charge: np.ndarray

    def curve(self) -> np.ndarray:
        """Voltage at each state of charge of CURVE, V."""
        nearest = [
            np.abs(self.state_of_charge - each) <= 0.5 * (CURVE[1] - CURVE[0]) for each in CURVE
        ]
        return np.array([self.voltage_v[rows].mean() for rows in nearest])


class Judgement(NamedTuple):
    """errors: believed less true, (readings,) float64, 0..1. unknown: share of the readings."""

    errors: np.ndarray
    unknown: float


def resampled(name: str, time_s: np.ndarray, voltage_v: np.ndarray, used: np.ndarray) -> Discharge:
    """One reading each 1 / RATE_HZ. used: charge since the beginning, in any unit."""
    at_s = np.arange(time_s[0], time_s[-1], 1.0 / RATE_HZ)
    left = 1.0 - np.interp(at_s, time_s, used) / used[-1]
    return Discharge(name, at_s, np.interp(at_s, time_s, voltage_v), left)


def flights(folder: Path) -> Iterator[Discharge]:
    for path in sorted(folder.glob('*.csv')):
        table = np.genfromtxt(path, delimiter=',', names=True, deletechars='')
        motors = [name for name in table.dtype.names if name.startswith('motor.')]
        voltage_v = table['vbat_V']
        if len(motors) == 4 and voltage_v[0] > FULL_V and voltage_v[-1] < EMPTY_V:
            drive = sum(table[name] for name in motors)
            used = np.concatenate([[0.0], np.cumsum(drive[1:] * np.diff(table['t_s']))])
            yield resampled(path.stem, table['t_s'], voltage_v, used)


def date(flight: Discharge) -> tuple[int, int]:
    """Month and day, of a name such as flight_23-1-25."""
    day, month = flight.name.removeprefix('flight_').split('-')[:2]
    return int(month), int(day)


def cell(path: Path) -> Iterator[Discharge]:
    table = np.genfromtxt(path, delimiter=',', names=True)
    for cycle in np.unique(table['cycle']):
        rows = table[table['cycle'] == cycle]
        loaded = rows['current_A'] < -0.5
        rows = rows[: np.flatnonzero(loaded)[-1] + 1]  # not its recovery
        drawn = -rows['current_A'].clip(max=0.0)
        used = np.concatenate([[0.0], np.cumsum(drawn[1:] * np.diff(rows['t_s']))])
        name = f'{path.stem.removesuffix("_discharge")}, discharge {cycle:.0f}'
        yield resampled(name, rows['t_s'], rows['voltage_V'], used)


def judge(discharge: Discharge, curve_v: np.ndarray) -> Judgement:
    monitor = BatteryMonitor(BatterySettings(voltage_curve=tuple(curve_v)))
    believed, known = [], []
    for now_s, voltage_v in zip(discharge.time_s, discharge.voltage_v):
        monitor.update(now_s, BatteryReading(voltage_v=voltage_v))
        believed.append(monitor.state_of_charge(now_s))
        known.append(monitor.validity(now_s) == BatteryValidity.KNOWN)
    truth = discharge.state_of_charge
    judged = (truth >= JUDGED[0]) & (truth <= JUDGED[1])
    errors = (np.array(believed) - truth)[judged]
    return Judgement(errors[~np.isnan(errors)], 1.0 - float(np.mean(np.array(known)[judged])))


def rising(curve_v: np.ndarray) -> np.ndarray:
    """The curve with steps of 1 mV at least, as the parameter has to be."""
    steps_v = 1e-3 * np.arange(len(curve_v))
    return np.maximum.accumulate(curve_v - steps_v) + steps_v


def worst(discharge: Discharge, curve_of: Discharge) -> str:
    """Worst and mean error, points."""
    errors, unknown = judge(discharge, rising(curve_of.curve()))
    points = 100.0 * errors
    text = f'{points[np.argmax(np.abs(points))]:+.1f}, {points.mean():+.1f}'
    return text if unknown == 0.0 else f'{text}, unknown {unknown:.0%}'


def report(title: str, discharges: Sequence[Discharge]) -> None:
    print(f'| {title}; bound {BOUND:g} | curve of the first | of the one before |\n|---|---|---|')
    first = discharges[0]
    for before, each in zip(discharges, discharges[1:]):
        print(f'| {each.name} | {worst(each, first)} | {worst(each, before)} |')
    print()


def main() -> None:
    folder = Path(os.environ['TOPSPARK_DATA']) / 'power'
    report('quadrotor', sorted(flights(folder / 'crazyflie_battery'), key=date))
    for path in sorted((folder / 'nasa_battery').glob('*_discharge.csv')):
        report('ageing cell', list(cell(path)))


if __name__ == '__main__':
    main()
