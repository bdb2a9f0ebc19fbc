"""Datasets as bags: what a robot would have recorded in front of a dataset's images."""

from __future__ import annotations

import heapq
import math
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    StoragePlugin,
    Writer,
    WriterError,
)
from rosbags.typesys.stores.ros2_jazzy import sensor_msgs__msg__BatteryState as BatteryState

from topspark_ros.control.budgets import Budget
from topspark_ros.control.ranges import RangeError
from topspark_ros.errors import TopsparkError
from topspark_ros.streams.datasets import Dataset, load_dataset
from topspark_ros.streams.events import EventCamera, Evt3Encoder
from topspark_ros.streams.events.simulation import MAX_INTERVAL_NS
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.scenes import show_images

from .definitions import typestore

if TYPE_CHECKING:
    from rosbags.typesys.store import Msg, Msgarg

START_NS = 1_735_689_600_000_000_000  # of every bag: 1 January 2025, so that it is the same again
_LONGEST_S = 2**31 - 2 - START_NS // 1_000_000_000
IMAGES = ('raw', 'compressed', 'none')
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
COMPRESSIONS = ('none', 'zstd')

_LABEL_DELAY_NS = 100_000  # from the frame to its label, less than from frame to frame
# Three lithium cells, as in many small robots.
_EMPTY_V, _FULL_V, _CAPACITY_AH = 9.9, 12.6, 1.8
_SECONDS_AN_HOUR = 3600.0
_NEVER = QosTime(9_223_372_036, 854_775_807)


class RecordingError(TopsparkError):
    """A recording that cannot be made: one line with the value and what is accepted."""


