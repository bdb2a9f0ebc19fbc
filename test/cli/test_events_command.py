"""`topspark events`: the table says what a bag holds, the picture is drawn, each bad bag a line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from topspark_ros.cli import pictures
from topspark_ros.cli.main import main
from topspark_ros.streams import event_bags
from topspark_ros.streams.event_bags import EVENT_TYPES

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDINGS = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events'
EXPECTED = {}
if (RECORDINGS / 'expected.json').is_file():
    EXPECTED = json.loads((RECORDINGS / 'expected.json').read_text())['bags']

MS = 1_000_000  # ns
TOPIC = '/camera/events'
MONO = 'mono', 32, 24


@pytest.fixture
def events(monkeypatch, capsys, tmp_path):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(
            sys,
            'argv',
            ['topspark', 'events', '--output', str(tmp_path / 'picture.png'), *map(str, arguments)],
        )
        return main(), *capsys.readouterr()

    monkeypatch.setenv('COLUMNS', '120')
    return run


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn, without drawing it, which takes a second."""
    calls = []
    monkeypatch.setattr(pictures, 'draw_events', lambda _, histories, *__: calls.append(histories))
    return calls


def table(printed: str) -> dict[str, list[str]]:
    """The rows; a value of several lines is one."""
    rows, name = {}, None
    for line in printed.splitlines():
        if not line.startswith(('│', '┃')):
            continue
        first, *cells = (cell.strip() for cell in line.strip('│┃').replace('┃', '│').split('│'))
        if first:
            # Peaks stand below what they belong to.
            name = f'{name}, peak' if first.startswith('in the fullest') else first
            rows[name] = cells
        else:
            rows[name] = ['\n'.join(pair) for pair in zip(rows[name], cells)]
    return rows


def mono(*events) -> bytes:
    """A payload with events (dt in ns, x, y, p)."""
    return np.array(
        [dt | x << 32 | y << 48 | p << 63 for dt, x, y, p in events], np.uint64
    ).tobytes()


def write_bag(path, *topics):
    """A bag with topics (name, packets); packets are (time of recording, seq, time base, payload)
    and, unless they are MONO, encoding, width and height."""
    store = event_bags._typestore()
    header = store.types['std_msgs/msg/Header'](
        stamp=store.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0), frame_id=''
    )
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for name, packets in topics:
            connection = writer.add_connection(name, EVENT_TYPES[0], typestore=store)
            for recorded, seq, time_base, payload, *camera in packets:
                encoding, width, height = camera or MONO
                message = store.types[EVENT_TYPES[0]](
                    header=header,
                    height=height,
                    width=width,
                    seq=seq,
                    time_base=time_base,
                    encoding=encoding,
                    is_bigendian=False,
                    events=np.frombuffer(payload, np.uint8),
                )
                writer.write(connection, recorded, store.serialize_cdr(message, EVENT_TYPES[0]))
    return path


@pytest.mark.parametrize(
    'name',
    sorted(EXPECTED)
    or [
        pytest.param(
            None, marks=pytest.mark.skip(reason=f'no recordings in {RECORDINGS}: set TOPSPARK_DATA')
        )
    ],
)
def test_real_bags(events, tmp_path, name):
    expected = EXPECTED[name]
    code, printed, _ = events(RECORDINGS / name)
    rows = table(printed)
    assert code == 0 and rows['topic'] == [expected['topic']]
    cd = expected['cd']
    assert rows['encoding'] == [expected['encoding']]
    assert rows['sensor'] == [f'{expected["width"]} x {expected["height"]} pixels']
    assert rows['packets'] == [f'{expected["messages"]:,}']
    assert rows['events'] == [f'{cd["count"]:,}']
    assert rows['brighter ones'] == [f'{cd["on"] / cd["count"]:.1%}']
    assert rows['triggers'] == [f'{expected["trigger"]["count"]}']
    assert rows['payload of an event'] == [f'{expected["payload_bytes"] / cd["count"]:.2f} bytes']
    sensor_s = (cd['last_t_ns'] - cd['first_t_ns']) * 1e-9
    recorded_s = expected['duration_ns'] * 1e-9
    assert rows['events/s'] == [f'{cd["count"] / sensor_s:,.0f}']
    assert rows['packets/s'] == [f'{(expected["messages"] - 1) / recorded_s:,.1f}']
    if sensor_s > 0.1:
        assert rows['duration, sensor time'] == [f'{sensor_s:.3f} s']
        assert rows['duration, recording'] == [f'{recorded_s:.3f} s']
        peak = float(rows['events/s, peak'][0].replace(',', ''))
        assert cd['count'] / sensor_s < peak < 3 * cd['count'] / sensor_s
    assert rows['gaps in seq'] == ['0, 0 packets lost'] and rows['steps back in time'] == ['0']
    if name == 'libcaer_first_half':
        assert rows['hot pixels'][0].splitlines()[1] == '(639, 478): 5,124 events/s'
    assert (tmp_path / 'picture.png').read_bytes().startswith(b'\x89PNG')
    assert f'{tmp_path / "picture.png"} written' in printed


