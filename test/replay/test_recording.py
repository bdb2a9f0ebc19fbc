"""Bags of datasets: what is read back is what was shown, and ROS can play it."""

from __future__ import annotations

import importlib
import math
from collections import defaultdict
from itertools import islice

import cv2
import numpy as np
import pytest
import yaml
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from topspark_ros.replay.recording import (
    BATTERY,
    BUDGET,
    COMPRESSED,
    EVENTS,
    IMAGE,
    LABEL,
    START_NS,
    RecordingError,
    RecordingSettings,
    record,
)
from topspark_ros.streams.datasets import DatasetError, load_dataset
from topspark_ros.streams.event_bags import read_packets
from topspark_ros.streams.events import EventCamera, EventDecoder, EventError
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import SceneRenderer, show_images

SMALL = dict(frames=24, rate_hz=10.0, width=48, height=36)
STEPS = ((0.0, math.nan), (0.5, 4e-5), (2.0, 2e-5))


def read(bag):
    """Messages by topic: (recorded ns, message), by the definitions in the bag."""
    store = get_typestore(Stores.EMPTY)
    messages = defaultdict(list)
    with Reader(bag) as reader:
        for connection in reader.connections:
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        last_ns = 0
        for connection, recorded_ns, data in reader.messages():
            assert recorded_ns >= last_ns
            last_ns = recorded_ns
            messages[connection.topic].append(
                (recorded_ns, store.deserialize_cdr(data, connection.msgtype))
            )
    return messages


def stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def views(settings):
    """The frames that are to be seen."""
    dataset = load_dataset(settings.dataset)
    shown = show_images(
        dataset.images,
        settings.height,
        settings.width,
        settings.frames_per_image,
        settings.label_share,
        settings.seed,
    )
    return dataset, list(islice(shown, settings.frames))


def test_every_image_is_shown_once_before_any_again():
    images = load_dataset('digits').images[:20]
    shown = list(islice(show_images(images, 120, 160, 3, 0.5, seed=4), 120))
    turns = [view.index for view in shown[::3]]
    assert [view.index for view in shown] == np.repeat(turns, 3).tolist()
    assert sorted(turns[:20]) == sorted(turns[20:]) == list(range(20)) and turns[:20] != turns[20:]
    # With the last frame the label is given, of some.
    labelled = [number for number, view in enumerate(shown) if view.labelled]
    assert {shown[number].number for number in labelled} == {2} and 8 < len(labelled) < 32

    def seen(frame):
        found = centre_object(RawImage.of(frame, 'bgr').gray())
        return found / np.linalg.norm(found)

    scenes = SceneRenderer(images, 120, 160, seed=9)
    rendered = np.array([seen(scenes.render(index)) for index in range(20)])
    assert [(rendered @ seen(view.frame)).argmax() for view in shown[::3]] == turns


def test_photographs_of_a_folder_are_recorded_in_colour(tmp_path):
    for name, bgr in (('leaf', (60, 130, 60)), ('plum', (150, 60, 150))):
        (tmp_path / name).mkdir()
        for index in range(2):
            cv2.imwrite(str(tmp_path / name / f'{index}.png'), np.full((32, 32, 3), bgr, np.uint8))
    settings = RecordingSettings(
        **SMALL | dict(dataset=str(tmp_path), frames=4, label_share=1.0, frames_per_image=1)
    )
    record(tmp_path / 'bag', settings)
    messages = read(tmp_path / 'bag')
    shown = [message.data.reshape(-1, 3)[0].tolist() for _, message in messages['/image']]
    names = [message.class_id for _, message in messages['/label']]
    assert sorted(names) == ['leaf', 'leaf', 'plum', 'plum']
    colours = {'leaf': [60, 130, 60], 'plum': [150, 60, 150]}
    assert shown == [colours[name] for name in names]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', ['none', 'zstd'])
