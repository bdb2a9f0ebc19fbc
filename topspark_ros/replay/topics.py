"""Which topics of a bag an evaluation is about: by their types, or as they are named."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from topspark_ros.streams.bags import Bag, BagError, Topic
from topspark_ros.streams.event_bags import EVENT_TYPES

# Type -> the learner's parameter `input`.
INPUTS = {
    'sensor_msgs/msg/Image': 'image',
    'sensor_msgs/msg/CompressedImage': 'compressed',
    **dict.fromkeys(EVENT_TYPES, 'events'),
}
LABEL, PLAIN_LABEL = 'topspark_ros/msg/Label', 'std_msgs/msg/String'
BATTERY, BUDGET = 'sensor_msgs/msg/BatteryState', 'topspark_ros/msg/PowerBudget'


@dataclass(frozen=True)
class TopicNames:
    """Names of topics; empty: the only one of a type that fits.

    input: sensor_msgs/Image, CompressedImage or event_camera_msgs/EventPacket.
    label: topspark_ros/Label, or std_msgs/String, which names the next frame, if it is named here.
    battery: sensor_msgs/BatteryState. budget: topspark_ros/PowerBudget.
    """

    input: str = ''
    label: str = ''
    battery: str = ''
    budget: str = ''


@dataclass(frozen=True)
class Topics:
    """Topics of a bag; None: there is none. kind: the learner's parameter `input`."""

    input: Topic
    kind: str
    label: Topic | None
    battery: Topic | None
    budget: Topic | None


def find_topics(bag: Bag, names: TopicNames, kind: str = '') -> Topics:
    """kind: of the input; empty: whatever there is.

    Raises BagError, with the topics that are there, for a name that is not, or of another type,
    for several topics where none is named, and for an input without a message.
    """
    inputs = [type_name for type_name, each in INPUTS.items() if kind in ('', each)]
    found = _find(bag, 'topic', names.input, inputs)
    if found is None:
        raise BagError(
            f'{bag.path}: no topic to classify, accepted is one with '
            f'{", ".join(inputs)}; {bag.there()}'
        )
    if found.messages == 0:
        raise BagError(
            f'{bag.path}: {found.name} has 0 messages, accepted is 1 or more; {bag.there()}'
        )
    labels = [LABEL, PLAIN_LABEL] if names.label else [LABEL]
    return Topics(
        found,
        INPUTS[found.type],
        _find(bag, 'label topic', names.label, labels),
        _find(bag, 'battery topic', names.battery, [BATTERY]),
        _find(bag, 'budget topic', names.budget, [BUDGET]),
    )


def _find(bag: Bag, what: str, name: str, types: Collection[str]) -> Topic | None:
    found = [topic for topic in bag.topics if topic.type in types and name in ('', topic.name)]
    if name and not found:
        raise BagError(
            f'{bag.path}: {what} is {name!r}, accepted is one with {", ".join(types)}; '
            f'{bag.there()}'
        )
    if len(found) > 1:
        raise BagError(
            f'{bag.path}: {what} may be {", ".join(topic.name for topic in found)}, '
            f'accepted is one of them by name; {bag.there()}'
        )
    return found[0] if found else None