def test_rates_gaps_steps_back_and_discards(events, drawn, tmp_path):
    def packet(index, *events, **other):
        fields = dict(recorded=index * 10 * MS, seq=index, time_base=10**9 + index * 10 * MS)
        return (*{**fields, **other}.values(), mono(*events))

    steady = [(dt * MS, dt, 1, dt % 2) for dt in range(10)]  # 10 events in 10 ms
    hot = [(dt * 100_000, 5, 5, 1) for dt in range(100)]
    packets = [packet(index, *steady) for index in range(20)]
    packets[3] = packet(3, *hot)  # the fullest slice
    packets[5] = packet(5, (0, 40, 1, 0), (1, 1, 40, 0))  # outside
    packets[7] = (*packets[7][:3], packets[7][3] + b'123')  # truncated
    packets[8] = packet(8, (5 * MS, 1, 1, 1), (2 * MS, 1, 1, 1))  # 3 ms back
    # Three are lost, and the sensor has started again a second back; its time then goes on.
    packets[10:] = [
        packet(index, *steady, seq=index + 3, time_base=index * 10 * MS) for index in range(10, 20)
    ]
    bag = write_bag(tmp_path / 'bag', (TOPIC, packets))

    code, printed, _ = events(bag, '--window', 0.02)
    rows = table(printed)
    assert code == 0 and rows['topic'] == [TOPIC]
    count = 17 * 10 + 100 + 2
    assert rows['events'] == [f'{count}'] and rows['packets'] == ['20']
    assert rows['brighter ones'] == [f'{(17 * 5 + 100 + 2) / count:.1%}']
    # From 0 to 99 ms, and again from 0 to 99 ms.
    assert rows['duration, sensor time'] == ['0.198 s']
    assert rows['duration, recording'] == ['0.190 s']
    assert rows['events/s'] == [f'{count / 0.198:,.0f}'] and rows['events/s, peak'] == ['10,000']
    assert rows['packets/s'] == ['100.0'] and rows['packets/s, peak'] == ['100.0']
    assert rows['payload/s, peak'] == [f'{(8 * 172 + 8 * 2 + 3) / 100:,.1f} kB']
    assert rows['gaps in seq'] == ['1, 3 packets lost']
    assert rows['steps back in time'] == ['2, 0.999 s at most']
    assert rows['events outside the sensor'] == ['2'] and rows['truncated packets'] == ['1']
    assert rows['hot pixels'] == [
        f'1, {100 / count:.1%} of the events\n(5, 5): {100 / 0.198:,.0f} events/s'
    ]

    ((history,),) = drawn
    assert history.rate_hz[:9] == pytest.approx(
        [1000, 1000, 1000, 10_000, 1000, 0, 1000, 1000, 200]
    )
    assert history.edges_s == pytest.approx(np.arange(20) * 0.01)
    assert history.brighter_hz[[3, 0]] == pytest.approx([10_000, 500])
    # The second one begins with the next event, because its packet has none.
    assert [shot.begin_s for shot in history.shots] == pytest.approx([0, 0.06, 0.099, 0.149])
    assert [shot.events for shot in history.shots] == [20, 20, 20, 20]
    assert history.shots[0].image.shape == (24, 32, 3)
    assert np.count_nonzero((history.shots[0].image != 255).any(axis=2)) == 10


