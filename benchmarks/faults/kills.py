"""The learner killed, while it learns and while it saves: what is left of its weights."""

from __future__ import annotations

import random
import time
from pathlib import Path

from std_srvs.srv import Trigger

from benchmarks.processes import Robot
from topspark_ros import msg
from topspark_ros.engine import CheckpointError, load_checkpoint
from topspark_ros.nodes import qos

from . import Extent, Finding, Show, real

TIMES = 200
PERIOD_S = 1.0  # of checkpoints
SAVING_S = 1.0  # for a save on a busy machine
MAX_WAIT_S = 2.0  # before it is killed
FRAME_RATE_HZ = 30.0


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    times = extent.times or TIMES
    chance = random.Random(0)
    weights = folder / 'weights.topspark'
    lost_s, took_s = [], []
    broken = forgotten = left = 0
    with Robot(folder) as robot:
        camera = real.Camera(robot, FRAME_RATE_HZ)
        saver = robot.node.create_client(Trigger, 'snn_learner/save_weights')
        learned_before = 0
        for number in range(times + 1):
            show(f'{number} of {times}, {broken} broken')
            learner = robot.start(
                'snn_learner',
                checkpoint_file=str(weights),
                checkpoint_period=PERIOD_S,
                status_period=0.1,
            )
            # A new subscription hears nothing of the one that was killed.
            statuses: list[msg.LearnerStatus] = []
            subscription = robot.node.create_subscription(
                msg.LearnerStatus, 'snn_learner/status', statuses.append, qos.STATUS
            )
            camera.show_until(
                lambda: statuses and statuses[-1].frames_learned > 0, 'frames are learned'
            )
            began_s = time.time()
            if number:
                forgotten += statuses[0].recruited_neurons < learned_before
            if number == times:
                break
            if number == 0:
                camera.show_until(weights.exists, 'a first checkpoint')
                for _ in range(5):
                    begin_s = time.monotonic()
                    robot.call(Trigger, 'snn_learner/save_weights')
                    took_s.append(time.monotonic() - begin_s)
            camera.show(chance.uniform(0.0, MAX_WAIT_S))
            if number % 2:
                robot.wait_for(saver.service_is_ready, 'the service that saves')
                saver.call_async(Trigger.Request())
                # No spinning: its callbacks would take longer than a save.
                time.sleep(chance.uniform(0.0, 2.0 * min(took_s)))
            learner.kill()
            robot.node.destroy_subscription(subscription)
            # What it has learned since it was started or has saved.
            lost_s.append(time.time() - max(began_s, weights.stat().st_mtime))
            left = max(left, sum(1 for path in folder.iterdir() if path.suffix == '.tmp'))
            try:
                learned_before = load_checkpoint(weights).network.recruited_neurons
            except CheckpointError:
                broken += 1
        camera.show_until(
            lambda: all(path.suffix != '.tmp' for path in folder.iterdir()),
            'what killed writers left is removed',
        )
    worst_s = max(lost_s)
    return [
        Finding(
            f'learner killed while it learns and, every other time, while it saves; a checkpoint '
            'each '
            f'{PERIOD_S:g} s',
            f'{times} times',
            f'{broken} checkpoints broken, {forgotten} not resumed, at most {worst_s:.1f} s of '
            f'learning lost; never more than {left} temporary file{"s" if left != 1 else ""}, none '
            f'in the end',
            f'none broken, the last {PERIOD_S:g} s and the time of a save lost',
            not broken and not forgotten and worst_s <= PERIOD_S + SAVING_S * extent.patience,
        )
    ]
