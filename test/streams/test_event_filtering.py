"""Filters of events: what is kept as computed event by event, wherever packets are cut."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.event_bags import read_packets
from topspark_ros.streams.events import (
    EVENT,
    EventDecoder,
    EventError,
    HotPixelFilter,
    RateLimiter,
    hot_pixels,
)

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDINGS = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events'
NAMES = ('libcaer_first_half', 'test_data_evt3_trigger', 'test_events_2')
real_bags = pytest.mark.parametrize('name', NAMES)


def at(times, x=0, y=0, p=0):
    events = np.zeros(len(times), EVENT)
    events['t'], events['x'], events['y'], events['p'] = times, x, y, p
    return events


def filtered(stage, events, sizes=()):
    """Events in pieces of these sizes, the last piece being the rest, filtered."""
    return np.concatenate([stage.filter(piece) for piece in np.split(events, np.cumsum(sizes))])


def recording(name):
    """The events of a bag's packets, and the sensor's width and height."""
    if not (RECORDINGS / name).is_dir():
        pytest.skip(f'no recordings in {RECORDINGS}: set TOPSPARK_DATA')
    packets = list(read_packets(RECORDINGS / name))
    decoder = EventDecoder(*packets[0][:3])
    return (
        [decoder.decode(packet.payload, packet.time_base, packet.seq)[0] for packet in packets],
        packets[0].width,
        packets[0].height,
    )


def stands_out(image, least):
    """Which pixels are hot: at least so many events, and 8 times the mean of the others in 5x5."""
    height, width = image.shape
    hot = np.zeros(image.shape, bool)
    for y, x in zip(*np.nonzero(image >= least)):
        block = image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        hot[y, x] = image[y, x] * (block.size - 1) > 8 * (block.sum() - image[y, x])
    return hot


def plain_hot_filter(events, width, height, max_rate_hz, period_ns):
    """What HotPixelFilter keeps: a mask over the events, computed one by one."""
    kept, start = [], None
    image, mask = np.zeros((height, width), int), np.zeros((height, width), bool)
    for x, y, t in events[['x', 'y', 't']].tolist():
        if start is None or t < start - period_ns:
            start, image, mask = t, np.zeros_like(image), np.zeros_like(mask)
        elif t >= start + period_ns:
            periods = (t - start) // period_ns
            hot = stands_out(image, max_rate_hz * period_ns / 1e9 + 1e-9)
            mask = hot if periods == 1 else np.zeros_like(hot)
            start, image = start + periods * period_ns, np.zeros_like(image)
        image[y, x] += 1
        kept.append(not mask[y, x])
    return np.array(kept, bool)


# Hot pixels ------------------------------------------------------------------------------------


def test_a_stuck_pixel_is_masked_while_it_is_stuck():
    stage = HotPixelFilter(20, 10, max_rate_hz=100, period_ns=1_000_000)
    stuck = at(range(0, 5_000_000, 1000), x=7, y=3)  # 1 MHz for five periods
    others = at(range(0, 9_000_000, 100_000), x=np.arange(90) % 20, y=9)
    events = np.concatenate((stuck, others))
    events = events[np.argsort(events['t'], kind='stable')]
    kept = filtered(stage, events)
    of_stuck = kept[kept['y'] == 3]['t']
    assert of_stuck.max() < 1_000_000 and len(of_stuck) == 1000  # the first period passes
    assert len(kept[kept['y'] == 9]) == 90
    assert stage.discarded == 4000 and stage.masked == 0
    # It came back by itself: after one silent period its events pass again.
    assert len(stage.filter(at([9_100_000], x=7, y=3))) == 1


def test_the_rate_and_the_surroundings_decide():
    def masked(image, max_rate_hz=100):
        """Pixels that are masked after 100 ms with so many events each."""
        y, x = (np.repeat(places, image[image > 0]) for places in np.nonzero(image))
        stage = HotPixelFilter(image.shape[1], image.shape[0], max_rate_hz)
        stage.filter(at(np.linspace(0, 99_999_999, len(x)).astype(int), x, y))
        stage.filter(at([100_000_000]))
        return stage.masked

    image = np.zeros((9, 12), int)
    image[4, 5] = 10
    assert masked(image) == 0  # 100 Hz are not more than 100 Hz
    image[4, 5] = 11
    assert masked(image) == 1 and masked(image, 110) == 0
    image[0, 0], image[8, 11] = 30, 30  # corners and edges too
    assert masked(image) == 3
    image[4, 6] = image[3, 4] = 11  # a cluster of three
    assert masked(image) == 5
    assert masked(np.full((9, 12), 50)) == 0  # a lamp that flickers
    line = np.zeros((60, 12), int)
    line[10:50, 6] = 50  # only the ends of a line stand out
    assert masked(line) == 2


def test_time_that_goes_back_unmasks():
    def stuck(start):
        return at(range(start, start + 300, 1), x=1, y=1)

    stage = HotPixelFilter(8, 8, max_rate_hz=2e7, period_ns=100)
    assert len(stage.filter(stuck(10_000))) == 100 and stage.masked == 1
    assert len(stage.filter(at([10_199], x=1, y=1))) == 0  # late, not back
    assert len(stage.filter(stuck(500))) == 100  # a first period again
    assert len(stage.filter(at([1_000_000], x=1, y=1))) == 1  # long after


@settings(deadline=None)
@given(data=st.data())
def test_hot_pixels_as_computed_one_by_one(data):
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    size = data.draw(st.integers(0, 300))
    span = data.draw(st.sampled_from([40, 400, 4000]))
    times = np.sort(random.integers(0, span, size)) - random.integers(0, 30, size)
    cut = random.integers(0, size + 1)
    times[cut:] += data.draw(st.sampled_from([0, 1000, -1000]))
    events = at(times, random.integers(0, width, size), random.integers(0, height, size))
    stuck = random.random(size) < data.draw(st.sampled_from([0, 0.3, 0.9]))
    events['x'][stuck], events['y'][stuck] = width // 2, height // 2

    max_rate_hz = data.draw(st.integers(1, 9)) * 1e7
    kept = plain_hot_filter(events, width, height, max_rate_hz, 100)
    stage = HotPixelFilter(width, height, max_rate_hz, 100)
    sizes = data.draw(st.lists(st.integers(0, 60), max_size=6))
    np.testing.assert_array_equal(filtered(stage, events, sizes), events[kept])
    assert stage.discarded == np.count_nonzero(~kept)


@real_bags
def test_hot_pixels_of_real_sensors(name):
    parts, width, height = recording(name)
    events = np.concatenate(parts)
    period = (events['t'] - events['t'][0]) // 100_000_000
    flat = events['y'].astype(int) * width + events['x']
    kept = np.ones(len(events), bool)
    for number in range(period.max()):
        image = np.bincount(flat[period == number], minlength=width * height)
        hot = stands_out(image.reshape(height, width), 11).reshape(-1)
        kept[(period == number + 1) & hot[flat]] = False
    assert not kept.all()

    stage, split = HotPixelFilter(width, height), HotPixelFilter(width, height)
    np.testing.assert_array_equal(filtered(stage, events), events[kept])
    np.testing.assert_array_equal(
        np.concatenate([split.filter(part) for part in parts]), events[kept]
    )
    assert stage.discarded == split.discarded == np.count_nonzero(~kept)
    if name == 'libcaer_first_half':  # a sensor without a bias file
        assert stage.discarded > 0.1 * len(events) and stage.masked < 100


def test_hot_pixels_of_a_recording():
    parts, width, height = recording('libcaer_first_half')
    events = np.concatenate(parts)
    image = np.bincount(
        events['y'].astype(int) * width + events['x'], minlength=width * height
    ).reshape(height, width)
    duration_ns = int(events['t'][-1] - events['t'][0])
    found = hot_pixels(image, duration_ns)
    assert found[0].tolist() == [639, 478]
    counts = image[found[:, 1], found[:, 0]]
    assert (np.diff(counts) <= 0).all() and counts[-1] > 100 * duration_ns / 1e9
    expected = stands_out(image, 100 * duration_ns / 1e9)
    assert {(x, y) for x, y in found.tolist()} == {
        (x, y) for y, x in zip(*(places.tolist() for places in np.nonzero(expected)))
    }
    assert len(hot_pixels(image // 100, 1)) < len(found)  # in no time nothing is often


# Floods ----------------------------------------------------------------------------------------


def plain_limiter(times, rate):
    """What RateLimiter keeps, computed one by one with whole numbers of events / 10^9."""
    depth = max(rate * 10**8, 2 * 10**9)
    half = depth // 2
    level, share, threshold, drawn, last = depth, 0, half, 0, times[0] if times else 0
    kept = []
    for t in times:
        level = min(depth, level + max(0, t - last) * rate)
        if t > last or t < last - 10**8:
            last = t
        share = min(depth, share + min(level, half))
        kept.append(level >= half or share >= threshold and level >= 10**9)
        drawn = (drawn * 6364136223846793005 + 1442695040888963407) % 2**64
        if kept[-1]:
            share -= half
            level -= 10**9
            threshold = half // 2 + (half // 2**20) * (drawn // 2**40 % 2**20)
    return kept


@settings(deadline=None)
@given(data=st.data())
def test_the_limit_holds_in_any_stretch_of_time(data):
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    rate = data.draw(st.sampled_from([1, 7, 100, 1000, 10**6]))
    seconds = data.draw(st.integers(1, 300)) / rate
    times = np.sort(random.integers(0, int(seconds * 1e9) + 1, data.draw(st.integers(0, 600))))
    if data.draw(st.booleans()):
        times = times // 10**7 * 10**7  # a frame every 10 ms
    events = at(times, x=range(len(times)))
    stage = RateLimiter(rate)
    passed = filtered(stage, events, data.draw(st.lists(st.integers(0, 90), max_size=6)))
    np.testing.assert_array_equal(passed, events[plain_limiter(times.tolist(), rate)])
    assert stage.discarded == len(events) - len(passed)
    t = passed['t']
    for first in range(0, len(t), 17):
        most = rate * (t[first:] - t[first]) * 1e-9 + max(0.1 * rate, 2)
        assert (np.arange(1, len(t) - first + 1) <= most + 1e-6).all()


def test_nothing_is_discarded_below_the_limit():
    stage = RateLimiter(1e6)
    slow = at(range(0, 10**9, 1001))
    assert stage.filter(slow) is slow and stage.discarded == 0
    assert len(stage.filter(at([2 * 10**9] * 50_000))) == 50_000  # 50 ms' worth at once
    assert len(stage.filter(at([2 * 10**9] * 50_000))) < 50_000


def test_a_lasting_flood_is_thinned_out_evenly():
    times = np.arange(0, 11 * 10**8, 200)  # five times too many
    # Read out row by row, a width that five divides: every fifth would be the same columns.
    events = at(times, x=np.arange(len(times)) % 640)
    stage = RateLimiter(1e6)
    stage.filter(events[:5_000_000])
    passed = stage.filter(events[5_000_000:])
    assert len(passed) == pytest.approx(100_000, rel=0.001)
    gaps = np.diff(passed['t']) // 200
    assert gaps.mean() == pytest.approx(5, rel=0.001) and gaps.max() <= 10
    columns = np.bincount(passed['x'], minlength=640)
    assert columns.min() > 0.7 * columns.mean() and columns.max() < 1.3 * columns.mean()


def test_slow_and_late_and_restarted():
    stage = RateLimiter(2)  # a bucket of two events
    assert len(stage.filter(at([0, 0, 0]))) == 2
    assert len(stage.filter(at([400_000_000]))) == 0
    assert len(stage.filter(at([600_000_000]))) == 1
    # Now 0.2 are in it. Late events do not fill it up by what the next one catches up.
    assert len(stage.filter(at([550_000_000, 600_000_000] * 50))) == 0
    # A new start fills nothing either, but time counts from there.
    assert len(stage.filter(at([-5 * 10**9]))) == 0
    assert len(stage.filter(at([-4 * 10**9]))) == 1


@real_bags
def test_a_limit_for_real_recordings(name):
    parts, width, height = recording(name)
    events = np.concatenate(parts)
    rate = len(events) // 4  # some quarter of their second
    whole, split = RateLimiter(rate), RateLimiter(rate)
    passed = whole.filter(events)
    np.testing.assert_array_equal(np.concatenate([split.filter(part) for part in parts]), passed)
    np.testing.assert_array_equal(passed, events[plain_limiter(events['t'].tolist(), rate)])
    assert whole.discarded == split.discarded == len(events) - len(passed)

    # Shapes stay: where the rate is steady, each part of the sensor keeps the same share.
    begin, end = (810, 850) if name == 'test_events_2' else (500, 900)
    steady = [
        np.searchsorted(each['t'], events['t'][0] + np.array([begin, end]) * 1_000_000)
        for each in (passed, events)
    ]
    after, before = passed[slice(*steady[0])], events[slice(*steady[1])]
    for axis, side in (('x', width), ('y', height)):
        shares = [np.bincount(each[axis] * 8 // side, minlength=8) for each in (after, before)]
        many = shares[1] > 2000
        kept = shares[0][many] / shares[1][many]
        assert many.any() and kept == pytest.approx(len(after) / len(before), rel=0.1)


# Both ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(
    times=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40),
    places=st.lists(st.integers(0, 65535), min_size=40, max_size=40),
    sizes=st.lists(st.integers(0, 9), max_size=6),
)
def test_any_events_do_no_harm(times, places, sizes):
    events = at(times, x=places[: len(times)], y=places[::-1][: len(times)])
    for stage in (HotPixelFilter(9, 7, 1e9, 10), RateLimiter(50)):
        kept = filtered(stage, events, sizes)
        assert len(kept) + stage.discarded == len(events)
        remaining = iter(events.tolist())
        assert all(event in remaining for event in kept.tolist())  # in the same order


@pytest.mark.parametrize('stage', [HotPixelFilter(8, 8, 1, 10), RateLimiter(1)])
def test_the_callers_array_stays_and_what_is_returned_too(stage):
    events = at(range(0, 100), x=np.arange(100) % 2, y=1)
    before = events.copy()
    first = stage.filter(events)
    kept = first.copy()
    assert 0 < len(first) < len(events)
    stage.filter(at(range(1000, 1200), x=5, y=5))
    np.testing.assert_array_equal(events, before)
    np.testing.assert_array_equal(first, kept)
    assert len(stage.filter(at([]))) == 0


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: HotPixelFilter(0, 480), 'width is 0, accepted is 1 to 65535 pixels'),
        (lambda: HotPixelFilter(640, 65536), 'height is 65536, accepted is 1 to 65535 pixels'),
        (
            lambda: HotPixelFilter(65535, 65535),
            'width x height is 65535 x 65535, accepted is up to 16777216 pixels',
        ),
        (lambda: HotPixelFilter(640, 480, 0), 'max_rate_hz is 0, accepted is above 0 up to 1e+10'),
        (
            lambda: HotPixelFilter(640, 480, float('nan')),
            'max_rate_hz is nan, accepted is above 0 up to 1e+10',
        ),
        (lambda: HotPixelFilter(640, 480, 100, 0), 'period_ns is 0, accepted is 1 or more'),
        (lambda: RateLimiter(0.5), 'max_rate_hz is 0.5, accepted is 1 to 1e+10'),
        (lambda: RateLimiter(float('inf')), 'max_rate_hz is inf, accepted is 1 to 1e+10'),
    ],
)
def test_rejected(make, message):
    with pytest.raises(EventError) as error:
        make()
    assert str(error.value) == message