def test_all_topics_or_one(events, drawn, tmp_path):
    half = [(index * MS, index, index * MS, mono((0, 1, 1, 1))) for index in range(5)]
    bag = write_bag(
        tmp_path / 'bag',
        ('/left', half),
        ('/silent', []),
        ('/right', [(*packet, 'mono', 640, 480) for packet in half[:3]]),
    )
    code, printed, _ = events(bag)
    rows = table(printed)
    assert code == 0 and rows['topic'] == ['/left', '/right']
    assert rows['packets'] == ['5', '3'] and rows['sensor'] == [
        '32 x 24 pixels',
        '640 x 480 pixels',
    ]
    assert '/silent: no packets\n' in printed
    assert [history.title.split(':')[0] for history in drawn[0]] == ['/left', '/right']
    assert table(events(bag, '--topic', '/right')[1])['packets'] == ['3']
    code, _, complaint = events(bag, '--topic', '/silent')
    assert code == 2 and complaint == (
        f'topspark events: {bag}: 0 packets in /silent, accepted is 1 or more\n'
    )


def test_packets_without_events(events, tmp_path):
    bag = write_bag(
        tmp_path / 'bag',
        (TOPIC, [(0, 0, 0, b''), (MS, 1, 0, b'')]),
        ('/one', [(0, 0, 0, mono((0, 1, 1, 1)))]),
    )
    code, printed, _ = events(bag)
    rows = table(printed)
    assert code == 0 and rows['events'] == ['0', '1']
    assert rows['brighter ones'] == rows['payload of an event'][:1] + ['100.0%']
    assert rows['events/s'] == ['–', '–'] and rows['packets/s'] == ['1,000.0', '–']
    assert rows['duration, sensor time'] == ['0 µs', '0 µs']
    assert (tmp_path / 'picture.png').read_bytes().startswith(b'\x89PNG')


def test_a_camera_that_changes_and_times_that_mean_nothing(events, drawn, tmp_path):
    random = np.random.default_rng(0)
    wild = [
        (
            index * MS,
            index,
            int(random.integers(0, 2**63)),
            mono(*((int(dt), 1, 1, 0) for dt in random.integers(0, 2**32, 9))),
        )
        for index in range(30)
    ]
    bag = write_bag(
        tmp_path / 'bag', (TOPIC, [*wild, (99 * MS, 99, 0, mono((0, 60, 40, 1)), 'mono', 64, 48)])
    )
    code, printed, _ = events(bag)
    rows = table(printed)
    assert code == 0 and rows['sensor'] == ['32 x 24 pixels', '64 x 48 pixels']
    assert rows['events'] == ['270', '1'] and int(rows['steps back in time'][0].split(',')[0]) > 5
    assert drawn[0][0].rate_hz.size <= 1000


def test_packets_that_are_rejected_are_said_and_the_others_are_shown(events, drawn, tmp_path):
    good = [(index * MS, index, 0, mono((0, 1, 1, 1))) for index in range(5)]
    bad = [
        (10 * MS, 0, 0, mono((0, 1, 1, 1)), 'mono', 0, 0),
        (11 * MS, 0, 0, bytes(8), 'evt4', 32, 24),
        (12 * MS, 0, 0, bytes(8), 'evt4', 32, 24),
    ]
    code, printed, _ = events(write_bag(tmp_path / 'bag', (TOPIC, good[:3] + bad + good[3:])))
    assert code == 0 and table(printed)['packets'] == ['5']
    assert f'{TOPIC}: width is 0, accepted is 1 to 65535 pixels (packets rejected: 1)' in printed
    assert (
        f"{TOPIC}: encoding is 'evt4', accepted is one of evt2, evt21, evt3, libcaer_cmp, "
        'libcaer, mono (packets rejected: 2)'
    ) in printed


def test_unknown_words_are_shown(events, drawn, tmp_path):
    words = np.array([0x8000, 0x6000, 0x0001, 0xB123, 0x2001, 0x9000, 0x2002], np.uint16)
    code, printed, _ = events(
        write_bag(tmp_path / 'bag', (TOPIC, [(0, 0, 0, words.tobytes(), 'evt3', 32, 24)]))
    )
    assert code == 0 and table(printed)['events'] == ['2']
    assert table(printed)['unknown words or invalid events'] == ['2 of 7']


def test_a_clock_that_jumps_by_years_costs_nothing(events, drawn, tmp_path):
    year_ns = 365 * 86_400 * 10**9
    bases = [0, 10 * MS, 55 * year_ns, 55 * year_ns + 10 * MS, 2**63 - 5, 2**63 + 10 * MS, 5]
    code, printed, _ = events(
        write_bag(
            tmp_path / 'bag',
            (
                TOPIC,
                [
                    (index * 10 * MS, index, base, mono((0, 1, 1, 1)))
                    for index, base in enumerate(bases)
                ],
            ),
        )
    )
    rows = table(printed)
    assert code == 0 and rows['events'] == ['7']
    assert rows['duration, sensor time'] == ['30,000 µs']
    assert rows['jumps ahead in time'][0].startswith('3, ')
    assert rows['steps back in time'] == ['0']