@dataclass(frozen=True)
class RecordingSettings:
    """What is recorded, and how. The bag follows from it to the last byte.

    dataset: as `load_dataset` takes it.
    frames: of the camera, 1 or more.
    rate_hz: of the frames, 0.1 to 240 Hz.
    frames_per_image: 1 to 10,000; as of `show_images`.
    label_share: share of the images whose label is recorded, 0..1.
    width, height: of a frame, 32 to 4096 pixels.
    seed: of the order, the scenes and the choice of labels.
    images: one of IMAGES: as sensor_msgs/Image, as sensor_msgs/CompressedImage (JPEG), or not.
    events: whether what an event camera in the place of the camera sees is recorded.
    battery_start, battery_end: state of charge at the beginning and at the end, 0..1, falling.
    budget: steps (time since the beginning in s, power in W or NaN: no limit), times rising.
    storage: one of STORAGES.
    compression: one of COMPRESSIONS; of the chunks in mcap, of each message in sqlite3.

    Raises RecordingError for a value that is not accepted.
    """

    dataset: str = 'digits'
    frames: int = 1000
    rate_hz: float = 20.0
    frames_per_image: int = 1
    label_share: float = 0.5
    width: int = 320
    height: int = 240
    seed: int = 0
    images: str = 'raw'
    events: bool = False
    battery_start: float = 0.9
    battery_end: float = 0.6
    budget: tuple[tuple[float, float], ...] = ()
    storage: str = 'mcap'
    compression: str = 'none'

    def __post_init__(self) -> None:
        for name, low, high in (
            ('frames', 1, 2**31 - 1),
            ('rate_hz', 0.1, 240),
            ('frames_per_image', 1, 10_000),
            ('label_share', 0, 1),
            ('width', 32, 4096),
            ('height', 32, 4096),
            ('seed', 0, 2**31 - 1),
            ('battery_start', 0, 1),
            ('battery_end', 0, self.battery_start),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise RecordingError(f'{name} is {value}, accepted is {low} to {high}')
        for name, accepted in (
            ('images', IMAGES),
            ('storage', tuple(STORAGES)),
            ('compression', COMPRESSIONS),
        ):
            value = getattr(self, name)
            if value not in accepted:
                raise RecordingError(
                    f'{name} is {value!r}, accepted is one of {", ".join(accepted)}'
                )
        if self.images == 'none' and not self.events:
            raise RecordingError(
                "images is 'none' and events is False, accepted is one of them, or both"
            )
        slowest_hz = 1e9 / MAX_INTERVAL_NS
        if self.events and self.rate_hz < slowest_hz:
            raise RecordingError(
                f'rate_hz is {self.rate_hz}, accepted is {slowest_hz:g} or more with events'
            )
        if self.duration_s > _LONGEST_S:
            raise RecordingError(
                f'frames / rate_hz is {self.duration_s:g} s, accepted is up to '
                f'{_LONGEST_S} s, until which stamps can count'
            )
        times = [time_s for time_s, _ in self.budget]
        rises = all(earlier < later for earlier, later in zip(times, [*times[1:], self.duration_s]))
        if times and not (times[0] >= 0 and rises):
            raise RecordingError(
                f'budget has steps at {", ".join(map("{:g}".format, times))} s, '
                f'accepted is 0 to below the end at {self.duration_s:g} s, rising'
            )
        try:
            for _, power_w in self.budget:
                Budget(power_w=power_w)
        except RangeError as error:
            raise RecordingError(f'budget: {error}') from None

    @property
    def duration_s(self) -> float:
        return self.frames / self.rate_hz


class RecordedTopic(NamedTuple):
    """What was written of a topic. size: of its messages before compression, bytes."""

    name: str
    type: str
    messages: int
    size: int


def record(
    path: str | Path,
    settings: RecordingSettings,
    advance: Callable[[], object] = lambda: None,
) -> list[RecordedTopic]:
    """Write a bag, and say what it holds.

    Frames come at their exact times and are recorded at their stamp; the label of an image names
    the time of the frames that show it, and is recorded just after the last one. Events are those
    since the frame before, in a packet with its frame's stamp. The battery tells its state once a
    second, and each step of the budget is recorded when it begins.

    path: of the bag's folder, which must not exist.
    advance: called after each frame.

    Raises RecordingError for a path that exists or cannot be written, DatasetError for the
    dataset and EventError for frames that are too large for events. What was written until an
    error came stays.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise RecordingError(f'{path} exists, accepted is the name of a new bag')
    camera = _Camera(load_dataset(settings.dataset, photographs=True), settings, advance)
    # Of messages at the same time those of the first come first.
    messages = heapq.merge(
        _budgets(settings),
        _battery_states(settings),
        camera.record(),
        key=lambda message: message.time_ns,
    )
    try:
        writer = Writer(
            path, version=Writer.VERSION_LATEST, storage_plugin=STORAGES[settings.storage]
        )
        if settings.compression == 'zstd':
            # Of the mcap format itself where there is such a thing: every reader of it knows that.
            writer.set_compression(
                CompressionMode.STORAGE if settings.storage == 'mcap' else CompressionMode.MESSAGE,
                CompressionFormat.ZSTD,
            )
        for name, value in asdict(settings).items():
            writer.set_custom_data(name, str(value))
        with writer:
            return _write(writer, messages)
    except (OSError, WriterError, sqlite3.Error) as error:
        reason = getattr(error, 'strerror', None) or error
        raise RecordingError(
            f'{path}: {reason}, accepted is the name of a new bag in a folder '
            'that can be written and has room'
        ) from None


def _qos(depth: int, *, reliable: bool, latched: bool = False) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_NEVER,
        lifespan=_NEVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_NEVER,
        avoid_ros_namespace_conventions=False,
    )


class Topic(NamedTuple):
    """A topic with its type and what its publisher offers: as the nodes do."""

    name: str
    type: str
    qos: Qos


IMAGE = Topic('/image', 'sensor_msgs/msg/Image', _qos(10, reliable=False))
COMPRESSED = Topic('/image/compressed', 'sensor_msgs/msg/CompressedImage', _qos(10, reliable=False))
EVENTS = Topic('/events', 'event_camera_msgs/msg/EventPacket', _qos(1000, reliable=False))
LABEL = Topic('/label', 'topspark_ros/msg/Label', _qos(100, reliable=True))
BATTERY = Topic('/battery_state', 'sensor_msgs/msg/BatteryState', _qos(10, reliable=True))
BUDGET = Topic(
    '/power_budget', 'topspark_ros/msg/PowerBudget', _qos(1, reliable=True, latched=True)
)


class _Message(NamedTuple):
    """time_ns: of the recording. fields: of the message but its header."""

    time_ns: int
    stamp_ns: int
    topic: Topic
    frame_id: str
    fields: dict[str, Msgarg]


def _write(writer: Writer, messages: Iterator[_Message]) -> list[RecordedTopic]:
    store = typestore()
    header = store.types['std_msgs/msg/Header']
    connections: dict[Topic, Connection] = {}
    counts: Counter[Topic] = Counter()
    sizes: Counter[Topic] = Counter()
    for message in messages:
        topic = message.topic
        if topic not in connections:
            connections[topic] = writer.add_connection(
                topic.name, topic.type, typestore=store, offered_qos_profiles=[topic.qos]
            )
        data = store.serialize_cdr(
            store.types[topic.type](
                header=header(stamp=_time(message.stamp_ns), frame_id=message.frame_id),
                **message.fields,
            ),
            topic.type,
        )
        writer.write(connections[topic], message.time_ns, data)
        counts[topic] += 1
        sizes[topic] += len(data)
    return [
        RecordedTopic(topic.name, topic.type, counts[topic], sizes[topic])
        for topic in sorted(connections)
    ]


def _time(nanoseconds: int) -> Msg:
    """builtin_interfaces/Time."""
    return typestore().types['builtin_interfaces/msg/Time'](*divmod(nanoseconds, 1_000_000_000))


class _Camera:
    """A camera, and an event camera in its place, in front of a dataset."""

    def __init__(
        self, dataset: Dataset, settings: RecordingSettings, advance: Callable[[], object]
    ):
        self._dataset = dataset
        self._settings = settings
        self._advance = advance
        if settings.events:
            self._events = EventCamera(settings.width, settings.height)
            self._encoder = Evt3Encoder(settings.width, settings.height)

    def record(self) -> Iterator[_Message]:
        s = self._settings
        views = show_images(
            self._dataset.images, s.height, s.width, s.frames_per_image, s.label_share, s.seed
        )
        for number, view in zip(range(s.frames), views):
            stamp_ns = _time_ns(number / s.rate_hz)
            for topic, fields in self._seen(number, view.frame, stamp_ns):
                yield _Message(stamp_ns, stamp_ns, topic, 'camera', fields)
            if view.number == 0:
                since_ns = stamp_ns
            if view.labelled:
                yield _Message(
                    stamp_ns + _LABEL_DELAY_NS,
                    since_ns,
                    LABEL,
                    'camera',
                    {
                        'class_id': self._dataset.class_names[self._dataset.labels[view.index]],
                        'until': _time(stamp_ns if view.number else 0),
                    },
                )
            self._advance()

    def _seen(
        self, number: int, frame: np.ndarray, stamp_ns: int
    ) -> Iterator[tuple[Topic, dict[str, Msgarg]]]:
        """Topics and fields of what a frame is recorded as."""
        height, width, channels = frame.shape
        if self._settings.images == 'raw':
            yield (
                IMAGE,
                {
                    'height': height,
                    'width': width,
                    'encoding': 'bgr8',
                    'is_bigendian': 0,
                    'step': channels * width,
                    'data': frame.reshape(-1),
                },
            )
        elif self._settings.images == 'compressed':
            _, jpeg = cv2.imencode('.jpg', frame)
            yield COMPRESSED, {'format': 'bgr8; jpeg compressed bgr8', 'data': jpeg}
        if self._settings.events:
            gray = RawImage.of(frame, 'bgr').gray()
            payload = self._encoder.encode(self._events.observe(gray, stamp_ns))
            yield (
                EVENTS,
                {
                    'height': height,
                    'width': width,
                    'seq': number,
                    'time_base': 0,
                    'encoding': 'evt3',
                    'is_bigendian': False,
                    'events': np.frombuffer(payload, np.uint8),
                },
            )


def _battery_states(settings: RecordingSettings) -> Iterator[_Message]:
    """A battery that falls evenly; its current is what that takes of its capacity."""
    fall = settings.battery_start - settings.battery_end
    current_a = -fall * _CAPACITY_AH * _SECONDS_AN_HOUR / settings.duration_s
    for second in range(math.ceil(settings.duration_s)):
        state_of_charge = settings.battery_start - fall * second / settings.duration_s
        time_ns = _time_ns(second)
        yield _Message(
            time_ns,
            time_ns,
            BATTERY,
            '',
            {
                'voltage': _EMPTY_V + state_of_charge * (_FULL_V - _EMPTY_V),
                'temperature': math.nan,
                'current': current_a,
                'charge': state_of_charge * _CAPACITY_AH,
                'capacity': _CAPACITY_AH,
                'design_capacity': _CAPACITY_AH,
                'percentage': state_of_charge,
                'power_supply_status': BatteryState.POWER_SUPPLY_STATUS_DISCHARGING,
                'power_supply_health': BatteryState.POWER_SUPPLY_HEALTH_GOOD,
                'power_supply_technology': BatteryState.POWER_SUPPLY_TECHNOLOGY_LION,
                'present': True,
                'cell_voltage': np.empty(0, np.float32),
                'cell_temperature': np.empty(0, np.float32),
                'location': '',
                'serial_number': '',
            },
        )


def _budgets(settings: RecordingSettings) -> Iterator[_Message]:
    for time_s, power_w in settings.budget:
        time_ns = _time_ns(time_s)
        yield _Message(
            time_ns,
            time_ns,
            BUDGET,
            '',
            {
                'source': 'operator',
                'power': power_w,
                'energy': math.nan,
                'duration': math.nan,
                'deadline': math.nan,
                'min_accuracy': math.nan,
                'lifetime': math.nan,
            },
        )


def _time_ns(time_s: float) -> int:
    return START_NS + round(time_s * 1e9)
