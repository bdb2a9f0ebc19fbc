"""Meters against the files as Linux writes them, and against processor time really spent."""

import math
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.control.battery import BatteryReading, Supply
from topspark_ros.control.meters import (
    METERS,
    BatteryMeter,
    MeterError,
    MeterSettings,
    _open_hwmon,
    _open_rapl,
    open_meter,
)
from topspark_ros.control.ranges import RangeError

# Other load on the machine is no failure.
untimed = settings(deadline=None)

TICK_S = 1 / os.sysconf('SC_CLK_TCK')
RANGE_UJ = 262143328850


class Machine:
    """A tree of files in the kernel's formats, with time of its own; is the meters' clock.

    Each step takes 1 s, in which 2 s of processor time are spent, 0.5 s of them by this process.
    """

    def __init__(self, root):
        self.root = root
        self.time_s, self.process_s, self.busy_s = 1000.0, 3.0, 500.0
        self.spend(0.0, 0.0, 0.0)

    def __call__(self):
        return self.time_s, self.process_s

    def write(self, folder, **files):
        folder = self.root / folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(f'{content}\n')

    def spend(self, time_s, process_s, busy_s):
        self.time_s += time_s
        self.process_s += process_s
        self.busy_s += busy_s
        busy = round(self.busy_s / TICK_S)
        part = busy // 10
        user = busy - 5 * part  # less nice, system, irq, softirq and steal
        idle, waiting = round(self.time_s * 90), round(self.time_s * 10)
        # The last two, of guests, are in user and nice already.
        times = f'{user} {part} {part} {idle} {waiting} {part} {part} {part} {user // 2} {part}'
        self.write(
            'proc',
            stat=(
                f'cpu  {times}\ncpu0 {times}\nintr 8462 9 0 0\nctxt 115315\n'
                'btime 1769041601\nprocesses 86031'
            ),
        )

    def step(self):
        self.spend(1.0, 0.5, 2.0)

    def zone(self, zone, name, energy_uj, range_uj=RANGE_UJ):
        self.write(
            f'sys/class/powercap/{zone}',
            name=name,
            energy_uj=energy_uj,
            max_energy_range_uj=range_uj,
            enabled=0,
        )

    def count(self, zone, energy_uj):
        self.write(f'sys/class/powercap/{zone}', energy_uj=energy_uj)

    def device(self, number, **files):
        self.write(f'sys/class/hwmon/hwmon{number}', **files)

    def settings(self, **values):
        return MeterSettings(
            **{'core_power_w': 5.0, 'base_power_w': 0.0, 'root': self.root, **values}
        )

    def rapl(self, **values):
        return _open_rapl(self.settings(**values), self)

    def hwmon(self, **values):
        return _open_hwmon(self.settings(**values), self)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def jetson(machine, cpu='VDD_CPU_GPU_CV'):
    """A Jetson Orin: a fan, and an INA3221 with the sums and shunts that are no rails."""
    machine.device(0, name='pwmfan', pwm1=128)
    machine.device(
        1,
        name='ina3221',
        in1_label='VDD_IN',
        in1_input=5000,
        curr1_input=1200,
        in1_enable=1,
        in2_label=cpu,
        in2_input=5000,
        curr2_input=400,
        in2_enable=1,
        in3_label='VDD_SOC',
        in3_input=4976,
        curr3_input=304,
        in3_enable=1,
        in4_input=6000,
        in5_input=2000,
        in6_input=1520,
        in7_label='sum of shunt voltages',
        in7_input=9520,
        curr4_input=1904,
    )


# Processor counters.


def test_rapl(machine):
    machine.zone('intel-rapl:0', 'package-0', 7_000_000)
    meter = machine.rapl()
    assert meter.name == 'rapl' and meter.energy_j() == 0
    machine.step()
    machine.count('intel-rapl:0', 19_000_000)
    assert meter.energy_j() == pytest.approx(12 * 0.25)
    machine.step()
    machine.count('intel-rapl:0', 27_000_000)
    assert meter.energy_j() == pytest.approx(20 * 0.25)


