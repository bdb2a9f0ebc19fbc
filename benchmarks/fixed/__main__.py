"""Our controller against every fixed setting on streams of real objects, learned from nothing.

    python -m benchmarks.fixed

A network that has learned nothing sees each frame of a stream once, at 30 Hz, every frame labelled.
The same frames go through every fixed setting of a grid. Accuracy is right of all frames: one that
is skipped is wrong. Writes a report and a picture to results/fixed. Takes half an hour with
--jobs 2. Needs TOPSPARK_DATA with the folders objects and events_labelled.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import joblib
import numpy as np
from rich.console import Console
from rich.progress import track

from topspark_ros.methodology.profile import DISCRIMINANT
from topspark_ros.methodology.tradeoff import LEARNING_SHARES

from . import report
from .compare import KEPT, SETTLING_S, WINDOW_S, mean_cost
from .play import Played, Setting, Step, play_controlled, play_fixed
from .streams import RATE_HZ, STREAMS, load_frames

TIMESTEPS = 1, 2, 4, 8, 16, 64
SINGLE_LAYER = (
    *(Setting(training, inference) for training in (1, 2, 4, 8) for inference in TIMESTEPS),
    *(Setting(each, each) for each in (16, 64)),
    *(Setting(each, each, share) for each in TIMESTEPS for share in (0.5, 0.25)),
    *(Setting(1, each, 0.5) for each in (2, 4, 8)),
    *(Setting(each, 1, 0.5) for each in (2, 4)),
    *(Setting(1, 1, share) for share in (0.125, 0.0)),
    *(
        Setting(each, each, learning_share, frame_share)
        for each in (1, 2)
        for learning_share in (1.0, 0.5)
        for frame_share in (0.5, 0.25)
    ),
)
GRIDS = {
    # What a discriminant learns, and for how much energy, does not depend on T.
    DISCRIMINANT: (
        *(Setting(1, each, share) for each in (1, 2, 4, 16) for share in (1.0, *LEARNING_SHARES)),
        *(Setting(1, 64, share) for share in (1.0, 0.125)),
        *(
            Setting(1, 1, learning_share, frame_share)
            for learning_share in (1.0, 0.5, 0.125)
            for frame_share in (0.5, 0.25)
        ),
    ),
    'recruiting': SINGLE_LAYER,
}
# Power limits step over a factor of LIMIT_RANGE around what this setting uses; None: no limit.
TRACES = {
    DISCRIMINANT: {'none': None, 'ample': Setting(1, 4), 'short': Setting(1, 1)},
    'recruiting': {'none': None, 'ample': Setting(8, 8), 'short': Setting(1, 1)},
}
LIMIT_RANGE = 8.0
LIMIT_S = 10.0  # that a limit stays


def make_limits(middle_w: float, frames: int, seed: int) -> list[Step]:
    """Limits that last to the end of so many frames."""
    begins_s = np.arange(0.0, frames / RATE_HZ, LIMIT_S)
    powers = LIMIT_RANGE ** np.random.default_rng(seed).permutation(
        np.linspace(-0.5, 0.5, len(begins_s))
    )
    return [Step(*each) for each in zip(begins_s.tolist(), (middle_w * powers).tolist())]


def run(name: str, part: str, rule: str, seeds: range) -> report.Stream:
    """Everything of one stream."""
    frames = load_frames(name, part, rule)
    fixed: dict[Setting, list[Played]] = {setting: [] for setting in GRIDS[rule]}
    controlled: dict[str, list[Played]] = {trace: [] for trace in TRACES[rule]}
    metered: list[Played] = []
    limits: dict[str, list[list[Step]]] = {trace: [] for trace in TRACES[rule]}
    for seed in track(seeds, name, console=Console(stderr=True)):
        stream = frames.stream(seed)
        count = len(stream.labels)
        for setting in fixed:
            fixed[setting].append(play_fixed(stream, rule, seed, setting))
        for trace, middle in TRACES[rule].items():
            if middle is None:
                steps = []
            else:
                middle_w = mean_cost(fixed[middle][-1:], measured=False) / count * RATE_HZ
                steps = make_limits(middle_w, count, seed)
            limits[trace].append(steps)
            controlled[trace].append(play_controlled(stream, rule, seed, steps))
        metered.append(play_controlled(stream, rule, seed, [], metered=True))
    return report.Stream(name, count, fixed, controlled, limits, metered)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.fixed', description=__doc__)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--jobs', type=int, default=1, help='processes, of a stream each')
    parser.add_argument(
        '--part', default='test', choices=('train', 'test'), help='train: to tune the controller'
    )
    parser.add_argument('--rule', default=DISCRIMINANT, choices=GRIDS, help='of the network')
    parser.add_argument('--streams', nargs='+', default=STREAMS, choices=STREAMS)
    parser.add_argument(
        '--output', type=Path, default=Path('results/fixed'), help='folder to write'
    )
    options = parser.parse_args(arguments)
    streams = joblib.Parallel(options.jobs)(
        joblib.delayed(run)(name, options.part, options.rule, range(options.seeds))
        for name in options.streams
    )
    options.output.mkdir(parents=True, exist_ok=True)
    traces = TRACES[options.rule]
    how = (
        f'{options.rule}, {options.seeds} seeds, {options.part} parts, every frame labelled, '
        f'{RATE_HZ:g} Hz, a full battery. Power limits step every {LIMIT_S:g} s over a factor of '
        f'{LIMIT_RANGE:g}: around what training / inference T = {traces["ample"]} use (ample), or '
        f'{traces["short"]} (short). A setting keeps them if no '
        f'{WINDOW_S:g} s after the first {SETTLING_S:g} use {100 * KEPT:g} % more.'
    )
    text = report.text(streams, how)
    (options.output / 'report.md').write_text(text, encoding='utf-8')
    report.draw(options.output / 'fixed.png', streams)
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
