"""What moves, as a picture: the same wherever, however fast and however large it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from topspark_ros.streams.events import EVENT, EventViewer, Window
from topspark_ros.streams.events.moving import find_motion, moving_picture

SIDE = 32
SENSOR = 240, 180
ROI = 0, 0, *SENSOR
WINDOW_NS = 100_000_000
SEEN = 20_000  # events


def window_of(x, y, t, polarity=0):
    """Events inside the sensor, in order of time, ns."""
    inside = (x >= 0) & (x < SENSOR[0]) & (y >= 0) & (y < SENSOR[1])
    order = np.flatnonzero(inside)[np.argsort(t[inside], kind='stable')]
    events = np.zeros(order.size, EVENT)
    events['x'], events['y'], events['t'] = x[order], y[order], t[order]
    events['p'] = polarity
    return Window(events, 0, WINDOW_NS, 0)


def outline(centre=(100.0, 80.0), size=20.0, velocity=(0.0, 0.0), seed=0):
    """A triangle whose edges send events while it moves, so many pixels a window."""
    random = np.random.default_rng(seed)
    corners = np.array([(-1, -1), (1, -1), (0, 1), (-1, -1)], float)
    edge, along = random.integers(3, size=SEEN), random.random((SEEN, 1))
    place = corners[edge] + along * (corners[edge + 1] - corners[edge])
    t = random.integers(WINDOW_NS, size=SEEN)
    passed = (t / WINDOW_NS - 0.5)[:, np.newaxis] * np.array(velocity)
    x, y = np.rint(np.array(centre) + size * place + passed).astype(int).T
    return x, y, t


def shown(window, **settings):
    viewer = EventViewer(*SENSOR, size=SIDE, as_picture=True, **settings)
    picture = viewer.view(window).presented(4)
    assert picture.dtype == np.float32 and picture.shape == (SIDE * SIDE,)
    return picture


def likeness(*pictures):
    """Correlation of two pictures; lines may lie a cell apart."""
    blurred = [cv2.GaussianBlur(each.reshape(SIDE, SIDE), (0, 0), 1.5) for each in pictures]
    return float(np.corrcoef(*(each.reshape(-1) for each in blurred))[0, 1])


STILL = shown(window_of(*outline()))


def test_the_picture_is_bright_where_edges_are():
    assert STILL.max() == 1 and (STILL == 0).mean() > 0.5
    rows, columns = np.divmod(np.flatnonzero(STILL > 0.3), SIDE)
    assert 2 <= columns.min() and columns.max() < SIDE - 2  # the shape is within the picture
    assert STILL.reshape(SIDE, SIDE)[SIDE // 2, SIDE // 2] < 0.2  # it has no inside


@pytest.mark.parametrize('centre', [(60.0, 50.0), (170.0, 120.0)])
def test_place_does_not_matter(centre):
    assert likeness(shown(window_of(*outline(centre))), STILL) > 0.9


@pytest.mark.parametrize('velocity', [(30.0, 0.0), (0.0, -25.0), (20.0, 20.0)])
def test_motion_is_taken_out(velocity):
    moving = window_of(*outline(velocity=velocity))
    motion = find_motion(moving.events)
    assert motion.velocity_x * WINDOW_NS == pytest.approx(velocity[0], abs=1)
    assert motion.velocity_y * WINDOW_NS == pytest.approx(velocity[1], abs=1)
    assert likeness(shown(moving), STILL) > 0.9
    smeared = moving_picture(moving, ROI, motion._replace(velocity_x=0.0, velocity_y=0.0), SIDE)
    assert likeness(smeared, STILL) < likeness(shown(moving), STILL) - 0.2


@pytest.mark.parametrize('size', [14.0, 45.0])
def test_size_does_not_matter(size):
    # A small one lies in fewer pixels than there are cells.
    assert likeness(shown(window_of(*outline(size=size))), STILL) > 0.85
    assert find_motion(window_of(*outline(size=size)).events).extent == pytest.approx(
        find_motion(window_of(*outline()).events).extent * size / 20, rel=0.03
    )


def test_both_polarities_count_alike():
    np.testing.assert_array_equal(shown(window_of(*outline(), polarity=1)), STILL)


@pytest.mark.parametrize('share', [0.05, 0.5])
def test_noise_all_over_the_sensor_hardly_moves_it(share):
    random = np.random.default_rng(1)
    noise = (random.integers(high, size=int(share * SEEN)) for high in (*SENSOR, WINDOW_NS))
    noisy = window_of(*map(np.concatenate, zip(outline(), noise)))
    assert likeness(shown(noisy), STILL) > 0.95
    assert likeness(shown(noisy, whole=True), STILL) < 0.9


def test_what_moves_little_counts_where_all_does():
    x, y, t = (
        np.concatenate(parts) for parts in zip(outline(), (a[:300] for a in outline((180, 80))))
    )
    assert likeness(shown(window_of(x, y, t)), STILL) > 0.95
    assert (
        find_motion(window_of(x, y, t).events).extent
        > 1.02 * find_motion(window_of(*outline()).events).extent
    )


def test_what_lies_outside_the_region_is_not_seen():
    x, y, t = (np.concatenate(parts) for parts in zip(outline(), outline((200.0, 140.0))))
    roi = 60, 40, 90, 90
    assert likeness(shown(window_of(x, y, t), roi=roi), STILL) > 0.95


def test_a_region_is_shown_as_it_is():
    roi = 76, 56, 48, 48
    picture = shown(window_of(*outline(velocity=(2.0, 0.0))), roi=roi, centring=False)
    motion = find_motion(window_of(*outline()).events)
    rows, columns = np.divmod(np.flatnonzero(picture > 0.1), SIDE)
    # A side of 48 pixels on 32 cells; the triangle is 40 pixels wide.
    assert columns.max() - columns.min() == pytest.approx(40 * SIDE / 48, abs=2)
    assert motion.x == pytest.approx(100, abs=1)


@pytest.mark.parametrize('as_picture', [True, False])
def test_the_square_is_where_the_outline_is(as_picture):
    window = window_of(*outline((60.0, 90.0)))
    viewer = EventViewer(*SENSOR, size=SIDE, as_picture=as_picture)
    x, y, extent = viewer.view(window).square
    off = np.stack([window.events[axis] - middle for axis, middle in (('x', x), ('y', y))])
    assert (np.abs(off) <= extent / 2).all(axis=0).mean() > 0.99
    assert extent < 3 * np.ptp(off, axis=1).max()
    nothing = window_of(*(values[:0] for values in outline()))
    assert viewer.view(nothing).square is None


@pytest.mark.parametrize('as_picture', [True, False])
def test_things_that_move_apart_are_looked_at_apart(as_picture):
    things = outline((50.0, 80.0), 24.0, (4.0, 0.0)), outline((140.0, 60.0), 16.0, (0.0, -3.0), 1)
    settings = dict(size=SIDE, as_picture=as_picture)
    viewer = EventViewer(*SENSOR, **settings, max_objects=4)
    views = viewer.views(window_of(*map(np.concatenate, zip(*things))))
    assert len(views) == 2
    for view, thing in zip(views, things):
        alone = EventViewer(*SENSOR, **settings).view(window_of(*thing))
        assert view.square == pytest.approx(alone.square, abs=1.5)
        pictures = [
            each.presented(1)
            if as_picture
            else np.bincount(each.presented(1).neurons, minlength=SIDE**2).astype(np.float32)
            for each in (view, alone)
        ]
        assert likeness(*pictures) > 0.9
        assert view.picture().shape[:2] == SENSOR[::-1]
        assert view.close_up().shape[0] == round(view.square.extent)
    one = EventViewer(*SENSOR, **settings).views(window_of(*things[0]))
    assert len(one) == len(viewer.views(window_of(*things[0]))) == 1
    (nothing,) = viewer.views(window_of(*(values[:0] for values in outline())))
    assert nothing.square is None


@pytest.mark.parametrize('as_picture', [True, False])
def test_the_square_of_a_region_holds_it(as_picture):
    viewer = EventViewer(
        *SENSOR, roi=(70, 50, 60, 40), centring=False, size=SIDE, as_picture=as_picture
    )
    assert viewer.view(window_of(*outline())).square == (99.5, 69.5, 60.0)


def test_a_reference_in_numpy_counts_the_same():
    moving = window_of(*outline(velocity=(12.0, -7.0)))
    motion = find_motion(moving.events)
    events, counts = moving.events, np.zeros((SIDE, SIDE))
    elapsed = events['t'] - motion.t
    column, row = (
        np.floor((events[axis] - speed * elapsed - middle) * (SIDE / motion.extent) + SIDE / 2)
        for axis, speed, middle in (
            ('x', motion.velocity_x, motion.x),
            ('y', motion.velocity_y, motion.y),
        )
    )
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    np.add.at(counts, (row[inside].astype(int), column[inside].astype(int)), 1)
    picture = moving_picture(moving, ROI, motion, SIDE).reshape(SIDE, SIDE)
    dim = (picture > 0) & (picture < 1)
    assert np.array_equal(picture > 0, counts > 0)
    assert np.ptp(counts[dim] / picture[dim]) < 1e-4 * counts.max()
    assert (picture == 1).sum() <= 0.01 * (counts > 0).sum() + 2


@pytest.mark.parametrize(
    'x, y', [([], []), ([7], [9]), ([7] * 500, [9] * 500)], ids=['none', 'one', 'a faulty pixel']
)
@pytest.mark.parametrize('centring', [False, True])
def test_a_window_in_which_nothing_moves(x, y, centring):
    events = window_of(np.array(x, int), np.array(y, int), np.arange(len(x)) * 1000)
    picture = shown(events, centring=centring)
    assert np.isfinite(picture).all()
    assert picture.any() == (len(x) > 0 and not centring)


def test_events_at_one_instant_have_no_motion():
    x, y, t = outline()
    motion = find_motion(window_of(x, y, np.zeros_like(t)).events)
    assert motion.velocity_x == motion.velocity_y == 0
    assert motion.extent > 0