def test_packages_and_memory_count_and_what_is_in_them_does_not(machine):
    zones = {
        'intel-rapl:0': ('package-0', 1),
        'intel-rapl:0:0': ('core', 1000),
        'intel-rapl:0:1': ('uncore', 1000),
        'intel-rapl:0:2': ('dram', 2),
        'intel-rapl:1': ('package-1-die-0', 4),
        'intel-rapl:1:0': ('dram', 8),
        'intel-rapl:2': ('psys', 1000),
        'intel-rapl:2:0': ('dram', 1000),
        'intel-rapl-mmio:0': ('package-0', 1000),
        'intel-rapl-mmio:0:0': ('dram', 1000),
    }
    for zone, (name, _) in zones.items():
        machine.zone(zone, name, 0)
    machine.write('sys/class/powercap/intel-rapl', enabled=1)
    meter = machine.rapl()
    machine.step()
    for zone, (_, energy_j) in zones.items():
        machine.count(zone, energy_j * 1_000_000)
    assert meter.energy_j() == pytest.approx((1 + 2 + 4 + 8) * 0.25)


def test_a_counter_wraps(machine):
    machine.zone('intel-rapl:0', 'package-0', RANGE_UJ - 3_000_000)
    meter = machine.rapl()
    machine.step()
    machine.count('intel-rapl:0', 5_000_000)
    assert meter.energy_j() == pytest.approx(8 * 0.25)


def test_base_power_and_share(machine):
    machine.zone('intel-rapl:0', 'package-0', 0)
    meter = machine.rapl(base_power_w=10.0)
    machine.step()
    machine.count('intel-rapl:0', 18_000_000)
    assert meter.energy_j() == pytest.approx((18 - 10) * 0.25)
    machine.step()
    machine.count('intel-rapl:0', 25_000_000)  # less than the base
    assert meter.energy_j() == pytest.approx(8 * 0.25)
    machine.spend(2.0, 4.0, 3.0)  # more than all: ticks are coarse
    machine.count('intel-rapl:0', 55_000_000)
    assert meter.energy_j() == pytest.approx(8 * 0.25 + 10)


def test_time_within_a_tick_is_charged_with_the_next(machine):
    machine.zone('intel-rapl:0', 'package-0', 0)
    meter = machine.rapl(base_power_w=10.0)
    machine.spend(0.5, 0.5, 0.0)
    machine.count('intel-rapl:0', 6_000_000)
    assert meter.energy_j() == 0
    machine.spend(0.5, 0.0, 2.0)
    machine.count('intel-rapl:0', 18_000_000)
    assert meter.energy_j() == pytest.approx((18 - 10) * 0.25)


def test_a_counter_that_comes_back_has_counted(machine):
    machine.zone('intel-rapl:0', 'package-0', 0)
    machine.zone('intel-rapl:1', 'package-1', 0)
    meter = machine.rapl()
    machine.step()
    machine.count('intel-rapl:0', 4_000_000)
    machine.count('intel-rapl:1', 'gone')
    with pytest.raises(MeterError, match=r"intel-rapl:1/energy_uj holds 'gone'"):
        meter.energy_j()
    machine.step()
    machine.count('intel-rapl:0', 6_000_000)
    machine.count('intel-rapl:1', 2_000_000)
    assert meter.energy_j() == pytest.approx(8 * 0.25)


