"""What the learner sees in messages that other packages know: vision_msgs, and an image with a box.

vision_msgs/ObjectHypothesis has the name of the class as its `class_id`, as our own messages have.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Classification,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
)

from topspark_ros.nodes import conversions, qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.sources import Frame
from topspark_ros.perception import online
from topspark_ros.streams import cdr
from topspark_ros.streams.annotation import annotated
from topspark_ros.streams.colours import Square

MAX_HYPOTHESES = 20  # of an object, the likeliest
UNKNOWN = 'unknown'  # written above an object of no known class


class VisionPublishers:
    """Topics of `vision/`. What goes with a frame is made only while somebody subscribes to it."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._classification = node.create_lifecycle_publisher(
            Classification, 'vision/classification', qos.RESULT
        )
        self._detections = node.create_lifecycle_publisher(
            Detection2DArray, 'vision/detections', qos.RESULT
        )
        self._label_info = node.create_lifecycle_publisher(
            LabelInfo, 'vision/label_info', qos.STATE
        )
        self._annotated_image = node.create_lifecycle_publisher(
            Image, 'vision/annotated_image', qos.sensor(1)
        )
        self._class_names: tuple[str, ...] | None = None  # that were published last

    def publish(self, result: online.Classification, frame: Frame) -> None:
        """A frame's result. Call it before the next frame is taken."""
        found = [
            (each, square)
            for each, square in zip((result, *result.further), frame.squares)
            if square is not None and not each.empty
        ]
        if self._classification.get_subscription_count():
            message = Classification(results=list(_hypotheses(result)))
            conversions.fill_header(message.header, frame.header)
            self._classification.publish(message)
        if self._detections.get_subscription_count():
            self._detections.publish(_detections(found, frame.header))
        if self._annotated_image.get_subscription_count():
            boxes = [(square, _caption(each)) for each, square in found]
            picture = annotated(frame.rgb(), boxes)
            self._annotated_image.publish(conversions.rgb_image(picture, frame.header))

    def publish_class_names(self, names: tuple[str, ...]) -> None:
        """The numbers that classes have; once for each change."""
        if names != self._class_names:
            self._class_names = names
            self._label_info.publish(
                LabelInfo(
                    header=Header(stamp=self._node.get_clock().now().to_msg()),
                    class_map=[
                        VisionClass(class_id=number, class_name=name)
                        for number, name in enumerate(names)
                    ],
                )
            )


def _detections(
    found: list[tuple[online.Classification, Square]], header: cdr.Header
) -> Detection2DArray:
    """The objects in a frame, and where they are, pixels."""
    message = Detection2DArray()
    conversions.fill_header(message.header, header)
    for result, square in found:
        detection = Detection2D(
            header=message.header,
            results=[
                ObjectHypothesisWithPose(hypothesis=hypothesis)
                for hypothesis in _hypotheses(result)
            ],
        )
        box = detection.bbox
        box.center.position.x, box.center.position.y = square.x, square.y
        box.size_x = box.size_y = square.extent
        message.detections.append(detection)
    return message


def _caption(result: online.Classification) -> str:
    return UNKNOWN if result.unknown else f'{result.class_name} {result.score:.2f}'


def _hypotheses(result: online.Classification) -> Iterator[ObjectHypothesis]:
    """The likeliest classes, the likeliest first; none where there is no evidence for any."""
    if result.class_name is not None:
        for number in np.argsort(-result.scores, kind='stable')[:MAX_HYPOTHESES].tolist():
            yield ObjectHypothesis(
                class_id=result.class_names[number], score=float(result.scores[number])
            )
