"""Who is on a node's topics and yet not heard, or does not hear it."""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.type_hash import TypeHash

UNKNOWN = TypeHash()  # of a node that does not tell


def mismatches(node: Node) -> Iterator[str]:
    """One line for each other node whose type or QoS does not go with this node's, as the
    discovery knows them: DDS connects neither, and tells nobody."""
    names = {
        node.resolve_topic_name(entity.topic)
        for entities in (node.subscriptions, node.publishers)
        for entity in entities
    }
    for name in sorted(names):
        publishers = node.get_publishers_info_by_topic(name)
        subscriptions = node.get_subscriptions_info_by_topic(name)
        for publisher in publishers:
            for subscription in subscriptions:
                ours = _is_of(publisher, node), _is_of(subscription, node)
                if ours[0] != ours[1] and (reason := reason_of_silence(publisher, subscription)):
                    yield f'{name}: {_name(subscription if ours[0] else publisher)}: {reason}'


def reason_of_silence(publisher: TopicEndpointInfo, subscription: TopicEndpointInfo) -> str:
    """Why the two are not connected, empty if they are."""
    if publisher.topic_type != subscription.topic_type:
        return (
            f'{publisher.topic_type} is published, {subscription.topic_type} is subscribed, '
            'so nothing is received'
        )
    # DDS compares the names of types alone; what it cannot read it drops.
    hashes = publisher.topic_type_hash, subscription.topic_type_hash
    if UNKNOWN not in hashes and hashes[0] != hashes[1]:
        return (
            f'{publisher.topic_type} is published and subscribed in different versions, so '
            'nothing is received'
        )
    compatibility, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    policies = [
        part.removeprefix('ERROR: ').lower()
        for part in reason.split(';')
        if part.startswith('ERROR: ')
    ]
    return f'incompatible QoS, {", ".join(policies)}, so nothing is received'


def _is_of(endpoint: TopicEndpointInfo, node: Node) -> bool:
    return (endpoint.node_name, endpoint.node_namespace) == (node.get_name(), node.get_namespace())


def _name(endpoint: TopicEndpointInfo) -> str:
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