@untimed
@given(
    st.lists(
        st.tuples(
            st.integers(0, RANGE_UJ + 5), st.floats(0, 3), st.floats(0, 3), st.integers(-50, 300)
        ),
        max_size=12,
    ),
    st.floats(0, 1e6),
)
def test_energy_never_falls(tmp_path_factory, readings, base_power_w):
    machine = Machine(tmp_path_factory.mktemp('machine'))
    machine.zone('intel-rapl:0', 'package-0', 1_000_000)
    meter = machine.rapl(base_power_w=base_power_w)
    energies_j = [meter.energy_j()]
    for counter_uj, time_s, process_s, ticks in readings:
        machine.spend(time_s, process_s, ticks * TICK_S)
        machine.count('intel-rapl:0', counter_uj)
        energies_j.append(meter.energy_j())
    assert energies_j == sorted(energies_j) and energies_j[0] == 0


# Power sensors.


def test_ina3221(machine):
    jetson(machine)
    meter = machine.hwmon(base_power_w=1.0)
    assert meter.name == 'hwmon' and meter.energy_j() == 0
    machine.step()
    machine.device(1, in2_input=4000, curr2_input=1000)  # 2 W before, 4 W now
    assert meter.energy_j() == pytest.approx((3 - 1) * 0.25)
    machine.step()
    machine.device(1, curr2_input=-8)  # current that flows back is less than the base
    assert meter.energy_j() == pytest.approx((3 - 1 + 1.984 - 1) * 0.25)
    machine.step()
    assert meter.energy_j() == pytest.approx((3 - 1 + 1.984 - 1) * 0.25)


def test_a_rail_is_chosen_by_its_label(machine):
    jetson(machine)
    meter = machine.hwmon(channel='VDD_IN')
    machine.step()
    assert meter.energy_j() == pytest.approx(6 * 0.25)


@pytest.mark.parametrize(
    'cpu, channel, wanted',
    [
        ('VDD_CPU_CV', 'VDD_CPU', "0 rails named 'VDD_CPU'"),
        ('VDD_CPU_CV', 'sum of shunt voltages', "0 rails named 'sum of shunt voltages'"),
        ('VDD_SOC', 'VDD_SOC', "2 rails named 'VDD_SOC'"),
        ('VDD_GPU', '', '0 rails with CPU in the label'),
    ],
)
def test_no_rail_is_guessed(machine, cpu, channel, wanted):
    jetson(machine, cpu)
    with pytest.raises(MeterError) as rejection:
        machine.hwmon(channel=channel)
    assert str(rejection.value) == (
        f'meter hwmon: {machine.root}/sys/class/hwmon has {wanted}, accepted as channel is one '
        f'of: VDD_IN, {cpu}, VDD_SOC'
    )


def test_two_rails_of_processors(machine):
    machine.device(
        0,
        name='apm_xgene',
        power1_label='CPU power',
        power1_input=9_000_000,
        power2_label='IO power',
        power2_input=3_000_000,
    )
    meter = machine.hwmon()
    machine.step()
    assert meter.energy_j() == pytest.approx(9 * 0.25)
    machine.device(1, name='apm_xgene', power1_label='CPU power', power1_input=9_000_000)
    with pytest.raises(MeterError, match='of: CPU power, IO power, CPU power'):
        machine.hwmon()


@pytest.mark.parametrize(
    'files, label',
    [
        (
            {'name': 'amdgpu', 'in0_input': 1064, 'in0_label': 'vddgfx', 'power1_label': 'PPT'},
            'PPT',
        ),
        ({'name': 'fam15h_power', 'power1_crit': 95_000_000}, 'fam15h_power power1'),
        # Power is taken where it is told, not made of voltage and current as well.
        (
            {
                'name': 'ina226',
                'in0_input': 2,
                'in1_input': 5016,
                'curr1_input': 820,
                'in1_label': 'VDD_5V',
            },
            'ina226 power1',
        ),
    ],
)
def test_the_only_power_sensor(machine, files, label):
    machine.device(0, name='nvme', temp1_input=38850)
    machine.device(4, power1_input=20_000_000, **files)
    for channel in ('', label):
        meter = machine.hwmon(channel=channel)
        machine.step()
        assert meter.energy_j() == pytest.approx(20 * 0.25)


