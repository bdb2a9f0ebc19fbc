"""From packets to views: an object that moves, seen by the simulated event camera."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from topspark_ros.streams.events import (
    EVENT,
    EVENT_ENCODINGS,
    EventCamera,
    EventError,
    EventSettings,
    EventStream,
    EventViewer,
    Evt3Encoder,
    StreamCounts,
    Window,
)

WIDTH, HEIGHT = 160, 120
FRAME_NS = 20_000_000
WINDOW_NS = 80_000_000
HOST_NS = 1_700_000_000_000_000_000  # host time when sensor time is 0


def disc(x, y, radius=12):
    """A dark disc on paper, (HEIGHT, WIDTH) uint8."""
    gray = np.full((HEIGHT, WIDTH), 200, np.uint8)
    cv2.circle(gray, (round(16 * x), round(16 * y)), 16 * radius, 60, -1, cv2.LINE_AA, 4)
    return gray


def packets(frames, x=60, y=50, noise_rate_hz=0.0):
    """Of a disc that circles: (seq, stamp, payload) of each frame after the first."""
    camera = EventCamera(WIDTH, HEIGHT, noise_rate_hz=noise_rate_hz)
    encoder = Evt3Encoder(WIDTH, HEIGHT)
    for frame in range(frames):
        angle = 2 * np.pi * frame / 8
        gray = disc(x + 4 * np.cos(angle), y + 4 * np.sin(angle))
        events = camera.observe(gray, frame * FRAME_NS)
        if frame:
            yield frame - 1, HOST_NS + frame * FRAME_NS, encoder.encode(events)


def seen(stream, stream_packets):
    return [
        window
        for seq, stamp_ns, payload in stream_packets
        for window in stream.push('evt3', WIDTH, HEIGHT, seq, 0, stamp_ns, payload)
    ]


def settings(**changes):
    return EventSettings(**{'window_ns': WINDOW_NS, 'min_events': 100} | changes)


def test_windows_follow_each_other_in_host_time():
    stream = EventStream(settings())
    windows = seen(stream, packets(26))
    assert len(windows) == 6
    assert [window.begin_ns for window in windows[1:]] == [window.end_ns for window in windows[:-1]]
    for k, window in enumerate(windows):
        assert window.begin_ns == pytest.approx(HOST_NS + k * WINDOW_NS, abs=FRAME_NS / 2)
        assert window.stamp_ns == pytest.approx(HOST_NS + (k + 1) * WINDOW_NS, abs=FRAME_NS / 2)
        assert len(window.window.events) > 500
    assert stream.counts.packets == 25 and stream.counts.lost_packets == 0


@pytest.mark.parametrize('count', [50, 700])  # of events; 50 are fewer than min_events
def test_windows_of_equally_many_events_follow_each_other_in_host_time(count):
    stream = EventStream(settings(window_events=count))
    windows = seen(stream, packets(26))
    assert len(windows) == stream.counts.events // count > 10
    assert {len(window.window.events) for window in windows} == {count}
    for seen_window, later in zip(windows, windows[1:]):
        window = seen_window.window
        assert seen_window.begin_ns == pytest.approx(HOST_NS + window.start, abs=FRAME_NS)
        assert seen_window.end_ns == pytest.approx(HOST_NS + window.end, abs=FRAME_NS)
        assert seen_window.begin_ns <= seen_window.stamp_ns < seen_window.end_ns
        assert seen_window.end_ns <= later.begin_ns + 1
        assert window.end - 1 <= later.window.start
    assert stream.counts.discarded == 0


def test_a_window_of_so_many_events_is_cut_into_t_parts_of_its_time():
    for window in seen(EventStream(settings(window_events=700)), packets(16)):
        times = window.window.events['t'] - window.window.start
        train = window.views()[0].presented(8)
        assert train.steps[0] == 0 and train.steps[-1] == 7
        part_ns = (window.window.end - window.window.start) / 8
        steps, parts = np.unique(train.steps), np.unique((times // part_ns).astype(int))
        assert set(steps) <= set(parts)


@pytest.mark.parametrize('noise_rate_hz', [0.0, 3.0])
@pytest.mark.parametrize('x, y', [(60, 50), (100, 70)])
def test_what_moves_is_in_the_middle_wherever_it_is(x, y, noise_rate_hz):
    for window in seen(EventStream(settings()), packets(10, x, y, noise_rate_hz)):
        train = window.views()[0].presented(8)
        rows, columns = np.divmod(train.neurons, 28)
        assert rows.mean() == pytest.approx(13.5, abs=1) and rows.min() >= 2
        assert columns.mean() == pytest.approx(13.5, abs=1) and columns.max() <= 25
        # A ring: its outline moves, the inside of the disc does not.
        radius = np.hypot(rows - 13.5, columns - 13.5)
        assert np.percentile(radius, 5) > 3 and 6 < radius.mean() < 10


def test_t_parts_of_the_time_cost_what_they_show():
    window = seen(EventStream(settings()), packets(8))[0]
    view = window.views()[0]
    trains = {t: view.presented(t) for t in (1, 4, 16, 64)}
    counts = {t: len(train.steps) for t, train in trains.items()}
    assert counts[1] < counts[4] < counts[16] < counts[64] <= len(window.window.events)
    for t, train in trains.items():
        assert train.steps.max() == t - 1
        cells = train.steps.astype(np.int64) * 784 + train.neurons
        assert len(np.unique(cells)) == len(cells)
        np.testing.assert_array_equal(np.unique(train.neurons), np.unique(trains[1].neurons))


def test_polarities_have_inputs_of_their_own():
    window = seen(EventStream(settings(by_polarity=True)), packets(8))[0]
    neurons = window.views()[0].presented(4).neurons
    assert (neurons < 784).any() and (neurons >= 784).any() and neurons.max() < 2 * 784


def test_a_region_is_looked_at_as_it_is():
    inside = settings(roi=(40, 30, 56, 56), centring=False)
    neurons = seen(EventStream(inside), packets(8))[0].views()[0].presented(1).neurons
    rows, columns = np.divmod(neurons, 28)
    assert rows.mean() == pytest.approx((50 - 30) / 2, abs=1)
    assert columns.mean() == pytest.approx((60 - 40) / 2, abs=1)
    outside = settings(roi=(130, 90, 28, 28))
    assert len(seen(EventStream(outside), packets(8))[0].views()[0].presented(4).steps) == 0


@pytest.mark.parametrize('window_events', [0, 5000])
def test_lost_packets_start_a_new_window(window_events):
    sent = list(packets(26))
    whole, lossy = (EventStream(settings(window_events=window_events)) for _ in range(2))
    seen(whole, sent)
    seen(lossy, sent[:10] + sent[12:])
    assert lossy.counts.lost_packets == 2 and lossy.counts.restarts == 1
    assert lossy.counts.discarded > 0 == whole.counts.discarded
    assert whole.counts.restarts == 0


def test_time_that_goes_back_is_a_restart():
    stream = EventStream(settings(window_ns=10_000_000))
    stream.push('mono', WIDTH, HEIGHT, 0, 1_000_000_000, HOST_NS, bytes(8))
    stream.push('mono', WIDTH, HEIGHT, 1, 0, HOST_NS, bytes(8))
    assert stream.counts.restarts == 1 and stream.counts.discarded == 1


YEAR_NS = 365 * 86_400 * 10**9


@pytest.mark.parametrize('jump_ns', [55 * YEAR_NS, 250 * YEAR_NS, 86_400 * 10**9])
@pytest.mark.parametrize('window_events', [0, 3])
def test_sensor_time_that_jumps_ahead_leaves_each_window_its_host_time(jump_ns, window_events):
    stream = EventStream(settings(window_ns=10_000_000, window_events=window_events, min_events=1))
    windows = []
    for seq in range(12):
        time_ns = seq * 4_000_000
        windows += stream.push(
            'mono',
            WIDTH,
            HEIGHT,
            seq,
            time_ns + (jump_ns if seq > 5 else 0),
            HOST_NS + time_ns,
            bytes(8),
        )
    assert len(windows) >= 3 and stream.counts.restarts == 0
    for window in windows:
        assert HOST_NS <= window.stamp_ns <= HOST_NS + 48_000_000
        assert HOST_NS - 10_000_000 <= window.begin_ns


@hypothesis_settings(deadline=None, max_examples=100)
@given(
    packets=st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1), st.one_of(st.integers(-(2**61), 2**61), st.just(HOST_NS))
        ),
        max_size=12,
    ),
    window_events=st.sampled_from([0, 2]),
)
def test_any_times_give_windows_that_can_be_shown_and_stamped(packets, window_events):
    stream = EventStream(settings(window_events=window_events, min_events=1))
    events = np.array([0, 1 | 1 << 32 | 1 << 48, 10**9 | 2 << 32], np.uint64).tobytes()
    for seq, (time_base, stamp_ns) in enumerate(packets):
        for window in stream.push('mono', WIDTH, HEIGHT, seq, time_base, stamp_ns, events):
            assert 0 <= window.begin_ns <= window.end_ns < 2**31 * 10**9
            assert 0 <= window.stamp_ns < 2**31 * 10**9
            assert (window.views()[0].presented(350).steps < 350).all()


def test_another_camera_starts_anew_and_counts_go_on():
    stream = EventStream(settings())
    sent = list(packets(8))
    seen(stream, sent)
    before = stream.counts
    stream.push('mono', 32, 32, 0, 0, HOST_NS, bytes(8))
    assert stream.counts.packets == before.packets + 1
    assert stream.counts.events == before.events + 1
    assert stream.counts.restarts == before.restarts + 1


@pytest.mark.parametrize(
    'width, height, message',
    [
        (0, 0, 'width is 0, accepted is 1 to 65535 pixels'),
        (0, 480, 'width is 0, accepted is 1 to 65535 pixels'),
        (640, 0, 'height is 0, accepted is 1 to 65535 pixels'),
        (2**32 - 1, 1, 'width is 4294967295, accepted is 1 to 65535 pixels'),
        (65535, 65535, 'width x height is 65535 x 65535, accepted is up to 16777216 pixels'),
    ],
)
@pytest.mark.parametrize(
    'changes', [{}, {'roi': (0, 0, 28, 28)}, {'centring': False}, {'window_events': 50}]
)
def test_a_size_that_is_none_is_rejected_in_one_line(width, height, message, changes):
    stream = EventStream(settings(**changes))
    for _ in range(2):
        with pytest.raises(EventError) as error:
            stream.push('evt3', width, height, 0, 0, HOST_NS, b'')
        assert str(error.value) == message
    assert stream.counts == StreamCounts()


@pytest.mark.parametrize(
    'roi', [(0, 0, 0, 0), (-1, 0, 28, 28), (150, 0, 28, 28), (0, 0, 28, 200), (0, 0, -5, -5)]
)
@pytest.mark.parametrize('centring', [False, True])
def test_a_region_outside_the_sensor_is_rejected_in_one_line(roi, centring):
    stream = EventStream(settings(roi=roi, centring=centring))
    with pytest.raises(EventError) as error:
        stream.push('evt3', WIDTH, HEIGHT, 0, 0, HOST_NS, b'')
    assert str(error.value) == (
        f'roi is {roi}, accepted is left, top, width and height of a part of the sensor of '
        f'{WIDTH} x {HEIGHT} pixels'
    )


def test_a_camera_in_order_has_no_faults():
    stream = EventStream(settings())
    seen(stream, packets(26))
    assert stream.counts.words > 1000 and stream.counts.faults() == ()


def test_what_is_wrong_with_a_stream_is_said():
    stream = EventStream(settings())
    sent = list(packets(26))
    for seq, stamp_ns, payload in sent[:5]:
        words = np.frombuffer(payload, np.uint16)
        padded = np.concatenate((words, np.full(30, 0xB000, np.uint16)))
        stream.push('evt3', WIDTH, HEIGHT, seq, 0, stamp_ns, padded.tobytes())
    before = stream.counts
    (line,) = before.faults()
    assert line == f'150 of {before.words:,} words of events are unknown'
    stream.push('evt3', WIDTH, HEIGHT, 5, 0, HOST_NS, sent[5][2] + bytes(1))
    stream.push(
        'evt3',
        WIDTH,
        HEIGHT,
        8,
        0,
        HOST_NS,
        np.array([0x0001, 0x8000, 0x6000, 0x0001, 0x2400, 0x2001], np.uint16).tobytes(),
    )
    recent = StreamCounts(*np.subtract(stream.counts, before).tolist())
    assert recent.faults() == (
        '2 packets of events are missing by their seq',
        '1 of 2 packets of events end within a word',
        f'1 of {recent.events + 1:,} events lie outside the sensor',
    )
    assert StreamCounts().faults() == ()


@pytest.mark.parametrize('encoding', EVENT_ENCODINGS)
def test_garbage_is_never_in_order(encoding):
    stream = EventStream(settings())
    random = np.random.default_rng(0)
    for seq in range(20):
        stream.push(encoding, WIDTH, HEIGHT, seq, 0, HOST_NS, random.bytes(4000))
    assert stream.counts.faults()


def test_what_is_rejected_changes_nothing():
    stream = EventStream(settings(roi=(0, 0, 100, 100)))
    with pytest.raises(EventError, match="encoding is 'evt9', accepted is one of"):
        stream.push('evt9', WIDTH, HEIGHT, 0, 0, HOST_NS, b'')
    with pytest.raises(EventError, match='roi is'):
        stream.push('evt3', 64, 64, 0, 0, HOST_NS, b'')
    assert len(seen(stream, packets(8))) == 1
    assert stream.counts.packets == 7


def test_a_flood_stays_within_its_memory():
    """50 million events in a second of sensor time, in packets of half a million."""
    stream = EventStream(settings(window_ns=10_000_000_000, max_rate_hz=1e9))
    random = np.random.default_rng(0)
    words = np.empty((500_000, 2), np.uint32)
    words[:, 1] = random.integers(0, 120, 500_000) << 16 | random.integers(0, 160, 500_000)
    for packet in range(100):
        words[:, 0] = np.arange(500_000) * 20 + packet * 10_000_000  # ns
        stream.push('mono', WIDTH, HEIGHT, packet, 0, HOST_NS, words.tobytes())
    words[0, 0] = 2**32 - 1
    late = stream.push('mono', WIDTH, HEIGHT, 100, 2**33 + 2**32, HOST_NS, words[:1].tobytes())
    assert len(late[0].window.events) == 1_000_000
    assert stream.counts.events == 50_000_001 and stream.counts.discarded == 49_000_000


def test_no_packet_waits_for_a_compilation():
    script = """
