"""Streams of labelled frames: one pass over a part of a data set, in the order of a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from topspark_ros.methodology.profile import DISCRIMINANT
from topspark_ros.perception.learner_parameters import EVENT_SIDE, SnnLearnerParameters
from topspark_ros.perception.online import Sample
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.events import EventViewer
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.scenes import camera_views

from ..photographs import load_photographs
from ..recordings import load_recordings
from ..reproduce.common import full, load
from ..switching import object_data

RATE_HZ = 30.0
MAX_FRAMES = 1500
MAX_IMAGES = 3000  # of a data set, that a camera is put in front of
IMAGES = 'digits', 'mnist', 'fashion_mnist'
OBJECTS = 'eth80', 'coil100'
EVENTS = 'nmnist'
STREAMS = *IMAGES, *OBJECTS, EVENTS
EVENT_WINDOW_US = 50_000


class Frames(NamedTuple):
    """samples: what the network is shown. labels: (samples,) int64. input: of the learner."""

    samples: list[Sample]
    labels: np.ndarray
    input: str = 'image'

    def stream(self, seed: int) -> Frames:
        """At most MAX_FRAMES of them in the order of the seed, each once."""
        order = np.random.default_rng(seed).permutation(len(self.labels))[:MAX_FRAMES]
        return self._replace(
            samples=[self.samples[index] for index in order], labels=self.labels[order]
        )


def load_frames(name: str, part: str, rule: str) -> Frames:
    """As the network of a rule sees them.

    The discriminant sees images of digits and clothes as its camera would, and photographs whole;
    a single layer sees either grey, alone on black.

    part: 'train' or 'test'.
    """
    if name == EVENTS:
        return _event_frames(part, rule)
    if rule != DISCRIMINANT:
        data = object_data(name) if name in OBJECTS else load(name, full().samples)
        pixels, labels = (
            (data.training_pixels, data.training_labels)
            if part == 'train'
            else (data.test_pixels, data.test_labels)
        )
    elif name in OBJECTS:
        photographs = load_photographs(name)
        pixels, labels = (
            (photographs.training, photographs.training_labels)
            if part == 'train'
            else (photographs.test, photographs.test_labels)
        )
    else:
        images = load_dataset(name, part)
        pixels, labels = _camera_frames(images.images[:MAX_IMAGES]), images.labels[:MAX_IMAGES]
        return Frames(list(pixels), labels.astype(np.int64))
    return Frames(list(pixels.astype(np.float32) / np.float32(255)), labels.astype(np.int64))


def _camera_frames(images: np.ndarray) -> np.ndarray:
    view = SnnLearnerParameters(rule=DISCRIMINANT).view()
    return camera_views(images, seed=0, see=lambda rgb: view.of(RawImage.of(rgb)))


def _event_frames(part: str, rule: str) -> Frames:
    """Every 50 ms of each recording of N-MNIST, as a learner of events sees it."""
    data = load_recordings(EVENTS, EVENT_WINDOW_US)
    chosen = np.flatnonzero(data.tested == (part == 'test'))
    seen = dict(size=EVENT_SIDE, as_picture=True) if rule == DISCRIMINANT else {}
    viewer = EventViewer(data.side, data.side, **seen)
    samples = [viewer.view(data.windows[each]) for each in chosen]
    return Frames(samples, data.labels[chosen], 'events' if rule == DISCRIMINANT else 'image')