def test_images_and_labels_are_those_of_the_dataset(tmp_path, storage, compression):
    settings = RecordingSettings(**SMALL, seed=3, storage=storage, compression=compression)
    calls = []
    topics = record(tmp_path / 'bag', settings, lambda: calls.append(None))
    messages = read(tmp_path / 'bag')
    assert len(calls) == settings.frames
    assert {topic.name: topic.messages for topic in topics} == {
        name: len(items) for name, items in messages.items()
    }

    dataset, expected = views(settings)
    images = messages[IMAGE.name]
    assert len(images) == settings.frames
    for number, ((recorded_ns, image), view) in enumerate(zip(images, expected)):
        assert recorded_ns == stamp_ns(image) == START_NS + number * 10**8
        assert (image.height, image.width, image.encoding, image.step) == (36, 48, 'bgr8', 144)
        assert image.header.frame_id == 'camera'
        np.testing.assert_array_equal(image.data.reshape(36, 48, 3), view.frame)
    labelled = [
        (START_NS + number * 10**8, dataset.class_names[dataset.labels[view.index]])
        for number, view in enumerate(expected)
        if view.labelled
    ]
    assert 0 < len(labelled) < settings.frames
    assert [(stamp_ns(label), label.class_id) for _, label in messages[LABEL.name]] == labelled
    for recorded_ns, label in messages[LABEL.name]:
        assert 0 < recorded_ns - stamp_ns(label) < 10**6
    size = sum(image.data.size for _, image in images)
    (topic,) = (topic for topic in topics if topic.name == IMAGE.name)
    assert size < topic.size < size + 200 * settings.frames


def test_the_same_settings_give_the_same_bytes(tmp_path):
    def files(name, **settings):
        bag = tmp_path / name / 'bag'
        record(bag, RecordingSettings(**SMALL, **settings))
        return {file.name: file.read_bytes() for file in bag.iterdir()}

    for number, settings in enumerate(
        (dict(budget=STEPS, events=True, compression='zstd'), dict(storage='sqlite3'))
    ):
        assert files(f'{number}', **settings) == files(f'{number} again', **settings)
    assert files('first', seed=1)['bag.mcap'] != files('second', seed=2)['bag.mcap']


def test_compressed_images(tmp_path):
    settings = RecordingSettings(**SMALL, images='compressed')
    record(tmp_path / 'bag', settings)
    messages = read(tmp_path / 'bag')
    assert IMAGE.name not in messages
    _, expected = views(settings)
    for (_, image), view in zip(messages[COMPRESSED.name], expected, strict=True):
        assert image.format == 'bgr8; jpeg compressed bgr8'
        seen = cv2.imdecode(image.data, cv2.IMREAD_COLOR)
        assert np.abs(seen.astype(int) - view.frame).mean() < 6


