"""Windows of events: nothing lost or doubled at any cut, pooled where it belongs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.streams.events import (
    EVENT,
    CountWindows,
    EventError,
    EventGrid,
    TimeWindows,
    Window,
    count_image,
    spike_train,
)
from topspark_ros.streams.events.windows import LATE_NS


def at(times, x=0, y=0, p=0):
    events = np.zeros(len(times), EVENT)
    events['t'], events['x'], events['y'], events['p'] = times, x, y, p
    return events


def window(events, start=0, end=100):
    return Window(events, start, end, 0)


def pushed(windows, events, sizes):
    """Push events in pieces of these sizes, the last piece being the rest."""
    finished = []
    for piece in np.split(events, np.cumsum(sizes)):
        finished += windows.push(piece)
    return finished


def test_windows_of_equal_time():
    windows = TimeWindows(10)
    first, second = windows.push(at([103, 104, 112, 113, 150]))
    assert (first.start, first.end, first.events['t'].tolist()) == (103, 113, [103, 104, 112])
    assert (second.start, second.end, second.events['t'].tolist()) == (113, 123, [113])
    (third,) = windows.push(at([153]))  # 123 to 143 held no event
    assert (third.start, third.end, third.events['t'].tolist()) == (143, 153, [150])
    assert windows.push(at([])) == []


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, 300), max_size=60),
    sizes=st.lists(st.integers(0, 20), max_size=6),
    maximum=st.integers(1, 30),
)
def test_time_windows_do_not_depend_on_packets(times, sizes, maximum):
    # Late by less than a window now and then.
    events = at(np.sort(np.array(times, np.int64)) - np.arange(len(times)) % 3, x=range(len(times)))
    whole, split = TimeWindows(40, maximum), TimeWindows(40, maximum)
    expected, finished = whole.push(events), pushed(split, events, sizes)
    assert len(finished) == len(expected)
    for mine, its in zip(finished, expected):
        np.testing.assert_array_equal(mine.events, its.events)
        assert mine[1:] == its[1:] and len(mine.events) <= maximum
        assert (mine.events['t'] < mine.end).all() and (mine.events['t'] >= mine.start - 40).all()
    split.reset()
    kept = sum(len(one.events) + one.discarded for one in finished)
    assert kept + split.discarded == len(events) and split.resets == 1


@settings(deadline=None)
@given(
    times=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30),
    sizes=st.lists(st.integers(0, 9), max_size=6),
)
def test_any_times_lose_no_event_uncounted(times, sizes):
    for windows in (TimeWindows(50_000_000), CountWindows(3)):
        finished = pushed(windows, at(times), sizes)
        windows.reset()
        assert sum(len(one.events) for one in finished) + windows.discarded == len(times)
        assert_steps_ascend(finished)


def assert_steps_ascend(finished):
    for one in finished:
        steps, _ = spike_train(one, EventGrid(4, 4), 10)
        assert (np.diff(steps) >= 0).all() and 0 <= steps[0] and steps[-1] <= 9


@pytest.mark.parametrize(
    'first, last',
    [(2**63 - 3, -(2**63) + 6), (-(2**63), -(2**63) + 9), (2**63 - 10, 2**63 - 1), (-5, 4)],
)
def test_windows_go_on_where_64_bits_of_time_end(first, last):
    """Nothing is a restart there, and no event starts a window of its own."""
    times = [(first + k + 2**63) % 2**64 - 2**63 for k in range(10)]
    assert times[-1] == last
    windows = TimeWindows(4)
    finished = windows.push(at(times))
    assert [len(one.events) for one in finished] == [4, 4] and windows.resets == 0
    assert_steps_ascend(finished)


def test_a_window_over_years_is_cut_into_parts_of_its_time():
    year_ns = 365 * 86_400 * 10**9
    (only,) = CountWindows(56).push(at(np.arange(56) * year_ns, np.arange(56) % 8))
    steps, _ = spike_train(only, EventGrid(8, 8), 350)
    np.testing.assert_allclose(steps, np.arange(56) * 350 / 55, atol=1)


def test_count_windows_start_again_where_time_goes_back():
    windows = CountWindows(4)
    late = 200_000_001 - LATE_NS
    assert [
        one.start for one in windows.push(at([200_000_000, 200_000_001, late, 200_000_002]))
    ] == [late]
    assert windows.push(at([200_000_003, 200_000_004])) == [] and windows.resets == 0
    (only,) = windows.push(at([5, 6, 7, 8, 9]))
    assert (only.start, only.end) == (5, 9)
    assert (windows.resets, windows.discarded) == (1, 2)


def test_a_cap_discards_and_counts():
    (only,) = TimeWindows(10, max_events=3).push(at([0, 1, 2, 3, 4, 10]))
    assert only.events['t'].tolist() == [0, 1, 2] and only.discarded == 2


def test_time_that_goes_back_starts_again():
    windows = TimeWindows(10)
    assert windows.push(at([1000, 1001, 995])) == []  # late, not back
    (only,) = windows.push(at([5, 7, 16]))
    assert (only.start, only.end, only.events['t'].tolist()) == (5, 15, [5, 7])
    assert (windows.resets, windows.discarded) == (1, 3)


def test_reset_drops_what_is_open():
    windows = TimeWindows(10)
    windows.push(at([0, 1]))
    windows.reset()
    (only,) = windows.push(at([5, 15]))
    assert (only.start, only.events['t'].tolist(), windows.discarded) == (5, [5], 2)

    windows = CountWindows(2)
    windows.push(at([0]))
    windows.reset()
    assert windows.push(at([1])) == [] and (windows.resets, windows.discarded) == (1, 1)


@settings(deadline=None)
@given(
    count=st.integers(1, 9),
    total=st.integers(0, 40),
    sizes=st.lists(st.integers(0, 15), max_size=6),
)
def test_count_windows_do_not_depend_on_packets(count, total, sizes):
    events = at(range(total))
    finished = pushed(CountWindows(count), events, sizes)
    assert [len(one.events) for one in finished] == [count] * (total // count)
    seen = [t for one in finished for t in one.events['t'].tolist()]
    assert seen == list(range(total // count * count))
    assert all(
        (one.start, one.end) == (one.events['t'][0], one.events['t'][-1] + 1) for one in finished
    )


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: TimeWindows(0), 'duration_ns is 0, accepted is 1 or more'),
        (lambda: TimeWindows(1, 0), 'max_events is 0, accepted is 1 or more'),
        (lambda: CountWindows(0), 'count is 0, accepted is 1 or more'),
        (lambda: EventGrid(0, 480), 'width is 0, accepted is 1 to 65535 pixels'),
        (
            lambda: EventGrid(8192, 8192),
            'width x height is 8192 x 8192, accepted is up to 16777216 pixels',
        ),
        (lambda: EventGrid(640, 480, rows=0), 'rows is 0, accepted is 1 to 65535'),
        (
            lambda: EventGrid(640, 480, roi=(600, 0, 41, 480)),
            'roi is (600, 0, 41, 480), accepted is left, top, width and height of a part of the '
            'sensor of 640 x 480 pixels',
        ),
        (
            lambda: spike_train(window(at([1])), EventGrid(4, 4), 0),
            'timesteps is 0, accepted is 1 or more',
        ),
    ],
)
def test_rejected(make, message):
    with pytest.raises(EventError) as error:
        make()
    assert str(error.value) == message


@settings(deadline=None)
@given(data=st.data())
def test_image_and_spikes_as_computed_one_by_one(data):
    width, height, rows, columns = (data.draw(st.integers(1, 50)) for _ in range(4))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    roi = (
        left,
        top,
        data.draw(st.integers(1, width - left)),
        data.draw(st.integers(1, height - top)),
    )
    by_polarity = data.draw(st.booleans())
    steps_count = data.draw(st.integers(1, 20))
    grid = EventGrid(width, height, roi, rows, columns, by_polarity)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    size = data.draw(st.integers(0, 40))
    # A few lie outside the sensor or the window: nothing may break.
    events = at(
        np.sort(random.integers(0, 104, size)),
        random.integers(0, width + 2, size),
        random.integers(0, height + 2, size),
        random.integers(0, 2, size),
    )

    image = np.zeros((2, rows, columns))
    spikes = []
    for x, y, p, t in events[['x', 'y', 'p', 't']].tolist():
        column = (x - left) * columns // roi[2]
        row = (y - top) * rows // roi[3]
        if 0 <= column < columns and 0 <= row < rows:
            image[p * by_polarity, row, column] += 1
            cell = (p * by_polarity * rows + row) * columns + column
            spikes.append((min(t * steps_count // 100, steps_count - 1), cell))
    counted = count_image(window(events), grid)
    assert counted.dtype == np.float32
    np.testing.assert_array_equal(counted, image if by_polarity else image[0])
    steps, neurons = spike_train(window(events), grid, steps_count)
    # An input spikes once a step.
    assert list(zip(steps.tolist(), neurons.tolist())) == list(dict.fromkeys(spikes))


def test_region_is_the_largest_square_in_the_middle():
    assert EventGrid(1280, 720).part == (280, 0, 720, 720)
    assert EventGrid(346, 260, by_polarity=True).shape == (2, 28, 28)


def test_steps_ascend_whatever_the_times():
    events = at([50, 20, 99, -5, 2**62, -(2**62), 60], range(7))
    steps, _ = spike_train(window(events), EventGrid(7, 7), 10)
    assert len(steps) == 7 and (np.diff(steps) >= 0).all() and 0 <= steps[0] and steps[-1] <= 9


def test_the_network_takes_the_spikes():
    random = np.random.default_rng(0)
    events = at(
        np.sort(random.integers(0, 100, 500)),
        random.integers(0, 40, 500),
        random.integers(0, 40, 500),
    )
    train = spike_train(window(events), EventGrid(40, 40), 16)
    network = create_network(NetworkConfig(inputs=784, neurons=4))
    assert network.learn(train, 16, 1).counts.input_spikes == len(train.steps) > 400
