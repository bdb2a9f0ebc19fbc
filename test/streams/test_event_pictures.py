"""Pictures of windows: colours say which way and how often, wherever an event lies."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.event_bags import read_packets
from topspark_ros.streams.events import EVENT, EventDecoder, TimeWindows, Window, window_picture
from topspark_ros.streams.events.pictures import BRIGHTER, DARKER

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDINGS = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events'

WHITE = (255, 255, 255)


def window(*events):
    """Of events (x, y, p), one after the other."""
    array = np.zeros(len(events), EVENT)
    array['t'] = range(len(events))
    for index, field in enumerate('xyp'):
        array[field] = [event[index] for event in events]
    return Window(array, 0, 100, 0)


def colour(*polarities):
    """Of a pixel with these events; the rest of the picture stays white."""
    picture = window_picture(window(*((2, 1, p) for p in polarities)), 4, 3)
    assert picture.shape == (3, 4, 3) and picture.dtype == np.uint8
    everything_else = np.delete(picture.reshape(-1, 3), 1 * 4 + 2, axis=0)
    assert (everything_else == WHITE).all()
    return tuple(picture[1, 2].tolist())


def test_one_event_more_takes_a_share_of_the_white():
    left = np.array(BRIGHTER)
    assert colour() == WHITE
    assert colour(1) == tuple(np.rint(0.6 * 255 + 0.4 * left).astype(int))
    assert colour(0) == tuple(np.rint(0.6 * 255 + 0.4 * np.array(DARKER)).astype(int))
    reds = [colour(*[1] * count)[0] for count in range(15)]
    assert (np.diff(reds[:10]) < 0).all() and (np.diff(reds) <= 0).all()
    assert colour(*[1] * 12) == colour(*[1] * 500) == BRIGHTER
    assert colour(*[0] * 12) == DARKER


def test_the_majority_or_else_the_latest_gives_the_colour():
    assert colour(1, 1, 0) == colour(0, 1, 1) == colour(1, 1, 1)
    assert colour(0, 1, 0) == colour(0, 0, 0)
    assert colour(0, 1) == colour(1, 1) != colour(1, 0) == colour(0, 0)


@settings(deadline=None)
@given(data=st.data())
def test_a_picture_as_computed_pixel_by_pixel(data):
    width, height = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    # A few lie outside the sensor: nothing may break.
    events = data.draw(
        st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 1)), max_size=80)
    )
    picture = window_picture(window(*events), width, height)
    for y in range(height):
        for x in range(width):
            here = [p for *place, p in events if place == [x, y]]
            assert tuple(picture[y, x].tolist()) == colour(*here)


def test_coordinates_beyond_any_sensor():
    picture = window_picture(window((65535, 65535, 1), (65535, 0, 0), (0, 65535, 0)), 4, 3)
    assert (picture == 255).all()


@pytest.mark.parametrize('name', ['libcaer_first_half', 'test_data_evt3_trigger', 'test_events_2'])
def test_real_windows(name):
    if not (RECORDINGS / name).is_dir():
        pytest.skip(f'no recordings in {RECORDINGS}: set TOPSPARK_DATA')
    packets = list(read_packets(RECORDINGS / name))
    decoder, windows = EventDecoder(*packets[0][:3]), TimeWindows(50_000_000)
    finished = [
        one
        for packet in packets
        for one in windows.push(decoder.decode(packet.payload, packet.time_base, packet.seq)[0])
    ]
    for one in finished[::6]:
        picture = window_picture(one, packets[0].width, packets[0].height)
        coloured = {(x, y) for y, x in zip(*np.nonzero((picture != 255).any(axis=2)))}
        assert coloured == set(map(tuple, one.events[['x', 'y']].tolist()))
        balance = np.zeros(picture.shape[:2], int)
        np.add.at(balance, (one.events['y'], one.events['x']), 2 * one.events['p'].astype(int) - 1)
        blue = picture[..., 2] > picture[..., 0]
        assert blue[balance > 0].all() and not blue[balance < 0].any()
