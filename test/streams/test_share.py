"""Which frames belong to a share of them."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.share import FrameShare


def taken(shares):
    """Numbers of the frames that are taken, from 0."""
    frames = FrameShare()
    return [number for number, share in enumerate(shares) if frames.takes(share)]


def test_a_third_is_every_third_and_two_fifths_are_two_of_five():
    assert taken([1 / 3] * 9) == [2, 5, 8]
    assert taken([0.4] * 10) == [2, 4, 7, 9]
    assert taken([0.1] * 100) == list(range(9, 100, 10))
    assert taken([1.0] * 5) == [0, 1, 2, 3, 4]
    assert taken([0.0] * 5) == []


@settings(deadline=None)
@given(share=st.floats(0, 1), count=st.integers(0, 500), before=st.lists(st.floats(0, 1)))
def test_as_many_are_taken_as_the_share_says(share, count, before):
    frames = FrameShare()
    for other in before:
        frames.takes(other)
    assert abs(sum(frames.takes(share) for _ in range(count)) - count * share) <= 1 + 1e-6


@settings(deadline=None)
@given(share=st.floats(0.01, 1))
def test_they_are_evenly_spread(share):
    numbers = taken([share] * 500)
    gaps = {later - earlier for earlier, later in zip([-1, *numbers], numbers)}
    assert gaps and gaps <= {math.floor(1 / share), math.ceil(1 / share)}


@settings(deadline=None)
@given(share=st.floats(0, 1, exclude_min=True), pause=st.integers(1, 20),
       before=st.lists(st.floats(0, 1)))
def test_after_a_pause_the_next_frame_is_taken(share, pause, before):
    frames = FrameShare()
    for other in before:
        frames.takes(other)
    assert not any(frames.takes(0.0) for _ in range(pause))
    assert frames.takes(share)