def test_voltage_and_current_without_a_label_are_no_rail(machine):
    machine.device(
        0, name='ina3221', in1_input=5000, curr1_input=400, in4_input=2000, curr4_input=400
    )
    with pytest.raises(MeterError, match='has no power sensor, accepted is powerN_input, or inN'):
        machine.hwmon()


# What cannot be read.


def lines(rejection):
    return str(rejection.value).splitlines()


def test_nothing_there(tmp_path):
    for kind, accepted in (('rapl', 'modprobe intel_rapl_msr'), ('hwmon', 'powerN_input')):
        with pytest.raises(MeterError, match=accepted) as rejection:
            open_meter(kind, MeterSettings(5.0, 0.0, root=tmp_path))
        assert len(lines(rejection)) == 1


@pytest.mark.parametrize(
    'file, content, problem',
    [
        ('sys/class/powercap/intel-rapl:0/energy_uj', '', "holds '', accepted is an integer"),
        ('sys/class/powercap/intel-rapl:0/energy_uj', '1.5\n2', r"holds '1\.5\\n2', accepted"),
        (
            'sys/class/powercap/intel-rapl:0/max_energy_range_uj',
            '0',
            'holds 0, accepted is an integ',
        ),
        ('sys/class/powercap/intel-rapl:0/energy_uj', None, 'cannot be read .Is a directory.'),
        ('sys/class/powercap/intel-rapl:0/name', None, 'cannot be read .Is a directory.'),
        (
            'proc/stat',
            'cpu0 1 2 3 4 5 6 7 8',
            "begins with 'cpu0 1 2 3 4 5 6 7 8', accepted is cpu ",
        ),
        ('proc/stat', 'cpu  1 2 3 4 5 6 7', 'accepted is cpu and at least 8 numbers'),
        ('proc/stat', 'cpu  1 2 3 4 5 6 7 -8', 'accepted is cpu and at least 8 numbers'),
        ('proc/stat', '', "begins with ''"),
    ],
)
def test_garbage(machine, file, content, problem):
    machine.zone('intel-rapl:0', 'package-0', 7_000_000)
    path = machine.root / file
    path.unlink()
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(MeterError, match=problem) as rejection:
        machine.rapl()
    assert len(lines(rejection)) == 1 and f'meter rapl: {path} ' in lines(rejection)[0]


@pytest.mark.parametrize('file', ['in2_input', 'curr2_input'])
def test_a_sensor_vanishes(machine, file):
    jetson(machine)
    meter = machine.hwmon()
    (machine.root / 'sys/class/hwmon/hwmon1' / file).unlink()
    with pytest.raises(MeterError, match=rf'{file} cannot be read .No such file') as rejection:
        meter.energy_j()
    assert len(lines(rejection)) == 1


@pytest.mark.parametrize(
    'kind, file, subsystem',
    [
        ('rapl', 'powercap/intel-rapl:0/energy_uj', 'powercap'),
        ('hwmon', 'hwmon/hwmon1/in2_label', 'hwmon'),
        ('hwmon', 'hwmon/hwmon1/curr2_input', 'hwmon'),
    ],
)
def test_root_alone_may_read(machine, kind, file, subsystem):
    machine.zone('intel-rapl:0', 'package-0', 7_000_000)
    jetson(machine)
    path = machine.root / 'sys/class' / file
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip('root may read everything')
    with pytest.raises(MeterError) as rejection:
        open_meter(kind, machine.settings())
    (line,) = lines(rejection)
    assert line.startswith(f'meter {kind}: {path} may not be read')
    assert f'chgrp GROUP and chmod g+r, which a udev rule for SUBSYSTEM=="{subsystem}"' in line


# The choice.


def test_every_meter_opens_by_name(machine):
    machine.zone('intel-rapl:0', 'package-0', 7_000_000)
    jetson(machine)
    opened = {kind: open_meter(kind, machine.settings()) for kind in METERS}
    assert opened.pop('estimated') is None
    assert opened.pop('auto').name == 'hwmon'
    assert all(meter.name == kind and meter.reasons == () for kind, meter in opened.items())


