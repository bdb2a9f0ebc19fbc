"""Both demos, again and again: with the phase of the windows forced, and beside a busy core.

    python -m benchmarks.demos --times 20

Windows of events follow each other from the first event on. Where that is in the time that an image
is shown is chance, and so is forced here: a process between event camera and learner puts one event
before all others. Every second pair of runs has a busy core beside it. Prints a row for each run,
and exits with 0 only if every run did.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

PHASES = 0.3, 1.5, 2.9, 3.9  # frames from the first one to the beginning of the first window
RAW = 'events_raw'  # topic of the events before the phase is forced


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--times', type=int, default=20, help='runs of each demo')
    parser.add_argument('--only', choices=('images', 'events'))
    parser.add_argument('--results', type=Path, default=Path('results/demos'))
    parser.add_argument('--phase', type=float, help=argparse.SUPPRESS)  # of one run, in a process
    arguments = parser.parse_args()
    if arguments.phase is not None:
        return run_with_phase(arguments.phase, arguments.results)

    print(
        '| demo | phase | busy core | exit | accuracy at the end | T or learning re-selected | '
        'lost | took |\n|---|---|---|---|---|---|---|---|',
        flush=True,
    )
    failed = 0
    for number in range(arguments.times):
        for kind in (arguments.only,) if arguments.only else ('images', 'events'):
            folder = arguments.results / f'{kind}_{number}'
            busy, phase = number // 2 % 2 == 1, PHASES[number % len(PHASES)]
            command = (
                ['topspark', 'demo']
                if kind == 'images'
                else [sys.executable, '-m', 'benchmarks.demos', '--phase', str(phase)]
            )
            began_s = time.monotonic()
            with busy_core(busy):
                done = subprocess.run(
                    [*command, '--results', str(folder)],
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            failed += done.returncode != 0
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'output.txt').write_text(done.stdout, encoding='utf-8')
            print(
                f'| {kind} | {phase if kind == "events" else "-"} | {"yes" if busy else "no"} | '
                f'{done.returncode} | {figures(folder)} | {time.monotonic() - began_s:.0f} s |',
                flush=True,
            )
            if done.returncode:
                print(done.stdout[-3000:], file=sys.stderr)
    return int(failed > 0)


def figures(folder: Path) -> str:
    path = folder / 'demo.json'
    if not path.exists():
        return 'none | | '
    summary = json.loads(path.read_text(encoding='utf-8'))['summary']
    (accuracy,) = (value for name, value in summary.items() if name.startswith('accuracy, last'))
    (lost,) = (value for name, value in summary.items() if name.endswith(' lost'))
    accuracy = 'none' if accuracy is None else f'{accuracy:.1%}'
    return f'{accuracy} | {summary["T or learning re-selected"]} | {lost}'


@contextmanager
def busy_core(busy: bool) -> Iterator[None]:
    process = multiprocessing.Process(target=_work_for_ever, daemon=True)
    if busy:
        process.start()
    try:
        yield
    finally:
        if busy:
            process.kill()
            process.join()


def _work_for_ever() -> None:
    while True:
        pass


# One run with events, in a process of its own ------------------------------------------------


def run_with_phase(phase: float, results: Path) -> int:
    """The demo with events, and between its event camera and learner what forces the phase."""
    from topspark_ros.cli import demo, ros

    class PhasedDemo(demo.Demo):
        def _arguments(self, node: str) -> list[str]:
            own = super()._arguments(node)
            return [*own, '-r', f'events:={RAW}'] if node == 'event_simulator' else own

        def _start(self, node: str) -> None:
            if node == 'dataset_camera' and not self._relaying.wait(demo.START_TIMEOUT_S):
                raise demo.DemoFault('the process that forces the phase has no events')
            super()._start(node)
            if node == 'event_simulator':
                context = multiprocessing.get_context('spawn')
                self._relaying = context.Event()
                context.Process(
                    target=relay, args=(self._namespace, phase, self._relaying), daemon=True
                ).start()

    results.mkdir(parents=True, exist_ok=True)
    ros.keep_local()
    return demo.prepared(
        PhasedDemo, demo.EVENTS, ros.configuration('demo_events.yaml'), results
    ).run()


def relay(namespace: str, phase: float, ready: Event) -> None:
    """Hand packets of events on, before the first of them an event `phase` frames after the first
    frame. Sets `ready` when it knows both neighbours."""
    import array

    import numpy as np
    import rclpy
    from event_camera_msgs.msg import EventPacket
    from rclpy.signals import SignalHandlerOptions

    from topspark_ros.nodes import conversions, qos
    from topspark_ros.streams.events import EVENT, EventDecoder, Evt3Encoder

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # SIGTERM is to end it at once
    node = rclpy.create_node('phase', namespace=namespace)
    publisher = node.create_publisher(EventPacket, 'events', qos.EVENTS)
    stamps, codecs = [], []

    def hand_on(packet: EventPacket) -> None:
        if packet.seq == 0:  # the camera starts, maybe again
            stamps.clear()
            codecs[:] = (
                EventDecoder('evt3', packet.width, packet.height),
                Evt3Encoder(packet.width, packet.height),
            )
        if not codecs:
            return
        decoder, encoder = codecs
        events, _ = decoder.decode(packet.events, packet.time_base, packet.seq)
        stamps.append(conversions.stamp_ns(packet.header.stamp))
        begin = stamps[0] + round(phase * 0.02e9)
        ahead = stamps[-1] - int(events['t'][-1]) if len(events) else 0
        if len(events):
            events = events[events['t'] + ahead >= begin]
        if len(events) and len(stamps) - 1 == np.ceil(phase):
            first = np.zeros(1, EVENT)
            first['t'] = begin - ahead
            events = np.concatenate((first, events))
        packet.events = array.array('B', encoder.encode(events))
        publisher.publish(packet)

    node.create_subscription(EventPacket, RAW, hand_on, qos.EVENTS)
    while not (node.count_publishers(RAW) and publisher.get_subscription_count()):
        rclpy.spin_once(node, timeout_sec=0.1)
    ready.set()
    rclpy.spin(node)


if __name__ == '__main__':
    sys.exit(main())
