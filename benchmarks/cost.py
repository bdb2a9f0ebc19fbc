"""Cost follows the work: time and memory against T, N and the activity of the input."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine import NetworkConfig

from .timing import RATE, Data, classic, fastest, floor_task, trained

TIMESTEPS = (2, 4, 8, 16, 32, 64, 128, 350)
NEURONS = (100, 200, 400, 800, 1600, 3200, 6400)
ACTIVITY = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # times 63.75 Hz, at T = 64
SAMPLES = 200


def _learn_and_infer(network, data: Data, timesteps: int) -> tuple[float, float]:
    pixels, labels = (part[:SAMPLES] for part in data.test)
    timed = fastest(
        {
            'learn': lambda: network.learn_many(pixels, timesteps, labels),
            'infer': lambda: network.infer_many(pixels, timesteps),
        },
        SAMPLES,
        rounds=5,
    )
    return timed['learn'], timed['infer']


def against_timesteps(data: Data) -> list[dict]:
    """Rate fixed (63.75 Hz) or the number of spikes preserved, and the recruiting rule."""
    rows = []
    for name, config in (
        ('pairwise, fixed rate', classic()),
        ('pairwise, preserved count', NetworkConfig(rule='pairwise', max_input_rate=np.inf)),
        ('recruiting, preserved count', NetworkConfig(max_input_rate=np.inf)),
    ):
        network = trained(config, data, 64)
        for timesteps in TIMESTEPS:
            learn, infer = _learn_and_infer(network, data, timesteps)
            rows.append(dict(network=name, timesteps=timesteps, learn=learn, infer=infer))
    return rows


def against_neurons(data: Data) -> list[dict]:
    """T = 350, 63.75 Hz; memory is that of all that was learned."""
    rows = []
    for neurons in NEURONS:
        network = trained(classic(neurons), data, 350, samples=500)
        learn, infer = _learn_and_infer(network, data, 350)
        pixels = data.test[0][:SAMPLES]
        floor = fastest({'floor': floor_task(pixels, neurons, 350)}, SAMPLES, rounds=5)['floor']
        rows.append(
            dict(
                neurons=neurons,
                learn=learn,
                infer=infer,
                floor=floor,
                megabytes=network.memory_bytes / 1e6,
            )
        )
    return rows


def against_activity(data: Data) -> list[dict]:
    """T = 64, 400 neurons, the input's rate scaled."""
    rows = []
    for factor in ACTIVITY:
        config = NetworkConfig(
            rule='pairwise', normalisation='full_scale', max_input_rate=RATE * factor
        )
        network = trained(config, data, 64, samples=1000)
        learn, infer = _learn_and_infer(network, data, 64)
        counts = network.infer_many(data.test[0][:SAMPLES], 64).total_counts()
        rows.append(
            dict(
                activity=factor,
                input_spikes=counts.input_spikes / SAMPLES,
                learn=learn,
                infer=infer,
            )
        )
    return rows
