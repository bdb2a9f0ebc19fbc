"""A bag played to the nodes with the QoS overrides that are shipped: they hear what is in it."""

from __future__ import annotations

import threading

from rig import msg

import bag_player
from rosgraph_msgs.msg import Clock

from topspark_ros.nodes import conversions, qos
from topspark_ros.replay.recording import START_NS, RecordingSettings, record

FRAMES, RATE_HZ = 80, 40.0
LIMIT_W = 1.0  # hardly a limit: no frame is skipped for it


def test_the_nodes_hear_all_of_a_bag_on_its_own_time(rig, shipped_profile, tmp_path):
    record(
        tmp_path / 'bag',
        RecordingSettings(
            frames=FRAMES,
            rate_hz=RATE_HZ,
            label_share=1.0,
            width=160,
            height=120,
            battery_start=0.9,
            battery_end=0.9,
            budget=((0.0, LIMIT_W),),
        ),
    )
    rig.namespace = '/'  # the topics of a bag are absolute
    learner = rig.collect(msg.LearnerStatus, '/snn_learner/status')
    controller = rig.collect(msg.ControllerStatus, '/timestep_controller/status')
    rig.start('snn_learner', use_sim_time=True, queue_depth=FRAMES, status_period=0.05)
    rig.start('timestep_controller', use_sim_time=True)
    rig.wait_until_active('/snn_learner')
    rig.wait_until_active('/timestep_controller')

    known = threading.Event()
    player = threading.Thread(
        target=bag_player.play,
        args=(tmp_path / 'bag',),
        kwargs=dict(
            clock_hz=100.0,
            subscribed=('/image', '/label', '/battery_state', '/power_budget'),
            ready=known.wait,
            qos_overrides=bag_player.read_qos_overrides(
                shipped_profile.with_name('qos_overrides.yaml')
            ),
        ),
    )
    player.start()
    rig.wait_for(lambda: rig.node.count_publishers('/clock'), 'the player')
    rig.be_known('/snn_learner')
    rig.be_known('/timestep_controller')
    known.set()
    rig.wait_for(lambda: not player.is_alive(), 'the bag is over')
    last_ns = conversions.stamp_ns(rig.latest(learner).header.stamp)
    assert last_ns - START_NS <= (FRAMES + 1) / RATE_HZ * 1e9

    def heard():  # the clock stopped with the bag, and with it the status
        nonlocal last_ns
        last_ns += 100_000_000
        rig.publish('/clock', Clock(clock=conversions.stamp(last_ns)), qos.STATUS)
        return learner[-1].labels_received == FRAMES

    rig.wait_for(heard, 'all labels')
    assert FRAMES / 2 < learner[-1].frames_received <= FRAMES  # best effort
    # The battery may be stale by now, on a clock that runs as fast as this test asks.
    assert controller[-1].power_limit == LIMIT_W
    assert any(s.battery == msg.ControllerStatus.BATTERY_KNOWN for s in controller)
