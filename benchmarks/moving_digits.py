"""Moving digits, seen by the simulated event camera and learned online, at several T.

    python -m benchmarks.moving_digits

Prints the accuracy of labelled windows, each classified before it is learned, and what a window
costs.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.online import OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.perception.teaching import TimedLabel
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.events import EventCamera, EventSettings, EventStream, Evt3Encoder
from topspark_ros.streams.scenes import SceneRenderer

WIDTH, HEIGHT = 160, 120
FRAME_NS = 20_000_000
FRAMES = 13  # of one digit: two windows or three lie within, wherever they begin
DIGITS = 700
LABEL_WAIT_S = 0.6  # a label comes when its digit has been shown
TIMESTEPS = (2, 4, 8, 16, 64)
SEEDS = range(3)
SETTINGS = EventSettings(window_ns=80_000_000, min_events=100)
HALFWAY, LAST = 600, 200  # labelled windows


class Shown(NamedTuple):
    """One frame's packet. label: of the digit that was shown, with the last of its frames."""

    stamp_ns: int
    payload: bytes
    label: TimedLabel | None


def show(seed: int) -> list[Shown]:
    digits = load_dataset('digits')
    scenes = SceneRenderer(digits.images, HEIGHT, WIDTH, seed)
    camera, encoder = EventCamera(WIDTH, HEIGHT), Evt3Encoder(WIDTH, HEIGHT)
    packets = []
    for index in np.random.default_rng(seed).permutation(len(digits.labels))[:DIGITS]:
        for number, frame in enumerate(scenes.circle(index, FRAMES)):
            stamp_ns = (len(packets) + 1) * FRAME_NS
            events = camera.observe(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), stamp_ns)
            packets.append(
                Shown(
                    stamp_ns,
                    encoder.encode(events),
                    TimedLabel(
                        stamp_ns - number * FRAME_NS,
                        digits.class_names[digits.labels[index]],
                        stamp_ns,
                    )
                    if number == FRAMES - 1
                    else None,
                )
            )
    return packets


def learn(packets: list[Shown], timesteps: int, seed: int) -> tuple[float, float, float, float]:
    """Accuracy of the windows 401 to 600 and of the last ones; input spikes and J a window."""
    network = create_network(NetworkConfig(max_input_rate=2.0, seed=seed))
    learner = OnlineLearner(
        network,
        (),
        Timesteps(timesteps, timesteps),
        OnlineSettings(LABEL_WAIT_S, accuracy_window=LAST, activity_window_s=1e9),
        ENERGY_TABLES['loihi'],
    )
    stream = EventStream(SETTINGS)
    halfway, windows = np.nan, 0
    for seq, packet in enumerate(packets):
        now_s = packet.stamp_ns * 1e-9
        for seen in stream.push('evt3', WIDTH, HEIGHT, seq, 0, packet.stamp_ns, packet.payload):
            learner.classify(seen.stamp_ns, seen.views()[0], now_s, seen.begin_ns, seen.end_ns)
        if packet.label is not None:
            windows += len(learner.add_label(*packet.label))
        status = learner.status(now_s)
        if windows <= HALFWAY:
            halfway = status.accuracy
    learner.learn_due(now_s + 9.0)
    status = learner.status(now_s + 9.0)
    return halfway, status.accuracy, status.activity.input_spikes, status.activity.energy_j


def main() -> None:
    shown = {seed: show(seed) for seed in SEEDS}
    print(
        f'| T [steps] | windows 401-600 | last {LAST} | worst seed | input spikes | energy |\n'
        '|---|---|---|---|---|---|'
    )
    for timesteps in TIMESTEPS:
        rows = np.array([learn(packets, timesteps, seed) for seed, packets in shown.items()])
        halfway, last, spikes, energy_j = rows.mean(axis=0)
        print(
            f'| {timesteps} | {100 * halfway:.1f} % | {100 * last:.1f} % | '
            f'{100 * rows[:, 1].min():.1f} % | {spikes:.0f} | {energy_j * 1e6:.1f} uJ |',
            flush=True,
        )


if __name__ == '__main__':
    main()
