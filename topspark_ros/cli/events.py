"""`topspark events`: what a recording of event cameras holds, in a table and a picture."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from topspark_ros.cli import live_view, pictures
from topspark_ros.cli.arguments import PICTURES, UsageError, check_output, writing
from topspark_ros.streams.bags import BACK_NS, QUIET_NS
from topspark_ros.streams.event_bags import EventPacket, event_topics, read_packets
from topspark_ros.streams.events import (
    DecoderCounts,
    EventDecoder,
    EventError,
    Window,
    hot_pixels,
    window_picture,
)
from topspark_ros.streams.events.decoders import pixel_count
from topspark_ros.streams.events.windows import MAX_EVENTS, joined

SUMMARY = (
    'Show what a recording of event cameras holds: rates, gaps, discards and hot pixels in '
    'a table, a few windows and the rate over time in a picture.'
)
LONGEST_WINDOW_S = 60.0
SHOTS = 4  # windows in the picture, of each camera
SHOT_PIXELS = 340  # their width there
SLICE_NS = 10_000_000  # of sensor time: one point of the event rate
RECORDING_SLICE_NS = 100_000_000  # of the recording's clock, for the peaks of packets and bytes
HISTORY_POINTS = 1000  # of the rate in the picture, at most
NAMED_PIXELS = 5  # in the table, the hottest ones
PROGRESS_STEP = 64  # packets
LONGEST_PAUSE_NS = 3_600_000_000_000  # of sensor time; more is a jump of the clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(topic=None)  # without a default of its own, help does not say None
    parser.add_argument(
        'bag',
        type=Path,
        metavar='BAG',
        help='folder of a rosbag2 recording, or its .mcap or .db3 file',
    )
    parser.add_argument(
        '--topic', default=argparse.SUPPRESS, help='this one (default: all with event packets)'
    )
    parser.add_argument(
        '--window',
        type=float,
        default=0.05,
        metavar='S',
        help='sensor time that a window in the picture takes',
    )
    parser.add_argument('--output', type=Path, default=Path('events.png'), help='picture to write')


def run(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.window <= LONGEST_WINDOW_S:
        raise UsageError(
            f'--window is {arguments.window}, accepted is above 0 up to {LONGEST_WINDOW_S:g} s'
        )
    check_output('--output', arguments.output, PICTURES)
    window_ns = max(1, round(arguments.window * 1e9))
    cameras: list[Camera] = []
    rejected: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    topics = event_topics(arguments.bag, arguments.topic, lost)
    console = Console(highlight=False)
    with Progress(
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        for topic, total in topics.items():
            task = progress.add_task(topic, total=total)
            cameras += read_cameras(
                arguments.bag,
                topic,
                total,
                window_ns,
                rejected,
                lost,
                partial(_advance, progress, task),
            )
    if not cameras and (rejected or lost):
        raise UsageError(f'{arguments.bag}: {next(iter((*rejected, *lost)))}')
    if not cameras:
        raise UsageError(
            f'{arguments.bag}: 0 packets in {", ".join(topics)}, accepted is 1 or more'
        )
    console.print(_table(arguments.bag.name, cameras))
    for line, packets in rejected.items():
        print(f'{line} (packets rejected: {packets:,})')
    for line, times in lost.items():
        print(f'lost: {line}' + (f' ({times} times)' if times > 1 else ''))
    for topic in sorted(topics.keys() - {camera.name for camera in cameras}):
        print(f'{topic}: no packets')
    with writing('--output', arguments.output, 'file'):
        pictures.draw_events(
            arguments.output, [camera.history() for camera in cameras], SHOTS, arguments.window
        )
    print(f'{arguments.output} written')
    return 0


def read_cameras(
    path: Path,
    topic: str,
    packets: int,
    window_ns: int,
    rejected: Counter[str],
    lost: Counter[str],
    report: Callable[[int], object],
) -> list[Camera]:
    """What the cameras on a topic have sent: one for each encoding and size, mostly one.

    packets: on the topic; windows for the picture begin at evenly spread ones.
    rejected: takes what is wrong with packets of no camera that can be, and how many they are.
    lost: as of `streams.event_bags.read_packets`.
    report: called with the number of packets so far, now and then.
    """
    cameras = {}
    places = [packets * i // SHOTS for i in range(SHOTS)]
    for place, packet in enumerate(read_packets(path, topic, lost)):
        kind = packet.encoding, packet.width, packet.height
        try:
            if kind not in cameras:
                cameras[kind] = Camera(topic, *kind, window_ns, places)
        except EventError as error:
            rejected[f'{topic}: {error}'] += 1
            continue
        cameras[kind].add(place, packet)
        if place % PROGRESS_STEP == 0:
            report(place)
    report(packets)
    return list(cameras.values())


class Camera:
    """What one event camera has sent.

    bytes: of the payloads.
    brighter: events.
    recorded_ns: from the first packet to the last, of the recording's clock, without its jumps.
    recorded_jumps, largest_recorded_jump_ns: times that it was set back, or that more than a minute
        was without a packet.
    clock: of the sensor.
    shots: windows that begin with the packets at `places` of the topic.
    """

    def __init__(
        self,
        name: str,
        encoding: str,
        width: int,
        height: int,
        window_ns: int,
        places: Sequence[int],
    ):
        self.name = name
        self.encoding, self.width, self.height = encoding, width, height
        self.bytes = self.brighter = self.recorded_ns = 0
        self.clock = SensorClock(window_ns)
        self.shots = Shots(width, height, window_ns, places)
        self._decoder = EventDecoder(encoding, width, height)
        self._pixels = np.zeros(pixel_count(width, height), np.int64)
        self.recorded_jumps = self.largest_recorded_jump_ns = 0
        self._recorded: int | None = None  # when the last packet was
        # By slice of the recording's clock.
        self._packets: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        # By slice of sensor time.
        self._events: Counter[int] = Counter()
        self._brighter: Counter[int] = Counter()

    @property
    def counts(self) -> DecoderCounts:
        return self._decoder.counts

    def add(self, place: int, packet: EventPacket) -> None:
        """The packet at a place of the topic."""
        step_ns = 0 if self._recorded is None else packet.recorded - self._recorded
        self._recorded = packet.recorded
        if -BACK_NS <= step_ns <= QUIET_NS:
            self.recorded_ns += step_ns
        else:
            self.recorded_jumps += 1
            self.largest_recorded_jump_ns = max(self.largest_recorded_jump_ns, abs(step_ns))
        self.bytes += packet.payload.size
        self._packets[self.recorded_ns // RECORDING_SLICE_NS] += 1
        self._bytes[self.recorded_ns // RECORDING_SLICE_NS] += packet.payload.size
        events, _ = self._decoder.decode(packet.payload, packet.time_base, packet.seq)
        if not len(events):
            return
        elapsed = self.clock.advance(events['t'])
        self.shots.add(place, events, elapsed)
        np.add.at(self._pixels, events['y'].astype(np.intp) * self.width + events['x'], 1)
        self.brighter += np.count_nonzero(events['p'])
        slices = elapsed // SLICE_NS
        begins = np.flatnonzero(np.diff(slices, prepend=slices[0] - 1))
        brighter = np.add.reduceat(events['p'], begins, dtype=np.int64)
        lengths = np.diff(begins, append=len(events))
        for number, *counts in zip(slices[begins].tolist(), lengths.tolist(), brighter.tolist()):
            self._events[number] += counts[0]
            self._brighter[number] += counts[1]

    def event_rates(self) -> tuple[float, float]:
        """Events a second of sensor time, all in all and in the fullest slice; NaN where that is
        more than there is."""
        return (
            _rate(self.counts.events, self.clock.duration_ns),
            _peak(self._events, SLICE_NS, self.clock.duration_ns),
        )

    def packet_rates(self) -> tuple[float, float]:
        """Packets a second of the recording's clock, as `event_rates`."""
        return self._recorded_rates(self.counts.packets, self._packets)

    def byte_rates(self) -> tuple[float, float]:
        """Bytes a second of the recording's clock, as `event_rates`."""
        return self._recorded_rates(self.bytes, self._bytes)

    def hot_pixels(self) -> tuple[list[tuple[int, int, float]], float]:
        """Column, row and events a second of hot pixels, and their share of all events."""
        image = self._pixels.reshape(self.height, self.width)
        columns, rows = hot_pixels(image, self.clock.duration_ns).T
        counts = image[rows, columns]
        rates = (_rate(count, self.clock.duration_ns) for count in counts)
        return list(zip(columns, rows, rates)), counts.sum() / max(1, self.counts.events)

    def history(self) -> pictures.EventHistory:
        """For the picture: the rate slice by slice, or more of them together."""
        whole = self.clock.duration_ns // SLICE_NS  # the rest would look like a fall
        if whole:
            edges = np.arange(0, whole + 1, -(-whole // HISTORY_POINTS))
            counts = [
                np.histogram(list(slices), edges - 0.5, weights=list(slices.values()))[0]
                for slices in (self._events, self._brighter)
            ]
            edges_s = edges * SLICE_NS * 1e-9
        else:
            counts = [np.array([self.counts.events]), np.array([self.brighter])]
            edges_s = np.array([0, max(1, self.clock.duration_ns)]) * 1e-9
        rate_hz, brighter_hz = (count / np.diff(edges_s) for count in counts)
        title = (
            f'{self.name}: {self.encoding}, {self.width} x {self.height} pixels, '
            f'{self.counts.events:,} events'
        )
        return pictures.EventHistory(
            title, self.width, self.height, self.shots.finished(), edges_s, rate_hz, brighter_hz
        )

    def _recorded_rates(self, total: int, slices: Counter) -> tuple[float, float]:
        # Between so many packets there is one interval less.
        intervals = (self.counts.packets - 1) / self.counts.packets
        return (
            _rate(total * intervals, self.recorded_ns),
            _peak(slices, RECORDING_SLICE_NS, self.recorded_ns),
        )


class SensorClock:
    """Sensor time since the first event, which goes on where the sensor has started again.

    restart_ns: a larger step back is a new start, as is a step ahead of more than an hour.

    duration_ns: from the first event to the last.
    steps_back, largest_step_back_ns: from one event to the next.
    jumps_ahead, largest_jump_ahead_ns: the same, of more than an hour.
    """

    def __init__(self, restart_ns: int):
        self._restart_ns = restart_ns
        self._last = None
        self._elapsed = 0
        self.duration_ns = self.steps_back = self.largest_step_back_ns = 0
        self.jumps_ahead = self.largest_jump_ahead_ns = 0

    def advance(self, times: np.ndarray) -> np.ndarray:
        """Times of events as time since the first one, ns, (events,) int64."""
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        back = steps[steps < 0]
        if back.size:
            self.steps_back += back.size
            self.largest_step_back_ns = max(self.largest_step_back_ns, -int(back.min()))
            steps[steps < -self._restart_ns] = 0
        ahead = steps[steps > LONGEST_PAUSE_NS]
        if ahead.size:
            self.jumps_ahead += ahead.size
            self.largest_jump_ahead_ns = max(self.largest_jump_ahead_ns, int(ahead.max()))
            steps[steps > LONGEST_PAUSE_NS] = 0
        elapsed = self._elapsed + np.cumsum(steps)
        self._last, self._elapsed = times[-1], elapsed[-1]
        self.duration_ns = max(self.duration_ns, int(elapsed.max()))
        return elapsed


class Shots:
    """Pictures of windows that begin with the packets at `places`, or the next ones with events.

    A window that would begin in another one is skipped.
    """

    def __init__(self, width: int, height: int, window_ns: int, places: Sequence[int]):
        self._width, self._height = width, height
        self._window_ns = window_ns
        self._due = list(places)
        self._parts: list[np.ndarray] = []  # of the window that is open
        self._size = 0
        self._begin: int | None = None
        self._shots: list[pictures.EventShot] = []

    def add(self, place: int, events: np.ndarray, elapsed: np.ndarray) -> None:
        """The events of the packet at a place, with their time since the first of all, ns."""
        if self._begin is None:
            if not self._due or place < self._due[0]:
                return
            self._due = [due for due in self._due if due > place]
            self._begin = int(elapsed[0])
        outside = abs(elapsed - self._begin) >= self._window_ns
        is_over = outside.any()
        events = events[: outside.argmax()] if is_over else events
        self._parts.append(events[: MAX_EVENTS - self._size])
        self._size += len(self._parts[-1])
        if is_over:
            self._close(self._begin)

    def finished(self) -> list[pictures.EventShot]:
        """All of them; the last one ends where the recording ends."""
        if self._begin is not None:
            self._close(self._begin)
        return self._shots

    def _close(self, begin: int) -> None:
        # Pixels in blocks of the picture's size: a single event would fade away there.
        block = max(1, round(self._width / SHOT_PIXELS))
        events = joined(self._parts).copy()
        for axis in 'xy':
            events[axis] //= block
        window = Window(events, 0, self._window_ns, 0)
        image = window_picture(window, -(-self._width // block), -(-self._height // block))
        self._shots.append(pictures.EventShot(begin * 1e-9, image, block, len(events)))
        self._parts, self._size, self._begin = [], 0, None


def _advance(progress: Progress, task: TaskID, count: int) -> None:
    progress.update(task, completed=count)


def _rate(count: float, duration_ns: int) -> float:
    """A second; NaN in no time."""
    return count / (duration_ns * 1e-9) if duration_ns else math.nan


def _peak(slices: Counter, slice_ns: int, duration_ns: int) -> float:
    """The fullest slice, a second; NaN if all is shorter than one."""
    return _rate(max(slices.values()), slice_ns) if duration_ns >= slice_ns else math.nan


def _table(title: str, cameras: Sequence[Camera]) -> Table:
    table = Table(title=Text(title))
    table.add_column('topic')
    for camera in cameras:
        table.add_column(Text(camera.name))
    for cells in zip(*map(_rows, cameras)):
        table.add_row(cells[0][0], *(text for _, text in cells))
    return table


def _rows(camera: Camera) -> list[tuple[str, str]]:
    """What a figure is called, and the figure."""
    counts = camera.counts
    clock = camera.clock
    back = _steps(clock.steps_back, clock.largest_step_back_ns)
    ahead = _steps(clock.jumps_ahead, clock.largest_jump_ahead_ns)
    hot, share = camera.hot_pixels()
    named = [f'({x}, {y}): {rate:,.0f} events/s' for x, y, rate in hot[:NAMED_PIXELS]]
    return [
        ('encoding', camera.encoding),
        ('sensor', f'{camera.width} x {camera.height} pixels'),
        ('packets', f'{counts.packets:,}'),
        ('events', f'{counts.events:,}'),
        (
            'brighter ones',
            live_view.share(camera.brighter / counts.events if counts.events else math.nan),
        ),
        ('triggers', f'{counts.triggers:,}'),
        ('duration, sensor time', _duration(camera.clock.duration_ns)),
        ('duration, recording', _duration(camera.recorded_ns)),
        *_rates('events/s', SLICE_NS, camera.event_rates(), '{:,.0f}'.format),
        *_rates('packets/s', RECORDING_SLICE_NS, camera.packet_rates(), '{:,.1f}'.format),
        *_rates(
            'payload/s', RECORDING_SLICE_NS, camera.byte_rates(), lambda rate: decimal(round(rate))
        ),
        (
            'payload of an event',
            f'{camera.bytes / counts.events:.2f} bytes' if counts.events else '–',
        ),
        ('gaps in seq', f'{counts.gaps:,}, {counts.lost_packets:,} packets lost'),
        ('steps back in time', back),
        ('jumps ahead in time', ahead),
        ('jumps in recorded time', _steps(camera.recorded_jumps, camera.largest_recorded_jump_ns)),
        ('events outside the sensor', f'{counts.outside:,}'),
        ('unknown words or invalid events', f'{counts.invalid:,} of {counts.words:,}'),
        ('words before a time', f'{counts.untimed:,}'),
        ('events too many for a packet', f'{counts.excess:,}'),
        ('truncated packets', f'{counts.truncated:,}'),
        (
            'hot pixels',
            '\n'.join([f'{len(hot):,}, {share:.1%} of the events', *named]) if hot else 'none',
        ),
    ]


def _rates(
    name: str, slice_ns: int, rates: tuple[float, float], text: Callable[[float], str]
) -> list[tuple[str, str]]:
    cells = ['–' if math.isnan(rate) else text(rate) for rate in rates]
    return [(name, cells[0]), (f'  in the fullest {slice_ns // 1_000_000} ms', cells[1])]


def _steps(count: int, largest_ns: int) -> str:
    return f'{count:,}' + (f', {_duration(largest_ns)} at most' if count else '')


def _duration(duration_ns: int) -> str:
    if duration_ns < 100_000_000:
        return f'{duration_ns * 1e-3:,.0f} µs'
    return f'{duration_ns * 1e-9:,.3f} s'
