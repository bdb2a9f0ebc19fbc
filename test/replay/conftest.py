"""Small real bags: handwritten digits in front of a camera, and in front of an event camera."""

from __future__ import annotations

import math

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.recording import RecordingSettings, record
from topspark_ros.streams.bags import Bag

SMALL = dict(width=96, height=72, rate_hz=10.0)
FRAMES, LIMIT_W = 150, 2e-6


@pytest.fixture(scope='session')
def digits_bag(tmp_path_factory):
    """15 s at 10 Hz, half of the frames labelled; a power limit from 6 s on, none at last."""
    path = tmp_path_factory.mktemp('bags') / 'digits'
    record(
        path,
        RecordingSettings(
            **SMALL, frames=FRAMES, battery_end=0.85, budget=((6.0, LIMIT_W), (12.05, math.nan))
        ),
    )
    return path


@pytest.fixture(scope='session')
def events_bag(tmp_path_factory):
    """6 s of digits that move, 20 frames of a camera each, all of them labelled."""
    path = tmp_path_factory.mktemp('bags') / 'events'
    record(
        path,
        RecordingSettings(
            **SMALL | {'rate_hz': 50.0},
            frames=300,
            frames_per_image=20,
            images='none',
            events=True,
            label_share=1.0,
        ),
    )
    return path


@pytest.fixture
def rewritten(tmp_path):
    """A copy of a bag whose messages are what a function makes of each."""

    def rewrite(bag, change):
        """change(time in ns, topic, message) gives a list of (time in ns, topic, type, message)."""
        store, copy = typestore(), tmp_path / 'copy'
        connections = {}
        with (
            Bag(bag, store) as source,
            Writer(copy, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
        ):
            for recorded in source.messages(source.topics):
                message = source.deserialize(recorded)
                for time_ns, topic, kind, changed in change(
                    recorded.recorded_ns, recorded.topic, message
                ):
                    if topic not in connections:
                        connections[topic] = writer.add_connection(topic, kind, typestore=store)
                    writer.write(
                        connections[topic],
                        time_ns,
                        changed
                        if isinstance(changed, bytes)
                        else store.serialize_cdr(changed, kind),
                    )
        return copy

    return rewrite
