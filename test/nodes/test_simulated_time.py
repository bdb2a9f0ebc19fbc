"""Nodes under `use_sim_time`: however fast, slow or often set back the simulation's clock is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rig import Camera, Process, Rig, image, msg

import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState

from topspark_ros.nodes import conversions, qos
from topspark_ros.perception.online import PAUSE_S

LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'
BEGIN_NS = 1_000_000_000_000
LABEL_WAIT_S = 0.15
FAST = dict(
    use_sim_time=True,
    status_period=0.05,
    queue_depth=20,
    training_timesteps=16,
    inference_timesteps=16,
    label_wait=LABEL_WAIT_S,
)


class Simulation:
    """Its time passes only when it is told to."""

    def __init__(self, rig: Rig):
        self.rig = rig
        self.now_ns = BEGIN_NS

    def set(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.rig.publish('/clock', Clock(clock=conversions.stamp(now_ns)), qos.STATUS)

    def pass_time(self, seconds: float) -> None:
        self.set(self.now_ns + round(seconds * 1e9))

    def run_until(self, condition: Callable[[], Any], step_s: float = 0.01) -> Any:
        """Time passes, in small steps, until it is true."""

        def holds():
            self.pass_time(step_s)
            return condition()

        return self.rig.wait_for(holds)


class SimulatedCamera(Camera):
    """Frames have the stamp of the simulation."""

    def __init__(self, simulation: Simulation):
        super().__init__(simulation.rig)
        self.simulation = simulation

    def next_stamp(self) -> Time:
        self.simulation.pass_time(0.001)  # each frame has its own
        return conversions.stamp(self.simulation.now_ns)


@pytest.fixture
def simulation(rig):
    return Simulation(rig)


def start_learner(simulation: Simulation, **parameters) -> Process:
    process = simulation.rig.start(LEARNER, **FAST, **parameters)
    simulation.rig.wait_until_active(LEARNER)
    return process


def stay(rig: Rig, seconds: float) -> None:
    """Real time passes, as in a simulation that is slow."""
    end_s = time.monotonic() + seconds
    rig.wait_for(lambda: time.monotonic() > end_s)


def test_labels_find_their_frames_however_slow_the_simulation_is(simulation):
    rig = simulation.rig
    start_learner(simulation)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    camera = SimulatedCamera(simulation)
    camera.meet(lambda: image(camera.next_digit()[0]))
    simulation.run_until(lambda: statuses)
    for number in range(1, 4):
        simulation.pass_time(LABEL_WAIT_S / 2)
        frame, name = camera.next_digit()
        stamp = camera.show(image(frame)).header.stamp
        stay(rig, LABEL_WAIT_S + PAUSE_S + 0.1)  # a label that is late by real time
        camera.label(stamp, name)
        simulation.run_until(lambda: statuses[-1].labels_received == number)
    simulation.pass_time(LABEL_WAIT_S)
    camera.show(image(camera.next_digit()[0]))
    simulation.run_until(lambda: statuses[-1].accuracy_window == 3)
    assert statuses[-1].labels_unmatched == statuses[-1].labels_late == 0
    assert statuses[-1].labelled_neurons > 0


def test_what_waits_is_learned_however_fast_the_simulation_is(simulation):
    rig = simulation.rig
    start_learner(simulation)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    camera = SimulatedCamera(simulation)
    camera.meet(lambda: image(camera.next_digit()[0]))
    simulation.run_until(lambda: statuses)
    simulation.pass_time(1000.0)
    simulation.run_until(lambda: statuses[-1].frames_learned == statuses[-1].frames_classified >= 2)
    # Rates are of simulated time too: nothing has come for the last 1000 s.
    assert statuses[-1].frame_rate == 0.0


def test_a_clock_that_stands_still_costs_nothing_and_nothing_hangs(simulation):
    rig = simulation.rig
    process = start_learner(simulation)
    simulation.pass_time(0.0)
    camera = SimulatedCamera(simulation)
    camera.meet(lambda: image(camera.next_digit()[0]))
    began_s, used_s = time.monotonic(), process.processor_s
    stay(rig, 1.0)  # with a frame that waits for its label
    assert process.processor_s - used_s < 0.5 * (time.monotonic() - began_s)
    camera.show(image(camera.next_digit()[0]))
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    assert rig.transit(LEARNER, Transition.TRANSITION_ACTIVATE)


def test_a_clock_that_is_set_back_resets_windows_and_keeps_what_was_learned(
    simulation, shipped_profile
):
    rig = simulation.rig
    start_learner(simulation)
    rig.start(
        CONTROLLER,
        use_sim_time=True,
        profile_file=str(shipped_profile),
        control_period=0.1,
        learner_timeout=1.0,
        battery_timeout=1.0,
    )
    rig.wait_until_active(CONTROLLER)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    controls = rig.collect(msg.ControllerStatus, f'{CONTROLLER}/status')
    camera = SimulatedCamera(simulation)
    camera.meet(lambda: image(camera.next_digit()[0]))

    def teach(frames: int) -> None:
        for _ in range(frames):
            simulation.pass_time(LABEL_WAIT_S / 2)
            frame, name = camera.next_digit()
            camera.label(camera.show(image(frame)).header.stamp, name)
            rig.publish(
                'battery_state',
                BatteryState(
                    percentage=0.9,
                    voltage=math.nan,
                    current=math.nan,
                    charge=math.nan,
                    capacity=math.nan,
                    design_capacity=math.nan,
                ),
                qos.BATTERY,
            )

    teach(10)
    before = simulation.run_until(
        lambda: statuses and statuses[-1].labelled_neurons > 0 and statuses[-1]
    )
    simulation.run_until(lambda: controls)
    assert rig.concern(LEARNER) is not None

    simulation.set(BEGIN_NS - 500_000_000_000)
    statuses.clear(), controls.clear()
    teach(10)
    after = simulation.run_until(
        lambda: (
            statuses
            and statuses[-1].frames_classified >= before.frames_classified + 10
            and statuses[-1].frames_learned >= before.frames_learned + 9
            and statuses[-1]
        )
    )
    assert conversions.stamp_ns(after.header.stamp) < BEGIN_NS
    assert after.recruited_neurons >= before.recruited_neurons
    assert after.labels_unmatched == before.labels_unmatched and after.frame_rate < 100.0
    # The controller goes on too, and takes neither the learner nor the battery for silent.
    simulation.run_until(
        lambda: controls and conversions.stamp_ns(controls[-1].header.stamp) < BEGIN_NS
    )
    teach(3)
    simulation.run_until(lambda: controls[-1].battery == msg.ControllerStatus.BATTERY_KNOWN)
    simulation.run_until(lambda: 'silent' not in rig.concern(CONTROLLER))


def test_a_camera_is_missed_by_simulated_time_alone(simulation):
    rig = simulation.rig
    start_learner(simulation)
    camera = SimulatedCamera(simulation)
    camera.meet(lambda: image(camera.next_digit()[0]))

    def shown():
        simulation.pass_time(0.5)
        camera.show(image(camera.next_digit()[0]))
        return rig.concern(LEARNER) == 'learning'

    rig.wait_for(shown)
    stay(rig, 2.5)
    rig.wait_for(lambda: (simulation.pass_time(0.001), rig.concern(LEARNER))[1] == 'learning')
    simulation.run_until(lambda: rig.concern(LEARNER).startswith('no frame on '), 0.1)