def test_an_unknown_meter(machine):
    with pytest.raises(MeterError, match="meter is 'RAPL', accepted is one of estimated, auto, "):
        open_meter('RAPL', machine.settings())


@pytest.mark.parametrize(
    'powers',
    [
        {'core_power_w': -1.0},
        {'core_power_w': math.nan},
        {'base_power_w': math.inf},
    ],
)
def test_powers_out_of_range(machine, powers):
    with pytest.raises(RangeError, match='accepted is a finite number from 0'):
        machine.settings(**powers)


def test_auto_takes_the_rail_of_the_processor(machine):
    jetson(machine)
    meter = open_meter('auto', machine.settings())
    assert meter.name == 'hwmon' and meter.reasons == ()


def test_auto_counts_where_no_rail_is_the_processors(machine):
    machine.device(0, name='amdgpu', power1_label='PPT', power1_input=20_000_000)
    machine.zone('intel-rapl:0', 'package-0', 7_000_000)
    meter = open_meter('auto', machine.settings())
    assert meter.name == 'rapl' and len(meter.reasons) == 1
    assert '0 rails with CPU in the label, accepted as channel is one of: PPT' in meter.reasons[0]
    assert open_meter('auto', machine.settings(channel='PPT')).name == 'hwmon'


def test_auto_falls_back_to_processor_time(machine):
    machine.zone('intel-rapl:0', 'package-0', 'garbage')
    meter = open_meter('auto', machine.settings())
    assert meter.name == 'processor' and len(meter.reasons) == 2
    assert "energy_uj holds 'garbage'" in meter.reasons[1]


def test_auto_finds_a_meter_on_this_machine():
    meter = open_meter('auto', MeterSettings(core_power_w=5.0, base_power_w=0.0))
    assert meter.name in ('hwmon', 'rapl', 'processor') and meter.energy_j() >= 0


# Processor time.


def burn(processor_s):
    end_s = time.process_time() + processor_s
    while time.process_time() < end_s:
        pass


def test_processor_time_is_what_was_spent():
    before_s = time.process_time()
    meter = open_meter('processor', MeterSettings(core_power_w=4.0, base_power_w=100.0))
    opened_s = time.process_time()
    burn(0.1)
    min_s = time.process_time() - opened_s
    energy_j = meter.energy_j()
    assert 4 * min_s <= energy_j <= 4 * (time.process_time() - before_s)


def test_the_real_busy_time_covers_what_this_process_spent(machine):
    machine.zone('intel-rapl:0', 'package-0', 0)
    (machine.root / 'proc/stat').unlink()
    (machine.root / 'proc/stat').symlink_to('/proc/stat')
    meter = open_meter('rapl', machine.settings())
    burn(0.2)
    machine.count('intel-rapl:0', 100_000_000)
    assert 0 < meter.energy_j() <= 100


# Battery.


def reading(voltage_v, current_a, supply=Supply.UNKNOWN):
    return BatteryReading(voltage_v=voltage_v, current_a=current_a, supply=supply)


def fed(*states, base_power_w=0.0, **options):
    meter = BatteryMeter(base_power_w, **options)
    for now_s, *state in states:
        meter.measure(now_s, reading(*state))
    return meter.energy_j()


@pytest.mark.parametrize(
    'states, energy_j',
    [
        ([], 0),
        ([(5, 12, -1)], 0),
        ([(5, 12, -1), (7, 12, -1)], 24),
        ([(5, 12, -1), (7, 10, -2)], 32),
        ([(5, 12, 1), (7, 12, 1)], 0),  # charging
        ([(5, 12, 1), (7, 12, -1)], 12),
        ([(5, 12, -1), (15, 12, -1)], 120),
        ([(5, 12, -1), (15.5, 12, -1), (16.5, 12, -1)], 12),  # a gap
        ([(5, 12, -1), (4, 12, -1), (5, 12, -1)], 12),  # the clock went back
        ([(5, 12, -1), (5, 24, -1), (6, 24, -1)], 24),
    ],
)
def test_battery(states, energy_j):
    assert fed(*states) == pytest.approx(energy_j)


