"""The simulated event camera: as many events as the contrast says, when it says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.events import EVENT, EventCamera, EventError

SECOND_NS = 1_000_000_000


def flat(value, dtype=np.uint8, shape=(4, 5)):
    return np.full(shape, value, dtype)


def observed(camera, frames, interval_ns=SECOND_NS // 10, start_ns=7):
    """The events of frames at equal distances."""
    return [camera.observe(frame, start_ns + i * interval_ns) for i, frame in enumerate(frames)]


@pytest.mark.parametrize(
    'dark, bright, threshold',
    [(50, 200, 0.2), (50, 200, 0.05), (20, 255, 0.2), (100, 101, 0.2), (100, 125, 0.2)],
)
def test_a_step_makes_as_many_events_as_its_contrast(dark, bright, threshold):
    count = int(math.log(bright / dark) / threshold)
    shape = 100, 120
    for frames, polarity in (((dark, bright), 1), ((bright, dark), 0)):
        camera = EventCamera(120, 100, threshold, refractory_s=0)
        first, events, still = observed(
            camera, [flat(grey, shape=shape) for grey in frames] + [flat(frames[1], shape=shape)]
        )
        assert events.dtype == EVENT and len(first) == len(still) == 0
        assert (events['p'] == polarity).all()
        counts = np.zeros(shape, int)
        np.add.at(counts, (events['y'], events['x']), 1)
        assert (counts == count).all()


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_times_on_a_ramp_are_exact(dtype):
    # Below grey 20 log intensity is linear: from 0 to 20 it changes by 1.
    ends = np.array([[20, 10, 5, 4]], dtype)
    for frames, polarity in (((0 * ends, ends), 1), ((ends, 0 * ends), 0)):
        camera = EventCamera(4, 1, 0.25, refractory_s=0)
        events = observed(camera, frames, SECOND_NS)[1]
        # The third pixel gets there, and the fourth one does not.
        assert [((t - 7) / SECOND_NS, x, p) for x, p, t in events[['x', 'p', 't']].tolist()] == [
            (0.25, 0, polarity),
            (0.5, 0, polarity),
            (0.5, 1, polarity),
            (0.75, 0, polarity),
            (1.0, 0, polarity),
            (1.0, 1, polarity),
            (1.0, 2, polarity),
        ]


def test_black_is_no_explosion():
    camera = EventCamera(5, 4, 0.2, refractory_s=0)
    black, grey, _ = observed(camera, [flat(0), flat(3), flat(0)])
    assert len(black) == len(grey) == 0


def test_the_refractory_time_suppresses():
    # A crossing each 1/16 s; the level goes on, so there are none to be made up for later.
    frames = [
        np.zeros((1, 1), np.float32),
        flat(10, np.float32, (1, 1)),
        flat(20, np.float32, (1, 1)),
        flat(20, np.float32, (1, 1)),
    ]
    camera = EventCamera(1, 1, 1 / 16, refractory_s=0.15)
    parts = observed(camera, frames, SECOND_NS // 2)
    times = np.concatenate(parts)['t']
    assert ((times - 7) / SECOND_NS * 16).tolist() == [1, 4, 7, 10, 13, 16]
    assert len(parts[3]) == 0
    camera = EventCamera(1, 1, 1 / 16, refractory_s=1 / 16)  # just as long: nothing is lost
    assert len(np.concatenate(observed(camera, frames, SECOND_NS // 2))) == 16


FRAMES = st.integers(2, 6).flatmap(
    lambda count: st.lists(
        st.lists(st.integers(0, 255), min_size=12, max_size=12), min_size=count, max_size=count
    )
)


@settings(deadline=None)
@given(values=FRAMES, threshold=st.floats(0.05, 1), interval_ns=st.integers(1, SECOND_NS))
def test_every_event_lies_on_its_pixels_line(values, threshold, interval_ns):
    frames = np.array(values, np.uint8).reshape(-1, 3, 4)
    parts = observed(EventCamera(4, 3, threshold, refractory_s=0), frames, interval_ns)
    grey = frames.astype(float)
    log = np.log(np.maximum(grey, 20)) + np.minimum(grey, 20) / 20
    level = log[0].copy()
    for index, events in enumerate(parts):
        times = events['t'] - 7
        assert (np.diff(times) >= 0).all()
        assert ((times >= (index - 1) * interval_ns) & (times <= index * interval_ns)).all()
        for x, y, p, t in zip(events['x'], events['y'], events['p'], times):
            level[y, x] += threshold if p else -threshold
            share = t / interval_ns - (index - 1)
            line = (1 - share) * log[index - 1, y, x] + share * log[index, y, x]
            slope = abs(log[index, y, x] - log[index - 1, y, x]) / interval_ns
            assert abs(line - level[y, x]) < slope + 1e-6  # times are whole ns
        assert (abs(log[index] - level) < threshold + 1e-9).all()


def test_types_and_layouts_agree():
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (5, 30, 40), np.uint8)
    wide = np.zeros((5, 30, 80), np.uint8)
    wide[:, :, 1::2] = frames
    wide.setflags(write=False)
    whole, *others = (
        observed(EventCamera(40, 30, noise_rate_hz=10), sequence)
        for sequence in (
            frames,
            frames.astype(np.float32),
            wide[:, :, 1::2],
            frames.astype(np.uint16) * 256,
        )
    )
    assert sum(map(len, whole)) > 30 * 40
    for other in others:
        for events in zip(whole, other):
            np.testing.assert_array_equal(*events)


def test_noise_has_its_rate_and_its_seed():
    def noise(seed, rate_hz=20.0):
        camera = EventCamera(50, 40, refractory_s=0, noise_rate_hz=rate_hz, seed=seed)
        return observed(camera, [flat(99, shape=(40, 50))] * 11)

    parts = noise(3)
    events = np.concatenate(parts)
    mean = 20 * 50 * 40 * 1.0
    deviation = math.sqrt(mean)
    assert abs(len(events) - mean) < 4 * deviation
    assert abs(2 * events['p'].sum(dtype=int) - len(events)) < 4 * deviation
    counts = np.zeros((40, 50))
    np.add.at(counts, (events['y'], events['x']), 1)
    # Of a Poisson process the variance is the mean; so over pixels, and over parts of time.
    assert abs(counts.var() / counts.mean() - 1) < 4 * math.sqrt(2 / counts.size)
    parts_of_time = np.bincount((events['t'] - 7) // 1_000_000, minlength=1000)
    assert len(parts_of_time) == 1000
    assert abs(parts_of_time.var() / parts_of_time.mean() - 1) < 4 * math.sqrt(2 / 1000)
    assert all((np.diff(part['t']) >= 0).all() for part in parts)

    np.testing.assert_array_equal(events, np.concatenate(noise(3)))
    assert len(np.concatenate(noise(4))) != len(events)
    assert len(np.concatenate(noise(3, 0.0))) == 0


def test_noise_waits_for_the_refractory_time_and_leaves_the_level():
    ramp = [flat(grey, np.float32, (20, 20)) for grey in range(0, 21, 2)]
    camera = EventCamera(20, 20, 0.25, refractory_s=0.02, noise_rate_hz=20)
    events = np.concatenate(observed(camera, ramp))
    order = np.lexsort((events['t'], events['x'], events['y']))
    pixels = events[['x', 'y']][order]
    waits = np.diff(events['t'][order])[pixels[1:] == pixels[:-1]]
    assert waits.size > 1000 and waits.min() >= 20_000_000

    clean = EventCamera(20, 20, 0.25, refractory_s=0)
    noisy = EventCamera(20, 20, 0.25, refractory_s=0, noise_rate_hz=20)
    signal, both = (np.concatenate(observed(camera, ramp)) for camera in (clean, noisy))
    assert len(both) > len(signal) == 4 * 400
    assert set(signal.tolist()) < set(both.tolist())


def test_a_moving_edge_has_a_polarity_on_each_side():
    frames = np.full((2, 30, 40), 60, np.uint8)
    frames[0, 10:20, 8:16] = 180
    frames[1, 10:20, 11:19] = 180
    events = observed(EventCamera(40, 30), frames)[1]
    for polarity, columns in ((1, range(16, 19)), (0, range(8, 11))):
        side = events[events['p'] == polarity]
        assert set(zip(side['x'].tolist(), side['y'].tolist())) == {
            (x, y) for x in columns for y in range(10, 20)
        }


@pytest.mark.parametrize('later_ns', [-5, 0, SECOND_NS + 1])
def test_time_that_does_not_go_on_begins_anew(later_ns):
    camera = EventCamera(5, 4)
    camera.observe(flat(50), 10)
    assert len(camera.observe(flat(200), 10 + later_ns)) == 0
    assert camera.restarts == 1
    assert len(camera.observe(flat(200), 10 + later_ns + SECOND_NS)) == 0
    assert len(camera.observe(flat(50), 10 + later_ns + 2 * SECOND_NS)) == 6 * 20
    assert camera.restarts == 1


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(width=0), 'width is 0, accepted is 1 to 65535 pixels'),
        (dict(height=65536), 'height is 65536, accepted is 1 to 65535 pixels'),
        (dict(contrast_threshold=0), 'contrast_threshold is 0, accepted is 0.01 to inf'),
        (dict(contrast_threshold=math.nan), 'contrast_threshold is nan, accepted is 0.01 to inf'),
        (dict(refractory_s=-1), 'refractory_s is -1, accepted is 0 to 1.0'),
        (dict(noise_rate_hz=101), 'noise_rate_hz is 101, accepted is 0 to 100.0'),
    ],
)
def test_a_camera_that_cannot_be(arguments, message):
    with pytest.raises(EventError) as error:
        EventCamera(**{'width': 5, 'height': 4, **arguments})
    assert str(error.value) == message


@pytest.mark.parametrize(
    'gray, message',
    [
        (
            flat(1, shape=(5, 4)),
            'gray is uint8 of shape (5, 4), accepted is uint8, uint16 or float32 of shape (4, 5)',
        ),
        (
            flat(1, np.int32),
            'gray is int32 of shape (4, 5), accepted is uint8, uint16 or float32 of shape (4, 5)',
        ),
        (flat(-1, np.float32), 'gray is -1.0 to -1.0, accepted is 0 or more'),
        (flat(np.nan, np.float32), 'gray is nan to nan, accepted is 0 or more'),
        (flat(np.inf, np.float32), 'gray is inf to inf, accepted is 0 or more'),
    ],
)
def test_a_frame_that_is_rejected_changes_nothing(gray, message):
    camera = EventCamera(5, 4)
    camera.observe(flat(50), 0)
    with pytest.raises(EventError) as error:
        camera.observe(gray, 1)
    assert str(error.value) == message
    assert len(camera.observe(flat(200), SECOND_NS)) == 6 * 20
