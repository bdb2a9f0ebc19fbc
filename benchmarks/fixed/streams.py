"""Streams of labelled frames: one pass over a part of a data set, in the order of a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from topspark_ros.perception.online import Sample
from topspark_ros.streams.events import EventViewer

from ..recordings import load_recordings
from ..reproduce.common import full, load
from ..switching import object_data

RATE_HZ = 30.0
MAX_FRAMES = 1500
IMAGES = 'digits', 'mnist', 'fashion_mnist'
OBJECTS = 'eth80', 'coil100'
EVENTS = 'nmnist'
STREAMS = *IMAGES, *OBJECTS, EVENTS
EVENT_WINDOW_US = 50_000


class Frames(NamedTuple):
    """samples: what the network is shown. labels: (samples,) int64."""

    samples: list[Sample]
    labels: np.ndarray

    def stream(self, seed: int) -> Frames:
        """At most MAX_FRAMES of them in the order of the seed, each once."""
        order = np.random.default_rng(seed).permutation(len(self.labels))[:MAX_FRAMES]
        return Frames([self.samples[index] for index in order], self.labels[order])


def load_frames(name: str, part: str) -> Frames:
    """part: 'train' or 'test'."""
    if name == EVENTS:
        return _event_frames(part)
    data = object_data(name) if name in OBJECTS else load(name, full(1))
    pixels, labels = (
        (data.training_pixels, data.training_labels)
        if part == 'train'
        else (data.test_pixels, data.test_labels)
    )
    return Frames(list(pixels.astype(np.float32) / np.float32(255)), labels.astype(np.int64))


def _event_frames(part: str) -> Frames:
    """Every 50 ms of each recording of N-MNIST, as a learner of events sees it."""
    data = load_recordings(EVENTS, EVENT_WINDOW_US)
    chosen = np.flatnonzero(data.tested == (part == 'test'))
    viewer = EventViewer(data.side, data.side)
    return Frames([viewer.view(data.windows[each]) for each in chosen], data.labels[chosen])
