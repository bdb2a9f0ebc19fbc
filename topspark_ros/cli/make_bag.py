"""`topspark make-bag`: a dataset as the bag that a robot in front of it would have recorded."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from topspark_ros.cli.arguments import UsageError
from topspark_ros.replay.recording import (
    COMPRESSIONS,
    IMAGES,
    STORAGES,
    RecordedTopic,
    RecordingSettings,
    record,
)
from topspark_ros.streams.datasets import DATASET_NAMES
from topspark_ros.streams.scenes import TURN_FRAMES

SUMMARY = (
    'Write a dataset as a rosbag2 recording: what a camera or an event camera in front of '
    'it sees, with labels, a battery that runs down, and power budgets.'
)
DEFAULTS = RecordingSettings()
FRAMES_FOR_EVENTS = 2 * TURN_FRAMES  # of an image: two windows of 80 ms and more at 50 Hz


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(frames_per_image=None, events=False, budget='')
    parser.add_argument(
        'output', type=Path, metavar='OUTPUT', help='folder of the bag, which must not exist'
    )
    parser.add_argument(
        '--dataset',
        default=DEFAULTS.dataset,
        metavar='NAME_OR_FOLDER',
        help=f'one of {", ".join(DATASET_NAMES)}, or a folder with a sub-folder '
        'of images for each class',
    )
    parser.add_argument(
        '--frames', type=int, default=DEFAULTS.frames, metavar='N', help='of the camera'
    )
    parser.add_argument(
        '--rate', type=float, default=DEFAULTS.rate_hz, metavar='HZ', help='frames a second'
    )
    parser.add_argument(
        '--frames-per-image',
        type=int,
        default=argparse.SUPPRESS,
        metavar='N',
        help='1: each image stands still; more: it goes round a small circle, once '
        f'in {TURN_FRAMES} (default: 1, {FRAMES_FOR_EVENTS} with --events)',
    )
    parser.add_argument(
        '--label-share',
        type=float,
        default=DEFAULTS.label_share,
        metavar='SHARE',
        help='share of the images whose label is recorded',
    )
    parser.add_argument(
        '--width', type=int, default=DEFAULTS.width, metavar='PX', help='columns of a frame'
    )
    parser.add_argument(
        '--height', type=int, default=DEFAULTS.height, metavar='PX', help='rows of a frame'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=DEFAULTS.seed,
        help='of the order, the scenes and the choice of labels',
    )
    parser.add_argument(
        '--images',
        choices=IMAGES,
        default=DEFAULTS.images,
        help='as sensor_msgs/Image, as sensor_msgs/CompressedImage (JPEG), or not',
    )
    parser.add_argument(
        '--events',
        action='store_true',
        default=argparse.SUPPRESS,
        help='what an event camera in the place of the camera sees',
    )
    parser.add_argument(
        '--battery',
        default=f'{DEFAULTS.battery_start}:{DEFAULTS.battery_end}',
        metavar='START:END',
        help='state of charge, 0..1; the controller believes a fall of 1 in 120 s '
        'at most, unless its battery_min_discharge is lowered',
    )
    parser.add_argument(
        '--budget',
        default=argparse.SUPPRESS,
        metavar='S:W,...',
        help='steps of the power budget, such as 0:none,20:2e-3,40:6e-4: seconds '
        'since the beginning, and W or none: no limit (default: no budget)',
    )
    parser.add_argument(
        '--storage', choices=tuple(STORAGES), default=DEFAULTS.storage, help='format of the file'
    )
    parser.add_argument(
        '--compression',
        choices=COMPRESSIONS,
        default=DEFAULTS.compression,
        help='of the chunks in mcap, of each message in sqlite3',
    )


def run(arguments: argparse.Namespace) -> int:
    battery_start, battery_end = _battery(arguments.battery)
    settings = RecordingSettings(
        dataset=arguments.dataset,
        frames=arguments.frames,
        rate_hz=arguments.rate,
        frames_per_image=(FRAMES_FOR_EVENTS if arguments.events else 1)
        if arguments.frames_per_image is None
        else arguments.frames_per_image,
        label_share=arguments.label_share,
        width=arguments.width,
        height=arguments.height,
        seed=arguments.seed,
        images=arguments.images,
        events=arguments.events,
        battery_start=battery_start,
        battery_end=battery_end,
        budget=_budget(arguments.budget),
        storage=arguments.storage,
        compression=arguments.compression,
    )
    console = Console(highlight=False)
    with Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        frames = progress.add_task('frames', total=settings.frames)
        topics = record(arguments.output, settings, lambda: progress.advance(frames))
    console.print(_table(f'{arguments.output}: {settings.duration_s:g} s', topics))
    size = sum(file.stat().st_size for file in arguments.output.iterdir())
    print(
        f'{arguments.output} written, {decimal(size)}. Next: topspark evaluate {arguments.output}'
    )
    return 0


def _battery(text: str) -> tuple[float, float]:
    try:
        start, end = map(float, text.split(':'))
    except ValueError:
        raise UsageError(f'--battery is {text!r}, accepted is START:END, such as 0.9:0.6') from None
    return start, end


def _budget(text: str) -> tuple[tuple[float, float], ...]:
    """Steps (s, W); NaN: no limit."""
    try:
        steps = [step.split(':') for step in text.split(',') if text]
        return tuple(
            (float(time_s), math.nan if power_w == 'none' else float(power_w))
            for time_s, power_w in steps
        )
    except ValueError:
        raise UsageError(
            f'--budget is {text!r}, accepted are steps S:W, comma-separated, such as 0:none,20:2e-3'
        ) from None


def _table(title: str, topics: list[RecordedTopic]) -> Table:
    table = Table(title=Text(title))
    for name in ('topic', 'type'):
        table.add_column(name)
    for name in ('messages', 'size'):
        table.add_column(name, justify='right')
    for topic in topics:
        table.add_row(topic.name, topic.type, f'{topic.messages:,}', decimal(topic.size))
    return table