def test_events_are_those_that_the_simulator_makes(tmp_path):
    settings = RecordingSettings(**SMALL, frames_per_image=8, images='none', events=True)
    record(tmp_path / 'bag', settings)
    messages = read(tmp_path / 'bag')
    assert IMAGE.name not in messages and len(messages[LABEL.name]) in range(1, 4)
    packets = list(read_packets(tmp_path / 'bag'))
    assert [packet.seq for packet in packets] == list(range(settings.frames))

    camera, decoder = EventCamera(48, 36), EventDecoder('evt3', 48, 36)
    made, decoded = [], []
    for number, (packet, view) in enumerate(zip(packets, views(settings)[1], strict=True)):
        t_ns = START_NS + number * 10**8
        assert packet.recorded == t_ns
        made.append(camera.observe(RawImage.of(view.frame, 'bgr').gray(), t_ns))
        decoded.append(decoder.decode(packet.payload, packet.time_base, packet.seq)[0])
    assert [len(events) for events in decoded] == [len(events) for events in made]
    made, decoded = np.concatenate(made), np.concatenate(decoded)
    assert len(made) > 1000 and decoder.counts.gaps == decoder.counts.invalid == 0
    np.testing.assert_array_equal(decoded[['x', 'y', 'p']], made[['x', 'y', 'p']])
    # In microseconds, but for the wraps of its clock before the first event.
    times_us = made['t'] // 1000
    first_us = times_us[0] - times_us[0] % 2**24
    np.testing.assert_array_equal(decoded['t'] // 1000, times_us - first_us)


def test_battery_and_budget(tmp_path):
    settings = RecordingSettings(**SMALL, budget=STEPS, battery_start=0.8, battery_end=0.5)
    record(tmp_path / 'bag', settings)
    messages = read(tmp_path / 'bag')

    states = messages[BATTERY.name]
    assert [recorded_ns - START_NS for recorded_ns, _ in states] == [0, 10**9, 2 * 10**9]
    for second, (recorded_ns, state) in enumerate(states):
        assert stamp_ns(state) == recorded_ns and state.present
        assert state.percentage == pytest.approx(0.8 - 0.3 * second / 2.4)
        assert state.charge == pytest.approx(state.percentage * state.capacity)
        assert state.power_supply_status == state.POWER_SUPPLY_STATUS_DISCHARGING
    voltages = [state.voltage for _, state in states]
    assert voltages == sorted(voltages, reverse=True) and 9 < min(voltages) < max(voltages) < 13
    fallen_ah = states[0][1].charge - states[-1][1].charge
    assert -states[0][1].current * 2 / 3600 == pytest.approx(fallen_ah, rel=1e-4)

    budgets = messages[BUDGET.name]
    assert [recorded_ns - START_NS for recorded_ns, _ in budgets] == [0, 5 * 10**8, 2 * 10**9]
    assert [stamp_ns(budget) for _, budget in budgets] == [time_ns for time_ns, _ in budgets]
    np.testing.assert_equal([budget.power for _, budget in budgets], [math.nan, 4e-5, 2e-5])
    for name in ('energy', 'duration', 'deadline', 'min_accuracy', 'lifetime'):
        assert all(math.isnan(getattr(budget, name)) for _, budget in budgets)


def test_topics_are_offered_as_the_nodes_do(tmp_path):
    qos = pytest.importorskip('topspark_ros.nodes.qos')
    nodes = {
        IMAGE: qos.sensor(10),
        EVENTS: qos.EVENTS,
        LABEL: qos.LABEL,
        BATTERY: qos.STATUS,
        BUDGET: qos.STATE,
    }
    record(tmp_path / 'bag', RecordingSettings(**SMALL, events=True, budget=STEPS))
    with Reader(tmp_path / 'bag') as reader:
        connections = list(reader.connections)
    assert {connection.topic for connection in connections} == {topic.name for topic in nodes}
    for connection in connections:
        (offered,) = connection.ext.offered_qos_profiles
        (node,) = (profile for topic, profile in nodes.items() if topic.name == connection.topic)
        assert offered.reliability.name == node.reliability.name
        assert offered.durability.name == node.durability.name
        assert (offered.history.name, offered.depth) == (node.history.name, node.depth)


def test_only_the_budget_is_latched():
    latched = [
        topic
        for topic in (IMAGE, COMPRESSED, EVENTS, LABEL, BATTERY, BUDGET)
        if topic.qos.durability == QosDurability.TRANSIENT_LOCAL
    ]
    assert latched == [BUDGET]
    assert IMAGE.qos.reliability == EVENTS.qos.reliability == QosReliability.BEST_EFFORT


@pytest.mark.parametrize(
    'storage, compression, file, fields',
    [
        ('mcap', 'zstd', 'bag.mcap', ('', '')),
        ('sqlite3', 'zstd', 'bag.db3', ('zstd', 'message')),
    ],
)
def test_metadata_as_rosbag2_of_jazzy_reads_it(tmp_path, storage, compression, file, fields):
    settings = RecordingSettings(**SMALL, storage=storage, compression=compression, seed=5)
    topics = record(tmp_path / 'bag', settings)
    with open(tmp_path / 'bag' / 'metadata.yaml', encoding='utf-8') as text:
        bag = yaml.safe_load(text)['rosbag2_bagfile_information']
    assert bag['version'] == 9 and bag['storage_identifier'] == storage
    assert bag['relative_file_paths'] == [entry['path'] for entry in bag['files']] == [file]
    assert (bag['compression_format'], bag['compression_mode']) == fields
    assert bag['starting_time'] == {'nanoseconds_since_epoch': START_NS}
    assert bag['duration']['nanoseconds'] == 2_300_000_000 + (
        100_000 if views(settings)[1][-1].labelled else 0
    )
    assert bag['message_count'] == sum(topic.messages for topic in topics)
    for entry in bag['topics_with_message_count']:
        told = entry['topic_metadata']
        assert told['type_description_hash'].startswith('RIHS01_')
        assert told['serialization_format'] == 'cdr'
        (offered,) = told['offered_qos_profiles']
        assert offered['reliability'] in ('reliable', 'best_effort')
        assert offered['deadline'] == {'sec': 9223372036, 'nsec': 854775807}
    assert bag['custom_data']['seed'] == '5' and bag['custom_data']['dataset'] == 'digits'


def test_ros_reads_the_messages(tmp_path):
    serialization = pytest.importorskip('rclpy.serialization')
    record(tmp_path / 'bag', RecordingSettings(**SMALL, events=True, budget=STEPS))
    kinds = set()
    with Reader(tmp_path / 'bag') as reader:
        for connection, _, data in reader.messages():
            package, _, name = connection.msgtype.split('/')
            kind = getattr(importlib.import_module(f'{package}.msg'), name)
            assert stamp_ns(serialization.deserialize_message(bytes(data), kind)) >= START_NS
            kinds.add(kind)
    assert len(kinds) == 5


def test_a_path_that_exists_stays_as_it_is(tmp_path):
    settings = RecordingSettings(**SMALL)
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'folder').mkdir()
    for path in (tmp_path / 'file', tmp_path / 'folder'):
        with pytest.raises(RecordingError) as error:
            record(path, settings)
        assert str(error.value) == f'{path} exists, accepted is the name of a new bag'
    assert (tmp_path / 'file').read_text() == 'mine' and not any((tmp_path / 'folder').iterdir())
    with pytest.raises(RecordingError, match='file/bag: Not a directory, accepted is the name of'):
        record(tmp_path / 'file' / 'bag', settings)


