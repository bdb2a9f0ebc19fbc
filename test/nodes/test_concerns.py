"""What is wrong is told in the diagnostics for as long as it is, in every node; and the clock."""

from __future__ import annotations

import time

from every_node import CASES, alive, case  # noqa: F401  (a fixture)
from rig import Camera, composed, image, msg

from builtin_interfaces.msg import Time
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState, Image

from topspark_ros.nodes import clock, diagnostics, qos
from topspark_ros.nodes.diagnostics import ERROR, OK, WARN
from topspark_ros.nodes.managed_node import NodeFault
from topspark_ros.nodes.snn_learner import SnnLearner

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
LEARNER = 'snn_learner'


def values(node) -> dict[str, str]:
    return {pair.key: pair.value for pair in node.diagnostics.status().values}


def test_what_was_rejected_is_a_concern_while_it_is_recent(case, monkeypatch):
    with alive(*case) as node:
        assert node.trigger_configure() == node.trigger_activate() == SUCCESS
        before = node.diagnostics.status()
        assert 'rejected' not in before.message
        node.diagnostics.reject('somewhere', 'x: 1; accepted: 2')
        rejected = node.diagnostics.status()
        assert (
            rejected.level == max(before.level, WARN) and 'input was rejected' in rejected.message
        )
        if before.level == WARN:
            assert before.message in rejected.message
        monkeypatch.setattr(diagnostics, 'RECENT_S', 0.0)
        after = node.diagnostics.status()
        assert after.level == before.level and 'rejected' not in after.message
        assert values(node)['rejected on somewhere'] == '1'


def test_what_is_rejected_of_a_field_is_logged_at_once_then_ever_more_seldom(rig, monkeypatch):
    now_s = 1000.0
    node = SnnLearner(
        namespace=rig.namespace, parameter_overrides=[Parameter('autostart', value=False)]
    )
    lines = []
    monkeypatch.setattr(diagnostics.time, 'monotonic', lambda: now_s)
    monkeypatch.setattr(node.get_logger(), 'warning', lines.append)
    logged_s = []
    for now_s in [1000.0 + second for second in range(100)] + [1200.0]:
        before = len(lines)
        node.diagnostics.reject('label', 'x: 1; accepted: 2')
        if len(lines) > before:
            logged_s.append(now_s - 1000.0)
    assert logged_s == [0.0, 5.0, 15.0, 35.0, 75.0, 200.0]  # quiet for long: as new
    node.diagnostics.reject('label', 'y: 1; accepted: 2')
    assert lines[-1] == f'{rig.namespace}/label: y: 1; accepted: 2 (rejected so far: 102)'
    node.destroy_node()


def test_a_failed_transition_is_a_concern_until_the_next_one(case, monkeypatch):
    with alive(*case) as node:
        with monkeypatch.context() as patch:
            patch.setattr(node, 'configure', fail)
            assert node.trigger_configure() == FAILURE
        status = node.diagnostics.status()
        assert status.level == ERROR and 'configure: on purpose' in status.message
        assert node.trigger_configure() == SUCCESS
        assert node.diagnostics.status().level == OK
        with monkeypatch.context() as patch:
            patch.setattr(node, 'activate', fail)
            assert node.trigger_activate() == FAILURE
        assert node.diagnostics.status().level == ERROR
        assert node.trigger_activate() == SUCCESS
        assert node.diagnostics.status().level != ERROR
        assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
        assert node.diagnostics.status().level == OK


def fail() -> None:
    raise NodeFault('on purpose')


def test_a_frame_that_failed_is_an_error_while_it_is_recent(rig, monkeypatch):
    learner = SnnLearner(
        namespace=rig.namespace, parameter_overrides=[Parameter('neurons', value=20)]
    )
    with composed(learner):
        rig.wait_until_active(LEARNER)
        camera = Camera(rig)
        camera.meet(lambda: image(camera.next_digit()[0]))
        with monkeypatch.context() as patch:
            patch.setattr(learner, '_classify', fail)
            camera.send(image(camera.next_digit()[0]))
            rig.wait_for(lambda: rig.health(LEARNER, 'frames failed') == '1')
        assert 'frames fail' in rig.concern(LEARNER)
        monkeypatch.setattr(diagnostics, 'RECENT_S', 0.0)
        rig.wait_for(lambda: 'frames fail' not in rig.concern(LEARNER))
        assert rig.health(LEARNER, 'frames failed') == '1'
        camera.show(image(camera.next_digit()[0]))