def test_a_recording_whose_clock_jumps(events, tmp_path):
    second_ns = 10**9
    times = [
        0,
        second_ns,
        1_735_689_600 * second_ns,
        1_735_689_601 * second_ns,
        1_735_689_500 * second_ns,
    ]
    code, printed, _ = events(
        write_bag(
            tmp_path / 'bag',
            (
                TOPIC,
                [
                    (time_ns, seq, seq * 10 * MS, mono((0, 1, 1, 1)))
                    for seq, time_ns in enumerate(times)
                ],
            ),
        )
    )
    rows = table(printed)
    assert code == 0 and rows['packets'] == ['5']
    assert rows['duration, recording'] == ['2.000 s']
    assert rows['jumps in recorded time'] == ['2, 1,735,689,599.000 s at most']


def test_bags_that_are_none(events, tmp_path):
    def complaint(bag):
        code, printed, line = events(bag)
        assert code == 2 and not printed and line.count('\n') == 1
        assert not (tmp_path / 'picture.png').exists()
        return line

    start = 'topspark events: '
    assert complaint(tmp_path / 'none').startswith(f'{start}{tmp_path / "none"}: File ')
    broken = tmp_path / 'broken.mcap'
    bag = write_bag(tmp_path / 'bag', (TOPIC, [(0, 0, 0, bytes(1000))] * 9))
    broken.write_bytes(next(bag.glob('*.mcap')).read_bytes()[:300])
    assert complaint(broken).startswith(f'{start}{broken}: ')

    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / 'chat', version=9) as writer:
        writer.add_connection('/chat', 'std_msgs/msg/String', typestore=store)
    assert complaint(tmp_path / 'chat') == (
        f'{start}{tmp_path / "chat"}: topic is None, accepted is one with {EVENT_TYPES[0]}; the '
        'bag holds /chat (std_msgs/msg/String)\n'
    )

    for number, (*camera, rejection) in enumerate(
        (
            (
                'evt4',
                32,
                24,
                "encoding is 'evt4', accepted is one of evt2, evt21, evt3, libcaer_cmp, libcaer, "
                'mono',
            ),
            ('mono', 0, 24, 'width is 0, accepted is 1 to 65535 pixels'),
            (
                'mono',
                65535,
                65535,
                'width x height is 65535 x 65535, accepted is up to 16777216 pixels',
            ),
        )
    ):
        bag = write_bag(tmp_path / f'{number}', (TOPIC, [(0, 0, 0, bytes(8), *camera)]))
        assert complaint(bag) == f'{start}{bag}: {TOPIC}: {rejection}\n'


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--window', 0), '--window is 0.0, accepted is above 0 up to 60 s'),
        (('--window', 'nan'), '--window is nan, accepted is above 0 up to 60 s'),
        (
            ('--topic', '/other'),
            "{bag}: topic is '/other', accepted is one with "
            f'{EVENT_TYPES[0]}; the bag holds {TOPIC} ({EVENT_TYPES[0]})',
        ),
        (
            ('--output', '/nowhere/picture.png'),
            '--output is /nowhere/picture.png, accepted is a '
            '.png, .pdf, .svg file in a folder that can be written',
        ),
    ],
)
def test_what_is_rejected_is_one_line(events, tmp_path, arguments, message):
    bag = write_bag(tmp_path / 'bag', (TOPIC, [(0, 0, 0, mono((0, 1, 1, 1)))]))
    code, _, complaint = events(bag, *arguments)
    assert code == 2 and complaint == f'topspark events: {message.format(bag=bag)}\n'


def test_of_a_damaged_recording_the_rest_is_shown_and_the_loss_told(events, tmp_path):
    bag = write_bag(
        tmp_path / 'bag',
        (
            TOPIC,
            [
                (seq * 10 * MS, seq, seq * 10 * MS, mono((0, 1, 1, 1), (5, 2, 2, 0)))
                for seq in range(100)
            ],
        ),
    )
    (bag / 'metadata.yaml').unlink()
    (file,) = bag.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    code, printed, _ = events(bag)
    assert code == 0 and 20 < int(table(printed)['packets'][0]) < 100
    assert f'lost: {file.name}: damaged (cut off behind byte ' in printed
