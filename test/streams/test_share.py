"""Which frames belong to a share of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.share import BORROWED, FrameShare


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
@given(
    share=st.floats(0, 1, exclude_min=True),
    pause=st.integers(1, 20),
    before=st.lists(st.floats(0, 1)),
)
def test_after_a_pause_the_next_frame_is_taken(share, pause, before):
    frames = FrameShare()
    for other in before:
        frames.takes(other)
    assert not any(frames.takes(0.0) for _ in range(pause))
    assert frames.takes(share)


@pytest.mark.parametrize('share', [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize('preferred', [0.0, 0.1, 0.4, 1.0])
def test_preferred_frames_come_first_and_the_share_holds(share, preferred):
    random, chosen = np.random.default_rng(0), FrameShare()
    wanted = random.random(2000) < preferred
    taken = np.array([chosen.takes(share, bool(want)) for want in wanted])
    for frames in (50, 500, 2000):
        assert abs(taken[:frames].sum() - share * frames) <= 1 + BORROWED
    if 0 < wanted.mean() < share:
        assert taken[wanted].mean() > 0.9
    if 0 < preferred < 1 and share < 1:
        assert taken[wanted].mean() > taken[~wanted].mean()


def test_nothing_is_preferred_to_a_share_of_nothing():
    chosen = FrameShare()
    assert not any(chosen.takes(0.0, preferred=True) for _ in range(10))
