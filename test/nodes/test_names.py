"""Topics are named by what they were remapped to, and who is on them and not heard is told."""

from __future__ import annotations

from rig import Camera, image, msg

import pytest
from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.type_hash import TypeHash
from sensor_msgs.msg import BatteryState, Image
from std_msgs.msg import String

from topspark_ros.nodes import qos
from topspark_ros.nodes.matching import reason_of_silence

LEARNER = 'snn_learner'


@pytest.fixture
def other(rig):
    """A node of somebody else."""
    node = Node('other', namespace='/elsewhere')
    yield node
    node.destroy_node()


@pytest.mark.parametrize(
    'source, topic, message_type',
    [
        ('image', 'image', Image),
        ('compressed', 'image/compressed', None),
        ('events', 'events', EventPacket),
    ],
)
def test_a_learner_without_frames_names_the_topic_that_it_listens_to(
    rig, other, source, topic, message_type
):
    rig.start(LEARNER, remappings={topic: '/robot/eye'}, input=source)
    rig.wait_for(
        lambda: rig.concern(LEARNER) == 'no frame on /robot/eye (publishers: 0, received: 0)'
    )
    if message_type is not None:
        other.create_publisher(message_type, '/robot/eye', qos.sensor(1))
        rig.wait_for(
            lambda: rig.concern(LEARNER) == 'no frame on /robot/eye (publishers: 1, received: 0)'
        )


def test_what_is_rejected_is_counted_by_the_name_in_the_code_and_told_by_the_other(rig):
    process = rig.start(
        LEARNER, remappings={'image': '/robot/eye'}, status_period=0.05, queue_depth=20
    )
    rig.wait_until_active(LEARNER)
    camera = Camera(rig, '/robot/eye')
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.send(Image(encoding='jpeg2000', height=1, width=1, step=1))
    rig.wait_for(lambda: rig.rejected(LEARNER, 'image') == 1)
    assert '/robot/eye: encoding is ' in process.log


def test_other_nodes_name_them_so_too(rig):
    rig.start('event_simulator', remappings={'image': '/robot/eye'})
    rig.wait_for(lambda: rig.concern('event_simulator') == 'no frame on /robot/eye (publishers: 0)')
    rig.start(LEARNER, remappings={'battery_state': '/robot/battery'}, meter='battery')
    rig.wait_for(
        lambda: 'meter battery: no state on /robot/battery (publishers: 0)' in rig.concern(LEARNER)
    )


@pytest.mark.parametrize(
    'executable, topic, message_type, theirs, reason',
    [
        (
            LEARNER,
            'label',
            msg.Label,
            qos.sensor(1),
            'best effort publisher and reliable subscription',
        ),
        (
            'timestep_controller',
            'power_budget',
            msg.PowerBudget,
            qos.LABEL,
            'volatile publisher and transient local subscription',
        ),
        (
            'timestep_controller',
            'battery_state',
            String,
            qos.STATUS,
            'std_msgs/msg/String is published, sensor_msgs/msg/BatteryState is subscribed',
        ),
    ],
)
def test_a_publisher_that_is_not_heard_is_told(
    rig, other, executable, topic, message_type, theirs, reason
):
    process = rig.start(executable, remappings={topic: '/robot/topic'})
    publisher = other.create_publisher(message_type, '/robot/topic', theirs)
    rig.wait_for(
        lambda: (
            '/robot/topic: /elsewhere/other: ' in rig.concern(executable)
            and reason in rig.concern(executable)
        )
    )
    assert process.log.count('/robot/topic: /elsewhere/other: ') == 1
    other.destroy_publisher(publisher)
    rig.wait_for(lambda: '/robot/topic' not in rig.concern(executable))


def test_a_subscriber_that_does_not_hear_is_told(rig, other):
    rig.start('battery_simulator', remappings={'battery_state': '/robot/battery'})
    other.create_subscription(BatteryState, '/robot/battery', lambda message: None, qos.STATE)
    rig.wait_for(
        lambda: (
            '/robot/battery: /elsewhere/other: incompatible QoS, volatile publisher '
            'and transient local subscription' in rig.concern('battery_simulator')
        )
    )


@pytest.mark.parametrize(
    'theirs, told', [(bytes(32), 'in different versions'), (bytes(range(32)), ''), (None, '')]
)
def test_a_type_of_another_version_is_told(theirs, told):
    publisher, subscription = (
        TopicEndpointInfo(
            topic_type='topspark_ros/msg/Label',
            qos_profile=qos.LABEL,
            topic_type_hash=TypeHash() if value is None else TypeHash(1, value),
        )
        for value in (theirs, bytes(range(32)))
    )
    reason = reason_of_silence(publisher, subscription)
    assert told in reason and bool(told) == bool(reason)
