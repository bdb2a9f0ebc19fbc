"""Meters of what perception draws, in J of this process since the meter was opened.

- battery: voltage times current as the battery's driver tells them, less the base power.
- hwmon: a power sensor of the board, such as a Jetson's INA3221. Only sampled: power that comes
  and goes between two readings is missed.
- rapl: the processor's own energy counters through Linux powercap, Intel and AMD. Nothing is
  missed, but the older Intel and the AMD processors model part of what they count.
- processor: processor time times what one busy core draws. A constant, right at one frequency.

Sensor and counters see the whole machine. What they saw between two readings, less the base power
over that time, is charged to this process by its share of all busy processor time. That is its
energy as far as every second of a busy core costs the same; it is not where cores differ, where
others use the memory, an accelerator or vector units more, or when an idle machine draws another
power than the base. The busy time is counted in ticks of 10 ms: read about once a second.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from topspark_ros.errors import TopsparkError

from .battery import BatteryReading, Supply
from .ranges import FROM_ZERO

# What a meter is chosen by. 'estimated': none.
METERS = ('estimated', 'auto', 'rapl', 'hwmon', 'processor', 'battery')

# Longest time between two battery states that is still integrated, s.
_BATTERY_GAP_S = 10.0

# A battery that may deliver nothing.
_AT_REST = (Supply.CHARGING, Supply.FULL)

# Monotonic time and processor time of this process, s.
_Clock = Callable[[], 'tuple[float, float]']


class MeterError(TopsparkError):
    """A meter cannot be read: one line with the meter, the file and what is accepted."""


class Meter(Protocol):
    """A meter of this process.

    Parameters
    ----------
    name
        'battery', 'hwmon', 'rapl' or 'processor'.
    reasons
        Why 'auto' took none of the better ones, a line each; empty if it did, or was not asked.
    """

    name: str
    reasons: tuple[str, ...]

    def energy_j(self) -> float:
        """Energy drawn by this process since the meter was opened, J. Never falls.

        Raises
        ------
        MeterError
            If the meter cannot be read. What it counts meanwhile is not lost if it can be read
            again.
        """
        ...


@dataclass(frozen=True)
class MeterSettings:
    """What the meters cannot measure themselves.

    Parameters
    ----------
    core_power_w
        What one busy core draws, W, from 0; of 'processor'.
    base_power_w
        What is drawn without perception, W, from 0; of 'rapl', 'hwmon' and 'battery'.
    discharge_is_positive
        Whether the driver's current is positive while discharging; of 'battery'.
    channel
        Label of the rail; of 'hwmon'. Empty: the only one, or else the one with CPU in its label.
        One without a label is named by its driver and sensor, as 'amdgpu power1'.
    root
        Folder in which sys and proc are looked for.

    Raises
    ------
    RangeError
        For a power out of its range.
    """

    core_power_w: float
    base_power_w: float
    channel: str = ''
    discharge_is_positive: bool = False
    root: Path = Path('/')

    def __post_init__(self) -> None:
        FROM_ZERO.require('core_power_w', self.core_power_w)
        FROM_ZERO.require('base_power_w', self.base_power_w)


def open_meter(kind: str, settings: MeterSettings) -> Meter | None:
    """Open a meter; None for 'estimated'.

    Parameters
    ----------
    kind
        One of METERS. 'auto' takes the first that can be read of 'hwmon', 'rapl', 'processor': a
        sensor beats a model, and a model a constant. It takes no rail but the one named in
        `channel` or with CPU in its label: an only one is as often a graphics card's.

    Raises
    ------
    MeterError
        For an unknown kind and for a meter that cannot be read; 'auto' and 'processor' can
        always be read.
    """
    if kind == 'estimated':
        return None
    if kind == 'auto':
        return _open_best(settings)
    if kind == 'rapl':
        return _open_rapl(settings)
    if kind == 'hwmon':
        return _open_hwmon(settings)
    if kind == 'processor':
        return _ProcessorMeter(settings.core_power_w)
    if kind == 'battery':
        return BatteryMeter(settings.base_power_w, settings.discharge_is_positive)
    raise MeterError(f"meter is '{kind}', accepted is one of {', '.join(METERS)}")


class BatteryMeter:
    """What a battery delivers beyond the base power, fed by its states.

    Everything that it feeds counts: where motors hang on the same battery this is not what
    perception draws.
    """

    name = 'battery'
    reasons: tuple[str, ...] = ()

    def __init__(self, base_power_w: float, discharge_is_positive: bool = False) -> None:
        self._base_power_w = base_power_w
        self._discharge_is_positive = discharge_is_positive
        self._integral = _Integral(_BATTERY_GAP_S)
        self._flows = False  # a current other than 0 was seen

    def measure(self, now_s: float, reading: BatteryReading) -> str:
        """One state; returns what was rejected of its current, though its amount counts.

        now_s: time of the state, s. After a gap of more than 10 s, or when it goes back, nothing
            is integrated and the state begins anew.
        reading: its voltage, and its current as of BatteryReading.discharge_a; charging counts 0.

        Raises MeterError for a voltage or a current that is unmeasured or out of its range; such a
        state counts as none. So does a current of 0 before any other was seen, unless the state
        says that the battery is charged or full: a field that was not filled in reads 0.
        """
        if not math.isfinite(now_s):
            raise MeterError(f'meter battery: time: {now_s}; accepted: a finite number')
        if not 0 < reading.voltage_v < math.inf:
            raise MeterError(
                f'meter battery: voltage: {reading.voltage_v:g} V; accepted: a finite '
                'number above 0'
            )
        discharge_a, rejected = reading.discharge_a(self._discharge_is_positive)
        self._flows |= abs(discharge_a) > 0.0
        if math.isnan(discharge_a) or not (self._flows or reading.supply in _AT_REST):
            raise MeterError(
                f'meter battery: current: {reading.current_a:g} A; accepted: a finite '
                'number, negative while discharging, 0 once it was another'
            )
        self._integral.add(now_s, max(0.0, reading.voltage_v * discharge_a - self._base_power_w))
        return rejected

    def energy_j(self) -> float:
        """As in Meter; needs no reading. 0 before the second state."""
        return self._integral.energy_j


class _ProcessorMeter:
    """Processor time of this process, all threads, times what a busy core draws."""

    name = 'processor'
    reasons: tuple[str, ...] = ()

    def __init__(self, core_power_w: float) -> None:
        self._core_power_w = core_power_w
        self._opened_ns = time.process_time_ns()

    def energy_j(self) -> float:
        return (time.process_time_ns() - self._opened_ns) * 1e-9 * self._core_power_w


class _Reading(NamedTuple):
    """The machine at one moment. drawn_j: by the whole machine, J; the others s."""

    time_s: float
    process_s: float
    busy_s: float
    drawn_j: float


class _SharedMeter:
    """This process's share of what the whole machine draws beyond the base power.

    drawn_j: called with the monotonic time, s: energy of the machine since some moment, J.
    """

    reasons: tuple[str, ...] = ()

    def __init__(
        self, name: str, drawn_j: Callable[[float], float], settings: MeterSettings, clock: _Clock
    ) -> None:
        self.name = name
        self._drawn_j = drawn_j
        self._base_power_w = settings.base_power_w
        self._stat = settings.root / 'proc/stat'
        self._clock = clock
        self._energy_j = 0.0
        self._last = self._read()

    def energy_j(self) -> float:
        now, last = self._read(), self._last
        busy_s = now.busy_s - last.busy_s
        # Within a tick there is no share to tell: the time is charged with the next one.
        if busy_s != 0:
            self._last = now
        if busy_s > 0:
            share = min((now.process_s - last.process_s) / busy_s, 1.0)
            base_j = self._base_power_w * (now.time_s - last.time_s)
            self._energy_j += share * max(0.0, now.drawn_j - last.drawn_j - base_j)
        return self._energy_j

    def _read(self) -> _Reading:
        time_s, process_s = self._clock()
        return _Reading(
            time_s, process_s, _read_busy_s(self.name, self._stat), self._drawn_j(time_s)
        )


class _Rapl:
    """The energy counters of all processor packages and of the memory at them.

    A zone `package-*` contains its sub-zones `core` and `uncore` but not `dram`; `psys` contains
    all of them and more. The zones of intel-rapl-mmio are the same ones once more. Limits: a
    counter that starts anew (suspend to memory) looks like one that wrapped, and Linux before
    6.13 shows the one counter of an AMD package as often as it has dies.
    """

    def __init__(self, root: Path) -> None:
        folder = root / 'sys/class/powercap'
        names = {
            zone: _read_text('rapl', zone / 'name') for zone in sorted(folder.glob('intel-rapl:*'))
        }
        packages = {zone.name for zone, name in names.items() if name.startswith('package-')}
        if not packages:
            raise MeterError(
                f'meter rapl: {folder} has no zone intel-rapl:* named package-*, '
                'accepted is a processor with RAPL, its module loaded (modprobe '
                'intel_rapl_msr), and no virtual machine'
            )
        zones = [
            zone
            for zone, name in names.items()
            if zone.name in packages
            or (name == 'dram' and zone.name.rpartition(':')[0] in packages)
        ]
        self._counters = [zone / 'energy_uj' for zone in zones]
        self._ranges_uj = [_read_range_uj(zone / 'max_energy_range_uj') for zone in zones]
        self._last_uj = self._read()
        self._drawn_uj = 0

    def drawn_j(self, now_s: float) -> float:
        """J since it was opened; whatever the time, the counters count."""
        now_uj = self._read()
        self._drawn_uj += sum(
            (now - last) % wrap for now, last, wrap in zip(now_uj, self._last_uj, self._ranges_uj)
        )
        self._last_uj = now_uj
        return self._drawn_uj * 1e-6

    def _read(self) -> list[int]:
        return [_read_integer('rapl', counter) for counter in self._counters]


class _Rail:
    """A power sensor of hwmon.

    label: what it measures.
    files: of power in uW, or of voltage in mV and current in mA.
    """

    def __init__(self, label: str, *files: Path) -> None:
        self.label = label
        self._files = files
        self._integral = _Integral()

    def drawn_j(self, now_s: float) -> float:
        """J since the first call; power is sampled now."""
        power_uw = math.prod(_read_integer('hwmon', file) for file in self._files)
        self._integral.add(now_s, power_uw * 1e-6)
        return self._integral.energy_j


class _Integral:
    """Energy of sampled power, J, by the trapezoidal rule.

    gap_s: samples further apart are not joined, nor are those whose time goes back, s.
    """

    def __init__(self, gap_s: float = math.inf) -> None:
        self.energy_j = 0.0
        self._gap_s = gap_s
        self._last = (math.inf, 0.0)

    def add(self, time_s: float, power_w: float) -> None:
        last_s, last_w = self._last
        if 0 < time_s - last_s <= self._gap_s:
            self.energy_j += (time_s - last_s) * (power_w + last_w) / 2
        self._last = time_s, power_w


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _open_best(settings: MeterSettings) -> Meter:
    reasons = []
    meter: _ProcessorMeter | _SharedMeter = _ProcessorMeter(settings.core_power_w)
    for open_better in (partial(_open_hwmon, accept_any=False), _open_rapl):
        try:
            meter = open_better(settings)
            break
        except MeterError as error:
            reasons.append(str(error))
    meter.reasons = tuple(reasons)
    return meter


def _open_rapl(settings: MeterSettings, clock: _Clock = _now) -> _SharedMeter:
    return _SharedMeter('rapl', _Rapl(settings.root).drawn_j, settings, clock)


def _open_hwmon(
    settings: MeterSettings, clock: _Clock = _now, accept_any: bool = True
) -> _SharedMeter:
    """accept_any: whether the only rail may be one that is not said to be the processor's."""
    folder = settings.root / 'sys/class/hwmon'
    rails = [rail for device in sorted(folder.glob('hwmon*')) for rail in _rails(device)]
    if not rails:
        raise MeterError(
            f'meter hwmon: {folder} has no power sensor, accepted is powerN_input, '
            'or inN_input and currN_input with inN_label'
        )
    if settings.channel:
        wanted = f"named '{settings.channel}'"
        found = [rail for rail in rails if rail.label == settings.channel]
    else:
        wanted = 'with CPU in the label'
        found = [rail for rail in rails if 'CPU' in rail.label.upper()]
        if accept_any and len(rails) == 1:
            found = rails
    if len(found) != 1:
        labels = ', '.join(rail.label for rail in rails)
        raise MeterError(
            f'meter hwmon: {folder} has {len(found)} rails {wanted}, accepted as '
            f'channel is one of: {labels}'
        )
    return _SharedMeter('hwmon', found[0].drawn_j, settings, clock)


