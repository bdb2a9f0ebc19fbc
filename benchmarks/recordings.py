"""Labelled recordings of real event cameras in TOPSPARK_DATA, cut into windows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topspark_ros.perception.online import Sample
from topspark_ros.streams.events import EVENT, EventViewer, Window

RECORDINGS = 'nmnist', 'dvs_objects'
SIDES = {'nmnist': 34, 'dvs_objects': 128}  # of the sensor, pixels
TURNING = 'box', 'mug', 'knife'  # the objects that both sessions of dvs_objects have


@dataclass(frozen=True)
class Recordings:
    """Windows, each of one recording. Arrays have an entry for each window.

    side: of the sensor, pixels.
    tested: nmnist: whether it is of the test part; dvs_objects: whether it is of session 2.
    """

    side: int
    windows: list[Window]
    labels: np.ndarray
    recording: np.ndarray
    tested: np.ndarray

    def shown(self, viewer: EventViewer) -> list[Sample]:
        """What a network is shown of each window."""
        return [viewer.view(window) for window in self.windows]


def load_recordings(name: str, window_us: int) -> Recordings:
    """One of RECORDINGS, in windows of so many us from the beginning of each recording on.

    nmnist: digits, three saccades of 0.1 s each. dvs_objects: the TURNING ones, of two sessions.
    """
    windows, labels, recording, tested = [], [], [], []
    for number, (events, label, is_tested) in enumerate(_recordings(name)):
        for begin_us in range(0, int(events['t'][-1] // 1000) - window_us, window_us):
            begin_ns, end_ns = 1000 * begin_us, 1000 * (begin_us + window_us)
            first, last = np.searchsorted(events['t'], (begin_ns, end_ns))
            windows.append(Window(events[first:last], begin_ns, end_ns, 0))
            labels.append(label)
            recording.append(number)
            tested.append(is_tested)
    return Recordings(
        SIDES[name], windows, np.array(labels, np.int64), np.array(recording), np.array(tested)
    )


def _recordings(name: str) -> Iterator[tuple[np.ndarray, int, bool]]:
    """Events of each recording, its label, and whether it is for testing."""
    with np.load(_folder() / ('nmnist_small.npz' if name == 'nmnist' else f'{name}.npz')) as data:
        arrays = {key: data[key] for key in data}
    for number, label in enumerate(arrays['label']):
        span = slice(*arrays['offset'][number : number + 2])
        events = np.zeros(span.stop - span.start, EVENT)
        if name == 'nmnist':
            for field in 'xyp':
                events[field] = arrays[field][span]
            events['t'] = 1000 * arrays['t'][span].astype(np.int64)
            yield events, int(label), bool(arrays['test'][number])
        elif arrays['classes'][label] in TURNING:
            address = arrays['addr'][span]
            for field, shift in (('x', 0), ('y', 7)):
                events[field] = address >> shift & 127
            events['p'] = address >> 14
            elapsed_us = np.cumsum(arrays['dt'][span].astype(np.int64))
            events['t'] = 1000 * (elapsed_us - elapsed_us[0])
            yield (
                events,
                TURNING.index(arrays['classes'][label]),
                bool(arrays['session'][number] == 2),
            )


def _folder() -> Path:
    return Path(os.environ['TOPSPARK_DATA']) / 'events_labelled'