# The clock -------------------------------------------------------------------------------


def test_a_clock_that_never_comes_and_one_that_stands_still(case, monkeypatch, capfd):
    with alive(*case, use_sim_time=True) as node:
        assert node.diagnostics.status().level == OK  # it may come still
        monkeypatch.setattr(clock, 'SILENT_S', 0.0)
        for _ in range(3):
            status = node.diagnostics.status()
            assert status.level == ERROR
            assert 'use_sim_time is true' in status.message and '/clock' in status.message
        lines = [line for line in capfd.readouterr().err.splitlines() if 'use_sim_time' in line]
        assert len(lines) == 1 and '/clock (publishers: 0)' in lines[0]

        tick(node, 10.0)
        assert node.diagnostics.status().level == OK
        for _ in range(3):
            status = node.diagnostics.status()
            assert status.level == WARN and 'paused' in status.message
        assert len(capfd.readouterr().err.splitlines()) == 1  # that the clock runs
        tick(node, 3.0)  # back
        assert node.diagnostics.status().level == OK
        assert not capfd.readouterr().err


def tick(node, time_s: float) -> None:
    node._time_source.clock_callback(Clock(clock=Time(sec=int(time_s))))


OUTPUTS = {
    LEARNER: (msg.LearnerStatus, 'snn_learner/status', qos.STATUS),
    'timestep_controller': (msg.ControllerStatus, 'timestep_controller/status', qos.STATUS),
    'battery_simulator': (BatteryState, 'battery_state', qos.STATUS),
    'dataset_camera': (Image, 'image', qos.sensor(10)),
    'power_budget_schedule': (msg.PowerBudget, 'power_budget', qos.DECISIONS),
}


def test_nodes_wait_for_the_clock_and_go_on_when_it_is_set_back(rig):
    """Whole nodes, with the time that is waited for before it is told."""
    messages = {node: rig.collect(*output) for node, output in OUTPUTS.items()}
    times = [0.5 * step for step in range(1000)]
    processes = [
        rig.start(
            node,
            use_sim_time=True,
            **(dict(times=times, power=[1.0]) if node == 'power_budget_schedule' else {}),
        )
        for node in OUTPUTS
    ]
    for node, process in zip(OUTPUTS, processes):
        rig.wait_until_active(node)  # after it has compiled its kernels
        rig.wait_for(lambda: 'use_sim_time is true' in rig.concern(node), f'{node} says so')
        assert not messages[node]
        assert process.log.count('use_sim_time is true') == 1

    publisher = rig.node.create_publisher(Clock, '/clock', 10)

    def runs_from(begin_s: float) -> None:
        """Time runs, ten times as fast as it does, until all have published twice in it."""
        for received in messages.values():
            received.clear()
        began_s = time.monotonic()

        def all_publish() -> bool:
            passed_s = begin_s + 10.0 * (time.monotonic() - began_s)
            publisher.publish(
                Clock(clock=Time(sec=int(passed_s), nanosec=int(passed_s % 1.0 * 1e9)))
            )
            return all(len(received) >= 2 for received in messages.values())

        rig.wait_for(all_publish, 'all nodes publish')

    runs_from(1000.0)
    for node in OUTPUTS:
        rig.wait_for(lambda: 'use_sim_time' not in rig.concern(node), f'{node} is content')
    runs_from(5.0)
    for node, process in zip(OUTPUTS, processes):
        assert process.log.count('use_sim_time is true') == 1
        rig.wait_for(lambda: 'paused' in rig.concern(node), f'{node} says that it is paused')
    rig.node.destroy_publisher(publisher)