def test_what_cannot_be_recorded_leaves_nothing(tmp_path):
    for fields, error in (
        (dict(dataset='letters'), DatasetError),
        (dict(events=True, width=4096), EventError),
    ):
        with pytest.raises(error):
            record(tmp_path / 'bag', RecordingSettings(**{**SMALL, **fields}))
        assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize(
    'fields, complaint',
    [
        (dict(frames=0), 'frames is 0, accepted is 1 to 2147483647'),
        (
            dict(frames=2**31 - 1, rate_hz=1.0),
            'frames / rate_hz is 2.14748e+09 s, accepted is up to '
            '411794046 s, until which stamps can count',
        ),
        (dict(rate_hz=math.nan), 'rate_hz is nan, accepted is 0.1 to 240'),
        (dict(width=31), 'width is 31, accepted is 32 to 4096'),
        (dict(label_share=1.1), 'label_share is 1.1, accepted is 0 to 1'),
        (dict(battery_start=0.5, battery_end=0.7), 'battery_end is 0.7, accepted is 0 to 0.5'),
        (dict(images='png'), "images is 'png', accepted is one of raw, compressed, none"),
        (dict(storage='rosbag1'), "storage is 'rosbag1', accepted is one of mcap, sqlite3"),
        (dict(compression='lz4'), "compression is 'lz4', accepted is one of none, zstd"),
        (
            dict(images='none'),
            "images is 'none' and events is False, accepted is one of them, or both",
        ),
        (dict(events=True, rate_hz=0.5), 'rate_hz is 0.5, accepted is 1 or more with events'),
        (
            dict(budget=((0, 1.0), (50, 2.0))),
            'budget has steps at 0, 50 s, accepted is 0 to below the end at 50 s, rising',
        ),
        (
            dict(budget=((1, 1.0), (1, 2.0))),
            'budget has steps at 1, 1 s, accepted is 0 to below the end at 50 s, rising',
        ),
        (
            dict(budget=((math.nan, 1.0),)),
            'budget has steps at nan s, accepted is 0 to below the end at 50 s, rising',
        ),
        (
            dict(budget=((0, -1.0),)),
            'budget: power_w is -1.0, accepted is a finite number from 0, or NaN for no limit',
        ),
    ],
)
def test_settings_that_are_rejected(fields, complaint):
    with pytest.raises(RecordingError) as error:
        RecordingSettings(**fields)
    assert str(error.value) == complaint