import numpy as np
from topspark_ros.engine.kernels.compilation import ENTRY_POINTS
from topspark_ros.streams.events import EVENT_ENCODINGS, EventSettings, EventStream, warm_up
settings = EventSettings(1_000_000)
warm_up(settings)
before = sum(len(point.signatures) for point in ENTRY_POINTS)
for encoding in EVENT_ENCODINGS:
    EventStream(settings).push(encoding, 160, 120, 0, 0, 1, np.zeros(64, np.uint8))
print(before, sum(len(point.signatures) for point in ENTRY_POINTS))
"""
    before, after = subprocess.run(
        [sys.executable, '-c', script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert before == after


@pytest.mark.parametrize('as_picture', [False, True])
def test_no_window_waits_for_a_compilation(as_picture):
    script = f"""
import numpy as np
from topspark_ros.engine.kernels.compilation import ENTRY_POINTS
from topspark_ros.streams.events import EVENT, EventSettings, EventViewer, Window, warm_up
warm_up(EventSettings(1_000_000, size=32, as_picture={as_picture}))
before = sum(len(point.signatures) for point in ENTRY_POINTS)
events = np.zeros(3600, EVENT)
events['x'], events['y'] = np.tile(np.arange(40, 70), 120), np.repeat(np.arange(30, 60), 120)
events['t'] = np.arange(3600) * 100
view = EventViewer(160, 120, size=32, as_picture={as_picture}).view(Window(events, 0, 360_000, 0))
shown = view.presented(4)
assert shown.any() if {as_picture} else len(shown.steps)
print(before, sum(len(point.signatures) for point in ENTRY_POINTS))
"""
    before, after = subprocess.run(
        [sys.executable, '-c', script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert before == after


def test_an_empty_window_has_no_spikes():
    window = Window(np.empty(0, EVENT), 0, 100, 0)
    assert len(EventViewer(64, 48).view(window).presented(5).steps) == 0


@pytest.mark.parametrize('count', [1, 3, 100, 1000])
def test_a_window_of_noise_has_no_spikes(count):
    random = np.random.default_rng(count)
    noise = np.zeros(count, EVENT)
    noise['x'], noise['y'] = random.integers(320, size=count), random.integers(240, size=count)
    noise['t'] = np.sort(random.integers(1_000_000, size=count))
    window = Window(noise, 0, 1_000_000, 0)
    assert len(EventViewer(320, 240).view(window).presented(5).steps) == 0
    assert len(EventViewer(320, 240, centring=False).view(window).presented(5).steps) > 0