def test_battery_less_the_base():
    # 12 W, 24 W and 6 W; the base is 10 W, and what is below it saves nothing.
    assert fed((0, 12, -1), (1, 12, -2), (2, 12, -0.5), base_power_w=10.0) == pytest.approx(
        (2 + 14) / 2 + 14 / 2
    )


@pytest.mark.parametrize(
    'supply, options, power_w',
    [
        (Supply.DISCHARGING, {}, 12),
        (Supply.NOT_CHARGING, {}, 12),
        (Supply.CHARGING, {}, 0),
        (Supply.UNKNOWN, {}, 0),
        (Supply.UNKNOWN, dict(discharge_is_positive=True), 12),
    ],
)
def test_a_positive_current(supply, options, power_w):
    assert fed((0, 12, 1, supply), (1, 12, 1, supply), **options) == power_w


def test_a_sign_that_the_status_contradicts_is_said():
    meter = BatteryMeter(0.0)
    assert meter.measure(0.0, reading(12, 1, Supply.DISCHARGING)).startswith('current: 1 A while')
    assert meter.measure(1.0, reading(12, -1, Supply.DISCHARGING)) == ''


def test_a_current_of_zero_counts_once_another_was_seen():
    assert fed((0, 12, -1), (1, 12, 0), (2, 12, 0)) == 6
    assert fed((0, 12, 0, Supply.FULL), (1, 12, 0, Supply.FULL)) == 0


@pytest.mark.parametrize(
    'state, problem',
    [
        ((math.nan, 12, -1), 'time: nan; accepted: a finite number'),
        ((1, math.nan, -1), 'voltage: nan V; accepted: a finite number above 0'),
        ((1, 0, -1), 'voltage: 0 V; accepted'),
        ((1, -12, -1), 'voltage: -12 V; accepted'),
        ((1, math.inf, -1), 'voltage: inf V; accepted'),
        (
            (1, 12, math.nan),
            'current: nan A; accepted: a finite number, negative while discharging',
        ),
        ((1, 12, -math.inf), 'current: -inf A; accepted'),
    ],
)
def test_a_rejected_battery_state_counts_as_none(state, problem):
    meter = BatteryMeter(0.0)
    meter.measure(0.0, reading(12.0, -1.0))
    with pytest.raises(MeterError, match=f'^meter battery: {problem}'):
        meter.measure(state[0], reading(*state[1:]))
    assert meter.energy_j() == 0
    meter.measure(2.0, reading(12.0, -1.0))
    assert meter.energy_j() == pytest.approx(24)


@pytest.mark.parametrize('supply', [Supply.UNKNOWN, Supply.DISCHARGING])
def test_a_current_that_is_never_filled_in_is_not_measured(supply):
    meter = BatteryMeter(0.0)
    for second in range(3):
        with pytest.raises(MeterError, match='^meter battery: current: 0 A; accepted'):
            meter.measure(second, reading(12.0, 0.0, supply))


@untimed
@given(
    st.lists(st.tuples(st.floats(), st.floats(), st.floats(-1e6, 1e6)), max_size=20),
    st.floats(0, 1e6),
)
def test_battery_energy_never_falls(states, base_power_w):
    meter = BatteryMeter(base_power_w)
    energies_j = [meter.energy_j()]
    for state in states:
        try:
            meter.measure(state[0], reading(*state[1:]))
        except MeterError:
            pass
        energies_j.append(meter.energy_j())
    assert energies_j == sorted(energies_j) and energies_j[0] == 0
