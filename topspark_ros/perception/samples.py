"""Messages of cameras and event cameras as what the network is shown."""

from __future__ import annotations

import numpy as np

from topspark_ros.perception.learner_parameters import GRID
from topspark_ros.perception.messages import Message, gray_image, stamp_ns
from topspark_ros.streams.events import EventStream
from topspark_ros.streams.events.stream import SeenWindow
from topspark_ros.streams.objects import centre_object


class ImageSamples:
    """The frames of one camera, in order."""

    def __init__(self) -> None:
        self._last_stamp_ns = 0

    def take(self, message: Message) -> np.ndarray:
        """The object in a sensor_msgs/Image or CompressedImage, (GRID * GRID,) float32.

        Raises ImageError as `gray_image` does; the next frame is taken as if there had been none.
        """
        gray = gray_image(message, self._last_stamp_ns)
        self._last_stamp_ns = stamp_ns(message.header.stamp)
        return centre_object(gray, GRID)


def push_packet(stream: EventStream, packet: Message, received_ns: int) -> list[SeenWindow]:
    """The windows that a packet, event_camera_msgs/EventPacket, finishes.

    received_ns: counts where it has no stamp. Raises EventError as EventStream.push does.
    """
    return stream.push(
        packet.encoding,
        packet.width,
        packet.height,
        packet.seq,
        packet.time_base,
        stamp_ns(packet.header.stamp) or received_ns,
        np.frombuffer(packet.events, np.uint8),
    )