def _rails(device: Path) -> list[_Rail]:
    """The rails of a device: its power sensors, or if it has none its pairs of in and curr.

    Only in and curr that have a label are a pair. An INA3221's in4 to in6 are voltages at the
    shunts, which have none, and its curr4 is the sum of curr1 to curr3; in7, the sum of the shunt
    voltages, has no curr.
    """
    rails = []
    for power in sorted(device.glob('power*_input')):
        sensor = power.name.removesuffix('_input')
        label = device / f'{sensor}_label'
        rails.append(
            _Rail(
                _read_text('hwmon', label)
                if label.exists()
                else f'{_read_text("hwmon", device / "name")} {sensor}',
                power,
            )
        )
    if rails:
        return rails
    for label in sorted(device.glob('in*_label')):
        voltage = device / label.name.replace('_label', '_input')
        current = device / voltage.name.replace('in', 'curr', 1)
        if voltage.exists() and current.exists():
            rails.append(_Rail(_read_text('hwmon', label), voltage, current))
    return rails


def _read_busy_s(meter: str, stat: Path) -> float:
    """Busy time of all processors since boot, s."""
    line = _read_text(meter, stat).partition('\n')[0]
    name, *ticks = line.split() or ['']
    if name != 'cpu' or len(ticks) < 8 or not all(tick.isdecimal() for tick in ticks):
        raise MeterError(
            f'meter {meter}: {stat} begins with {line[:60]!r}, accepted is cpu and at '
            'least 8 numbers of ticks'
        )
    # Guest time, beyond these, is counted in user and nice already.
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf('SC_CLK_TCK')


def _read_range_uj(path: Path) -> int:
    range_uj = _read_integer('rapl', path)
    if range_uj <= 0:
        raise MeterError(f'meter rapl: {path} holds {range_uj}, accepted is an integer above 0')
    return range_uj


def _read_integer(meter: str, path: Path) -> int:
    text = _read_text(meter, path)
    try:
        return int(text)
    except ValueError:
        raise MeterError(
            f'meter {meter}: {path} holds {text[:40]!r}, accepted is an integer'
        ) from None


def _read_text(meter: str, path: Path) -> str:
    try:
        return path.read_text(errors='replace').strip()
    except PermissionError:
        raise MeterError(
            f'meter {meter}: {path} may not be read, often root alone may: accepted '
            'is a group with the right, by chgrp GROUP and chmod g+r, which a udev '
            f'rule for SUBSYSTEM=="{path.parents[1].name}" keeps'
        ) from None
    except OSError as error:
        raise MeterError(
            f'meter {meter}: {path} cannot be read ({error.strerror}), accepted is a readable file'
        ) from None
