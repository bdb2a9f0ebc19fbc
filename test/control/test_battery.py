"""The battery as its messages tell it: sources, jumps, a stuck gauge, silence, and any floats."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.control.battery import (
    BELOW_EMPTY,
    JUMP,
    SETTLE_S,
    BatteryError,
    BatteryMonitor,
    BatteryReading,
    BatterySettings,
    BatteryValidity,
    Supply,
)

# Other load on the machine is no failure.
untimed = settings(deadline=None)

KNOWN, UNKNOWN, STALE, IMPLAUSIBLE = BatteryValidity
CURVE = (3.0, 3.6, 3.8, 4.2)
MESSAGE = Path(__file__).parents[2] / 'msg' / 'ControllerStatus.msg'


def heard(*percentages, every_s=1.0, **options):
    """A monitor that heard one after the other, from 0 s on, and the time of the last, s."""
    monitor = BatteryMonitor(BatterySettings(**options))
    for index, percentage in enumerate(percentages):
        monitor.update(index * every_s, BatteryReading(percentage=percentage))
    return monitor, (len(percentages) - 1) * every_s


def states(monitor, now_s, percentages, every_s=1.0, **fields):
    """The state after each, the first of them one interval after `now_s`."""
    found = []
    for index, percentage in enumerate(percentages, 1):
        monitor.update(now_s + index * every_s, BatteryReading(percentage=percentage, **fields))
        found.append(monitor.validity(now_s + index * every_s))
    return found


def test_states_are_those_of_the_message():
    constants = re.findall(r'^uint8 BATTERY_(\w+)=(\d+)', MESSAGE.read_text(), re.MULTILINE)
    assert {name: int(value) for name, value in constants} == {
        state.name: state.value for state in BatteryValidity
    }


# Sources.


@pytest.mark.parametrize(
    'fields, options, state_of_charge, source',
    [
        (dict(percentage=0.4), {}, 0.4, 'percentage'),
        (dict(percentage=0.0), {}, 0.0, 'percentage'),
        (dict(percentage=1.0), {}, 1.0, 'percentage'),
        (dict(percentage=40.0), dict(full_percentage=100.0), 0.4, 'percentage'),
        (dict(percentage=1.0), dict(full_percentage=100.0), 0.01, 'percentage'),
        (
            dict(percentage=0.4, charge_ah=2.0, capacity_ah=2.0, voltage_v=4.2),
            dict(voltage_curve=CURVE),
            0.4,
            'percentage',
        ),
        (
            dict(percentage=0.4, charge_ah=9.0, capacity_ah=2.0, voltage_v=-1.0),
            {},
            0.4,
            'percentage',
        ),
        (dict(charge_ah=0.5, capacity_ah=2.0, design_capacity_ah=4.0), {}, 0.25, 'charge'),
        (dict(charge_ah=0.5, design_capacity_ah=4.0), {}, 0.125, 'charge'),
        (dict(charge_ah=0.5, capacity_ah=0.0, design_capacity_ah=4.0), {}, 0.125, 'charge'),
        (
            dict(charge_ah=0.5, capacity_ah=2.0, voltage_v=4.2),
            dict(voltage_curve=CURVE),
            0.25,
            'charge',
        ),
        (dict(voltage_v=3.6), dict(voltage_curve=CURVE), 1 / 3, 'voltage'),
        (dict(voltage_v=4.0), dict(voltage_curve=CURVE), 5 / 6, 'voltage'),
        (dict(voltage_v=2.5), dict(voltage_curve=CURVE), 0.0, 'voltage'),
        (dict(voltage_v=5.0), dict(voltage_curve=CURVE), 1.0, 'voltage'),
        (dict(voltage_v=3.6, charge_ah=0.5), dict(voltage_curve=CURVE), 1 / 3, 'voltage'),
    ],
)
def test_the_first_that_is_measured_tells_the_state_of_charge(
    fields, options, state_of_charge, source
):
    monitor = BatteryMonitor(BatterySettings(**options))
    monitor.update(0.0, BatteryReading(**fields))
    assert monitor.validity(0.0) == KNOWN and monitor.source == source
    assert monitor.state_of_charge(0.0) == pytest.approx(state_of_charge)


NO_PERCENTAGE = '; accepted: 0 to 1 (parameter full_percentage), or NaN'


def told(fields, **options):
    """What one reading tells as the first: (source, state of charge or None, lines)."""
    monitor = BatteryMonitor(BatterySettings(**options))
    lines = monitor.update(0.0, BatteryReading(**fields))
    charge = monitor.state_of_charge(0.0)
    return monitor.source, None if math.isnan(charge) else pytest.approx(charge), lines


@pytest.mark.parametrize(
    'fields, options, source, charge',
    [
        # Ends that are missed by rounding, by a simulation's last step, or by a new cell.
        (dict(percentage=1.0000001), {}, 'percentage', 1.0),
        (dict(percentage=1.04), {}, 'percentage', 1.0),
        (dict(percentage=-2.9e-5), {}, 'percentage', 0.0),
        (dict(percentage=-0.0049), {}, 'percentage', 0.0),
        (dict(percentage=100.4), dict(full_percentage=100.0), 'percentage', 1.0),
        (dict(percentage=-0.003), dict(full_percentage=100.0), 'percentage', 0.0),
        (dict(charge_ah=2.1, capacity_ah=2.0), {}, 'charge', 1.0),
        (dict(charge_ah=2.5, capacity_ah=2.0), {}, 'charge', 1.0),
        (dict(charge_ah=2.9, capacity_ah=2.0, design_capacity_ah=3.0), {}, 'charge', 1.0),
        (dict(charge_ah=-7.7e-6, capacity_ah=2.0), {}, 'charge', 0.0),
        # Marks of what is unmeasured.
        *(
            (dict(percentage=mark, charge_ah=0.5, capacity_ah=2.0), {}, 'charge', 0.25)
            for mark in (-1.0, -0.01, float(np.float32(-0.01)), math.nan)
        ),
        (
            dict(percentage=-1.0, charge_ah=-1.0, capacity_ah=2.0, voltage_v=3.6),
            dict(voltage_curve=CURVE),
            'voltage',
            1 / 3,
        ),
        (
            dict(percentage=-1.0, charge_ah=0.5, capacity_ah=2.0),
            dict(full_percentage=100.0),
            'charge',
            0.25,
        ),
        # A 0 is what an unset field reads: another source that tells more is taken.
        (dict(percentage=0.0, charge_ah=0.5, capacity_ah=2.0), {}, 'charge', 0.25),
        (
            dict(
                percentage=0.0,
                charge_ah=0.0,
                capacity_ah=0.0,
                design_capacity_ah=0.0,
                voltage_v=3.6,
            ),
            dict(voltage_curve=CURVE),
            'voltage',
            1 / 3,
        ),
        (
            dict(charge_ah=0.0, capacity_ah=2.0, voltage_v=3.6),
            dict(voltage_curve=CURVE),
            'voltage',
            1 / 3,
        ),
        # Drivers and bridges that leave `present` false.
        (dict(percentage=0.6, voltage_v=0.0, present=False), {}, 'percentage', 0.6),
        (
            dict(percentage=0.6, voltage_v=12.0, charge_ah=1.2, capacity_ah=2.0, present=False),
            {},
            'percentage',
            0.6,
        ),
    ],
)
def test_what_is_not_told_is_passed_over_without_a_word(fields, options, source, charge):
    assert told(fields, **options) == (source, charge, ())


@pytest.mark.parametrize(
    'fields',
    [
        # As bridged from Gazebo, a driver of our own, one that knows the convention, a TurtleBot 3.
        dict(percentage=0.0, charge_ah=0.0, capacity_ah=2.0, voltage_v=10.0, present=False),
        dict(percentage=-2.9e-5, charge_ah=-7.7e-6, capacity_ah=2.0, voltage_v=10.0, present=False),
        dict(percentage=0.0, charge_ah=0.0, capacity_ah=2.0, design_capacity_ah=2.0, voltage_v=2.0),
        dict(percentage=0.0),
        dict(
            percentage=0.0, voltage_v=10.0, charge_ah=0.0, capacity_ah=0.0, design_capacity_ah=1.8
        ),
    ],
)
def test_an_empty_battery(fields):
    assert told(fields) == ('percentage', 0.0, ())


ALL_ZERO = dict.fromkeys(
    ('percentage', 'voltage_v', 'current_a', 'charge_ah', 'capacity_ah', 'design_capacity_ah'), 0.0
)


@pytest.mark.parametrize('present', [False, True])
@pytest.mark.parametrize(
    'fields',
    [
        ALL_ZERO,
        {**ALL_ZERO, 'voltage_v': 11.1},
        {**ALL_ZERO, 'charge_ah': math.nan},
        {**ALL_ZERO, 'capacity_ah': 2.0},
    ],
)
def test_a_message_that_nobody_filled_in_is_not_empty(fields, present):
    source, charge, lines = told(dict(**fields, present=present))
    assert (source, charge) == ('', None)
    (line,) = lines
    assert line.startswith('percentage: 0, charge: ') and ': no state of charge; accepted' in line
    assert ('present: false' in line) == (not present)


def test_no_battery_is_not_an_empty_one():
    assert told(dict(percentage=0.0, present=False))[1] is None


def test_a_zero_that_is_reached_counts_whatever_else_is_told():
    monitor = BatteryMonitor(BatterySettings(voltage_curve=CURVE))
    for second, percentage in enumerate((0.03, 0.01, 0.0, 0.0)):
        fields = {**ALL_ZERO, 'percentage': percentage, 'voltage_v': 3.6}
        assert monitor.update(second, BatteryReading(**fields, present=False)) == ()
        assert monitor.state_of_charge(second) == percentage


def test_zeros_in_between_change_nothing():
    monitor, now_s = heard(0.6)
    for second in range(1, 30):
        fields = dict(percentage=0.6) if second % 4 == 0 else dict(**ALL_ZERO, present=False)
        lines = monitor.update(now_s + second, BatteryReading(**fields))
        assert bool(lines) == (second % 4 != 0)
        assert monitor.state_of_charge(now_s + second) == 0.6


@pytest.mark.parametrize(
    'fields, line, source',
    [
        (
            dict(percentage=55.0, charge_ah=0.5, capacity_ah=2.0),
            'percentage: 55' + NO_PERCENTAGE,
            'charge',
        ),
        (
            dict(percentage=-0.1, charge_ah=0.5, capacity_ah=2.0),
            'percentage: -0.1' + NO_PERCENTAGE,
            'charge',
        ),
        (dict(percentage=math.inf, voltage_v=3.6), 'percentage: inf' + NO_PERCENTAGE, 'voltage'),
        (
            dict(charge_ah=3.0, capacity_ah=2.0, voltage_v=3.6),
            'charge: 3 Ah; accepted: 0 to the capacity of 2 Ah, or NaN',
            'voltage',
        ),
        (
            dict(charge_ah=-0.5, capacity_ah=2.0, voltage_v=3.6),
            'charge: -0.5 Ah; accepted: 0 to the capacity of 2 Ah, or NaN',
            'voltage',
        ),
    ],
)
def test_what_is_rejected_is_said_and_the_next_source_is_taken(fields, line, source):
    taken, charge, lines = told(fields, voltage_curve=CURVE)
    assert taken == source and charge is not None
    assert lines == (f'{line}; {source} is taken',)


def test_everything_that_is_rejected_is_said():
    source, charge, lines = told(
        dict(percentage=55.0, charge_ah=9.0, capacity_ah=2.0, voltage_v=-3.0), voltage_curve=CURVE
    )
    assert (source, charge) == ('', None)
    assert [line.split(':')[0] for line in lines] == [
        'percentage',
        'charge',
        'voltage',
        'percentage',
    ]


@pytest.mark.parametrize(
    'fields, options',
    [
        (dict(percentage=1.5), {}),
        (dict(percentage=-0.1), {}),
        (dict(percentage=math.inf), dict(full_percentage=100.0)),
        (dict(charge_ah=3.0, capacity_ah=2.0), {}),
        (dict(charge_ah=-1.0, capacity_ah=2.0), {}),
        *(
            (fields, {})
            for fields in (
                {},
                dict(charge_ah=1.0),
                dict(charge_ah=1.0, capacity_ah=0.0),
                dict(capacity_ah=1.0),
                dict(charge_ah=1.0, capacity_ah=math.inf),
                dict(voltage_v=3.6),
            )
        ),
        *((dict(voltage_v=volt), dict(voltage_curve=CURVE)) for volt in (0.0, math.nan, math.inf)),
    ],
)
def test_a_reading_that_tells_nothing_says_why_and_changes_nothing(fields, options):
    monitor, now_s = heard(0.4 * options.get('full_percentage', 1.0), **options)
    lines = monitor.update(now_s + 2.0, BatteryReading(**fields))
    assert lines[-1].startswith('percentage: ') and ': no state of charge; accepted: ' in lines[-1]
    assert ('voltage_curve' in lines[-1]) == ('voltage_curve' not in options)
    assert monitor.state_of_charge(now_s + 2.0) == 0.4 and monitor.source == 'percentage'
    assert monitor.age_s(now_s + 2.0) == 2.0


# Current.

DISCHARGING, NOT_CHARGING, CHARGING = Supply.DISCHARGING, Supply.NOT_CHARGING, Supply.CHARGING


@pytest.mark.parametrize(
    'current_a, supply, positive, discharge_a, said',
    [
        (-2.0, Supply.UNKNOWN, False, 2.0, False),
        (2.0, Supply.UNKNOWN, False, -2.0, False),
        (2.0, Supply.UNKNOWN, True, 2.0, False),
        (-2.0, 77, True, -2.0, False),
        (-2.0, DISCHARGING, False, 2.0, False),
        (2.0, DISCHARGING, False, 2.0, True),
        (2.0, NOT_CHARGING, False, 2.0, True),
        (-2.0, DISCHARGING, True, 2.0, True),
        (2.0, DISCHARGING, True, 2.0, False),
        (2.0, CHARGING, False, -2.0, False),
        (-2.0, CHARGING, False, -2.0, True),
        (-2.0, Supply.FULL, False, 2.0, False),
        (0.0, DISCHARGING, False, 0.0, False),
        (float(np.float32(0.01)), DISCHARGING, False, math.nan, False),  # as of mavros: unmeasured
        (math.nan, DISCHARGING, False, math.nan, False),
        (math.inf, DISCHARGING, False, math.nan, True),
    ],
)
def test_current_out_of_the_battery(current_a, supply, positive, discharge_a, said):
    reading = BatteryReading(current_a=current_a, supply=supply)
    found_a, line = reading.discharge_a(positive)
    assert found_a == pytest.approx(discharge_a, nan_ok=True)
    assert bool(line) == said and (not said or line.startswith(f'current: {current_a:g} A'))


def test_a_current_of_minus_one_is_unmeasured_where_other_fields_say_so():
    assert BatteryReading(current_a=-1.0).discharge_a() == (1.0, '')
    assert math.isnan(BatteryReading(current_a=-1.0, charge_ah=-1.0).discharge_a()[0])


def test_a_contradicted_current_is_said_and_the_charge_is_known():
    monitor = BatteryMonitor(BatterySettings())
    (line,) = monitor.update(0.0, BatteryReading(percentage=0.5, current_a=2.0, supply=DISCHARGING))
    assert line == (
        'current: 2 A while power_supply_status is DISCHARGING; accepted: negative '
        'while discharging (parameter discharge_is_positive); the status is taken'
    )
    assert monitor.state_of_charge(0.0) == 0.5


@pytest.mark.parametrize(
    'supply, options', [(DISCHARGING, {}), (Supply.UNKNOWN, dict(discharge_is_positive=True))]
)
def test_a_stuck_reading_is_seen_whatever_the_sign_of_the_current(supply, options):
    monitor = BatteryMonitor(BatterySettings(**options))
    found = draw(monitor, 6 * [0.6], current_a=3.9, capacity_ah=0.1, supply=supply)
    assert found == 3 * [KNOWN] + 3 * [IMPLAUSIBLE]


@pytest.mark.parametrize(
    'field, value, accepted',
    [
        ('full_percentage', 0.0, 'a finite number above 0'),
        ('full_percentage', math.nan, 'a finite number above 0'),
        ('timeout_s', 0.0, 'a finite number above 0'),
        ('min_discharge_s', math.inf, 'a finite number above 0'),
        ('stuck_share', 3.0, 'a fraction from 0 to 1'),
        *(
            ('voltage_curve', curve, 'two or more finite numbers above 0, strictly rising, or none')
            for curve in (
                (3.7,),
                (3.0, 3.0),
                (3.6, 3.0),
                (3.0, math.nan),
                (math.nan, 3.0),
                (0.0, 3.0),
                (3.0, math.inf),
                ('low', 'lower'),
            )
        ),
    ],
)
def test_rejected_settings(field, value, accepted):
    with pytest.raises(BatteryError) as error:
        BatterySettings(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'


def test_voltage_that_sags_under_load_is_smoothed():
    monitor = BatteryMonitor(BatterySettings(voltage_curve=(3.0, 4.0)))
    found = []
    for second in range(600):
        loaded = second % 20 < 5
        monitor.update(second, BatteryReading(voltage_v=3.4 if loaded else 3.6))
        assert monitor.validity(second) == KNOWN
        found.append(monitor.state_of_charge(second))
    late = found[300:]
    assert max(late) - min(late) < 0.04
    assert sum(late) / len(late) == pytest.approx(0.55, abs=0.01)


def test_smoothing_begins_anew_when_voltage_is_the_source_again():
    monitor = BatteryMonitor(BatterySettings(voltage_curve=(3.0, 4.0)))
    for second, fields in enumerate(
        (dict(percentage=0.5), dict(voltage_v=3.5), dict(percentage=0.5), dict(voltage_v=3.55))
    ):
        monitor.update(second, BatteryReading(**fields))
    assert monitor.state_of_charge(3.0) == pytest.approx(0.55)


@pytest.mark.parametrize('before_v, after_v', [(3.1, 3.9), (3.95, 3.4)])
@pytest.mark.parametrize('every_s', [0.1, 1.0])
def test_voltage_that_changes_at_once_is_followed_slowly(before_v, after_v, every_s):
    """Another battery, or motors that start, as in flights of a Crazyflie."""
    monitor = BatteryMonitor(BatterySettings(voltage_curve=(3.0, 4.0)))
    charges = []
    for step in range(round(220 / every_s)):
        now_s = step * every_s
        monitor.update(now_s, BatteryReading(voltage_v=before_v if now_s < 20.0 else after_v))
        assert monitor.validity(now_s) == KNOWN
        charges.append(monitor.state_of_charge(now_s))
    assert np.abs(np.diff(charges)).max() < 0.04 * every_s
    assert charges[-1] == pytest.approx(after_v - 3.0, abs=0.01)


def test_another_source_has_to_settle_as_any_jump():
    monitor = BatteryMonitor(BatterySettings(voltage_curve=(3.0, 4.0)))
    fields = [dict(percentage=0.5), dict(voltage_v=3.9), dict(percentage=0.5)]
    charges = []
    for second, reading in enumerate(fields):
        monitor.update(second, BatteryReading(**reading))
        charges.append(monitor.state_of_charge(second))
    assert charges == [0.5, 0.5, 0.5]


# Energy.


@pytest.mark.parametrize(
    'fields, energy_j',
    [
        (dict(percentage=0.5, capacity_ah=2.0, voltage_v=3.7), 0.5 * 2.0 * 3600 * 3.7),
        (dict(percentage=0.5, design_capacity_ah=2.0, voltage_v=3.7), 0.5 * 2.0 * 3600 * 3.7),
        (dict(percentage=0.5, charge_ah=1.2, voltage_v=3.7), 1.2 * 3600 * 3.7),
        (dict(charge_ah=1.0, capacity_ah=2.0, voltage_v=3.7), 1.0 * 3600 * 3.7),
        (dict(percentage=0.0, capacity_ah=2.0, voltage_v=3.0), 0.0),
        (dict(percentage=0.5, capacity_ah=2.0), math.nan),
        (dict(percentage=0.5, capacity_ah=2.0, voltage_v=0.0), math.nan),
        (dict(percentage=0.5, voltage_v=3.7), math.nan),
        (dict(percentage=0.5, charge_ah=-1.0, voltage_v=3.7), math.nan),
        (dict(percentage=0.5, charge_ah=0.0, capacity_ah=0.0, voltage_v=3.7), math.nan),  # unset
        (dict(percentage=0.0, charge_ah=0.0, voltage_v=3.7), 0.0),
        (dict(percentage=0.5, capacity_ah=1e308, voltage_v=1e308), math.nan),
    ],
)
def test_energy_left(fields, energy_j):
    monitor = BatteryMonitor(BatterySettings())
    monitor.update(0.0, BatteryReading(**fields))
    assert monitor.energy_j(0.0) == pytest.approx(energy_j, nan_ok=True)
    assert math.isnan(monitor.energy_j(11.0))


# Silence and the clock.


def test_unknown_until_heard():
    monitor = BatteryMonitor(BatterySettings())
    assert monitor.validity(5.0) == UNKNOWN and monitor.source == ''
    assert math.isnan(monitor.state_of_charge(5.0)) and math.isnan(monitor.energy_j(5.0))
    assert monitor.age_s(5.0) == math.inf


def test_stale_after_the_timeout_until_heard():
    monitor, now_s = heard(0.4, timeout_s=3.0)
    assert monitor.validity(now_s + 3.0) == KNOWN
    assert monitor.validity(now_s + 3.1) == STALE and monitor.age_s(now_s + 3.1) == 3.1
    assert math.isnan(monitor.state_of_charge(now_s + 3.1))
    # Whatever it tells: it may be another battery.
    assert states(monitor, now_s + 4.0, [0.9]) == [KNOWN]
    assert monitor.state_of_charge(now_s + 5.0) == 0.9


def test_readings_that_tell_nothing_do_not_keep_it_fresh():
    monitor, now_s = heard(0.4)
    for second in range(1, 12):
        assert monitor.update(now_s + second, BatteryReading())
    assert monitor.validity(now_s + 11.0) == STALE


def test_in_another_world_the_next_reading_is_believed_whatever_it_tells():
    monitor, now_s = heard(0.4, 0.4)
    monitor.expect_any()
    assert monitor.validity(now_s) == KNOWN and monitor.state_of_charge(now_s) == 0.4
    assert states(monitor, now_s, [0.9, 0.9]) == [KNOWN, KNOWN]
    assert monitor.state_of_charge(now_s + 2.0) == 0.9


# Jumps.


@pytest.mark.parametrize('outlier', [0.0, 0.1, 1.0])
@pytest.mark.parametrize('every_s', [0.02, 1.0, 5.0])
def test_an_outlier_changes_nothing(outlier, every_s):
    monitor, now_s = heard(0.5, 0.5, outlier, every_s=every_s)
    assert monitor.validity(now_s) == KNOWN and monitor.state_of_charge(now_s) == 0.5
    assert states(monitor, now_s, [0.5, outlier, 0.49], every_s) == [KNOWN, KNOWN, KNOWN]
    assert monitor.state_of_charge(now_s + 3 * every_s) == 0.49


def test_a_small_step_is_no_jump():
    monitor, now_s = heard(0.5, 0.45)
    assert monitor.state_of_charge(now_s) == 0.45


@pytest.mark.parametrize('old, new', [(0.2, 1.0), (0.9, 0.3), (0.5, 0.0)])
def test_a_new_level_is_believed_when_it_lasts(old, new):
    monitor, now_s = heard(old, old)
    found = states(monitor, now_s, 14 * [new])
    # The first may be an outlier.
    assert found == [KNOWN] + 9 * [IMPLAUSIBLE] + 4 * [KNOWN]
    assert monitor.state_of_charge(now_s + 14.0) == new


def test_a_new_level_takes_several_readings():
    monitor, now_s = heard(0.2, every_s=8.0)
    assert states(monitor, now_s, 3 * [0.9], 8.0) == [KNOWN, IMPLAUSIBLE, KNOWN]
    monitor, now_s = heard(0.2, timeout_s=60.0)
    assert states(monitor, now_s, 3 * [0.9], 20.0) == [KNOWN, IMPLAUSIBLE, KNOWN]


def test_the_old_level_is_believed_again_at_once():
    monitor, now_s = heard(0.5)
    assert states(monitor, now_s, [0.9, 0.9, 0.9, 0.5]) == [KNOWN] + 2 * [IMPLAUSIBLE] + [KNOWN]
    assert monitor.state_of_charge(now_s + 4.0) == 0.5
    # And the time at the other does not count later.
    assert states(monitor, now_s + 4.0, 10 * [0.9])[1:] == 9 * [IMPLAUSIBLE]


def test_a_gauge_that_never_settles_is_never_believed():
    monitor, now_s = heard(0.5)
    found = states(monitor, now_s, 10 * [0.1, 0.9, 0.3, 0.7])
    assert found == [KNOWN] + 39 * [IMPLAUSIBLE]


@pytest.mark.parametrize('every_s', [0.1, 1.0])
def test_small_steps_do_not_add_up_to_any_speed(every_s):
    monitor, now_s = heard(1.0)
    falling = [1.0 - 0.04 * step for step in range(25)]
    assert IMPLAUSIBLE in states(monitor, now_s, falling, every_s)


def test_the_least_time_of_a_discharge_is_configured():
    falling = [1.0 - 0.1 * step for step in range(11)]
    monitor, now_s = heard(1.0, min_discharge_s=10.0)
    assert states(monitor, now_s, falling) == 11 * [KNOWN]


# Stuck.


def draw(monitor, percentages, current_a=-3.9, first_s=0.0, **fields):
    """States after each: one a second, a little more than 0.001 Ah at a time."""
    return states(monitor, first_s - 1.0, percentages, current_a=current_a, **fields)


@pytest.mark.parametrize('capacity', [dict(capacity_ah=0.1), dict(design_capacity_ah=0.1)])
def test_a_reading_that_stands_still_while_current_flows_is_stuck_until_it_moves(capacity):
    monitor = BatteryMonitor(BatterySettings())
    # Somewhat above 1 % each; the first has no time before it.
    assert draw(monitor, 6 * [0.6], **capacity) == 3 * [KNOWN] + 3 * [IMPLAUSIBLE]
    assert draw(monitor, [0.59, 0.58, 0.57], first_s=6.0, **capacity) == 3 * [KNOWN]
    assert draw(monitor, 4 * [0.57], first_s=9.0, **capacity) == 2 * [KNOWN] + 2 * [IMPLAUSIBLE]


def test_an_outlier_does_not_free_a_stuck_reading():
    monitor = BatteryMonitor(BatterySettings())
    readings = 6 * [0.6] + [0.9] + 3 * [0.6]
    assert draw(monitor, readings, capacity_ah=0.1)[3:] == 7 * [IMPLAUSIBLE]


def test_a_stuck_reading_that_jumps_has_to_settle():
    monitor = BatteryMonitor(BatterySettings())
    readings = 6 * [0.6] + [0.4 - 0.01 * second for second in range(12)]
    found = draw(monitor, readings, capacity_ah=0.1)
    assert found[3:] == 13 * [IMPLAUSIBLE] + 2 * [KNOWN]


@pytest.mark.parametrize(
    'percentage, fields',
    [
        (0.6, dict(current_a=math.nan, capacity_ah=0.1)),
        (0.6, dict(current_a=math.inf, capacity_ah=0.1)),
        (0.6, dict()),
        (0.6, dict(capacity_ah=0.0)),
        (0.6, dict(current_a=3.9, capacity_ah=0.1)),
        (0.6, dict(current_a=0.0, capacity_ah=0.1)),
        (0.0, dict(capacity_ah=0.1)),
    ],
    ids=['no current', 'infinite', 'no capacity', 'capacity 0', 'charging', 'at rest', 'empty'],
)
def test_not_seen_as_stuck(percentage, fields):
    monitor = BatteryMonitor(BatterySettings())
    assert draw(monitor, 50 * [percentage], **fields) == 50 * [KNOWN]


def test_charging_counts_against_discharging():
    monitor = BatteryMonitor(BatterySettings())
    for second in range(100):
        monitor.update(
            second,
            BatteryReading(percentage=0.6, capacity_ah=0.1, current_a=3.9 if second % 2 else -3.9),
        )
        assert monitor.validity(second) == KNOWN


def test_what_was_charged_before_does_not_delay_it():
    monitor = BatteryMonitor(BatterySettings())
    draw(monitor, 20 * [0.6], current_a=3.9, capacity_ah=0.1)
    assert draw(monitor, 4 * [0.6], first_s=20.0, capacity_ah=0.1)[2:] == 2 * [IMPLAUSIBLE]


@pytest.mark.parametrize(
    'before',
    [[0.65, 0.64], [0.7, 0.65, 0.64, 0.59], 2 * [0.9] + 11 * [0.4]],
    ids=['fine', 'both', 'jump'],
)
def test_the_smallest_step_is_the_resolution(before):
    monitor = BatteryMonitor(BatterySettings(min_discharge_s=60.0))
    found = draw(monitor, before + 4 * before[-1:], capacity_ah=0.1)[len(before) - 1 :]
    assert found == 3 * [KNOWN] + 2 * [IMPLAUSIBLE]


def test_the_share_is_configured():
    monitor = BatteryMonitor(BatterySettings(stuck_share=0.1))
    assert draw(monitor, 13 * [0.6], capacity_ah=0.1).count(KNOWN) == 10


def test_a_coarse_gauge_is_not_stuck_once_a_step_was_seen():
    gauge = [0.8 - second // 5 * 0.05 for second in range(75)]
    monitor = BatteryMonitor(BatterySettings(min_discharge_s=60.0))
    found = draw(monitor, gauge, capacity_ah=0.1)
    assert found[:5] == 3 * [KNOWN] + 2 * [IMPLAUSIBLE]
    assert found[5:] == 70 * [KNOWN]


# Properties.


def check(monitor, now_s):
    state, state_of_charge = monitor.validity(now_s), monitor.state_of_charge(now_s)
    assert (state == KNOWN) != math.isnan(state_of_charge)
    assert math.isnan(state_of_charge) or 0.0 <= state_of_charge <= 1.0
    energy_j = monitor.energy_j(now_s)
    assert math.isnan(energy_j) or (state == KNOWN and 0.0 <= energy_j < math.inf)
    assert monitor.age_s(now_s) >= 0.0
    assert (monitor.source == '') == (state == UNKNOWN)
    return state_of_charge


# Both any floats and such as are accepted.
likely = st.sampled_from((math.nan, 0.0, 0.3, 0.5, 0.9, 1.0, 3.5, -1.0, math.inf))
readings = st.builds(
    BatteryReading, *6 * [st.floats() | likely], present=st.booleans(), supply=st.integers(0, 255)
)
steps_s = st.floats(0.0, 30.0) | st.floats(0.0, 1e6)


@untimed
@given(
    steps=st.lists(st.tuples(steps_s, readings, steps_s), max_size=12),
    curve=st.sampled_from(((), CURVE, (5e-324, 1e-323), (1e-308, 1e308))),
)
def test_any_floats_leave_a_state_of_charge_or_nan(steps, curve):
    monitor = BatteryMonitor(BatterySettings(voltage_curve=curve))
    now_s = 0.0
    for heard_s, reading, asked_s in steps:
        now_s += heard_s
        lines = monitor.update(now_s, reading)
        assert not any('\n' in line for line in lines)
        check(monitor, now_s)
        now_s += asked_s
        check(monitor, now_s)


@untimed
@given(reading=readings, curve=st.sampled_from(((), CURVE)))
def test_empty_is_only_what_is_told_to_be(reading, curve):
    monitor = BatteryMonitor(BatterySettings(voltage_curve=curve))
    lines = monitor.update(0.0, reading)
    if monitor.state_of_charge(0.0) == 0.0:
        capacity_ah = next(
            (ah for ah in (reading.capacity_ah, reading.design_capacity_ah) if 0.0 < ah < math.inf),
            math.nan,
        )
        assert {
            'percentage': -BELOW_EMPTY <= reading.percentage <= 0.0,
            'charge': -BELOW_EMPTY <= reading.charge_ah / capacity_ah <= 0.0,
            'voltage': 0.0 < reading.voltage_v <= CURVE[0],
        }[monitor.source]
        assert (
            reading.present
            or reading.voltage_v > 0.0
            or {reading.percentage, reading.charge_ah} != {0.0}
        )
    assert bool(monitor.source) or lines


@untimed
@given(
    percentages=st.lists(
        st.sampled_from((0.2, 0.5, 0.8)) | st.floats(0.0, 1.0), min_size=2, max_size=60
    ),
    every_s=st.sampled_from((0.2, 1.0, 4.0)),
)
def test_what_is_known_was_told_lately(percentages, every_s):
    monitor = BatteryMonitor(BatterySettings())
    told = []
    for index, percentage in enumerate(percentages):
        now_s = index * every_s
        monitor.update(now_s, BatteryReading(percentage=percentage))
        told.append(percentage)
        state_of_charge = check(monitor, now_s)
        assert math.isnan(state_of_charge) or state_of_charge in told[-2:]


@untimed
@given(
    start=st.floats(0.0, 1.0),
    speed=st.floats(-1.0, 1.0),
    resolution=st.sampled_from((0.0, 0.001, 0.01)),
    rounded=st.sampled_from((round, math.ceil)),
    intervals_s=st.lists(st.floats(0.01, 10.0), min_size=1, max_size=60),
)
def test_a_constant_discharge_or_charge_is_always_known(
    start, speed, resolution, rounded, intervals_s
):
    settings = BatterySettings()
    monitor = BatteryMonitor(settings)
    rate = speed / settings.min_discharge_s
    now_s = 0.0
    for interval_s in (0.0, *intervals_s):
        now_s += interval_s
        charge = min(max(start + rate * now_s, 0.0), 1.0)
        if resolution:
            charge = min(rounded(charge / resolution) * resolution, 1.0)
        monitor.update(
            now_s, BatteryReading(percentage=charge, capacity_ah=2.0, current_a=rate * 2.0 * 3600.0)
        )
        assert check(monitor, now_s) == charge


@untimed
@given(
    low=st.floats(0.0, 0.4),
    step=st.floats(JUMP + 0.01, 0.6),
    falls=st.booleans(),
    every_s=st.floats(0.05, 5.0),
)
def test_a_jump_is_believed_only_after_it_settled(low, step, falls, every_s):
    old, new = (low + step, low) if falls else (low, low + step)
    monitor = BatteryMonitor(BatterySettings(min_discharge_s=3600.0))
    monitor.update(0.0, BatteryReading(percentage=old))
    now_s = first_s = every_s
    while now_s - first_s < SETTLE_S:
        monitor.update(now_s, BatteryReading(percentage=new))
        assert check(monitor, now_s) != new
        now_s += every_s
    monitor.update(now_s, BatteryReading(percentage=new))
    assert check(monitor, now_s) == new
