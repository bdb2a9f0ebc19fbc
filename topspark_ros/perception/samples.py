"""Messages of cameras and event cameras as what the network is shown."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from topspark_ros.perception.messages import Message, gray_image, rgb_image, stamp_ns
from topspark_ros.streams.colours import central_square, picture
from topspark_ros.streams.events import EventStream
from topspark_ros.streams.events.stream import SeenWindow
from topspark_ros.streams.objects import centre_object, locate_object


class View(NamedTuple):
    """What the network sees of a camera's frame.

    side: of its picture, pixels.
    colour: red, green and blue as the camera sees them; False: the object, bright on 0.
    whole: the central square of the frame; False: the object that stands out. In colour alone.
    """

    side: int
    colour: bool = False
    whole: bool = False


class ImageSamples:
    """The frames of one camera, in order."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._last_stamp_ns = 0

    def take(self, message: Message) -> np.ndarray:
        """What the view is of a sensor_msgs/Image or CompressedImage, float32: (side * side,), or
        (side * side * 3,) in colour. All zeros where nothing stands out.

        Raises ImageError as `gray_image` does; the next frame is taken as if there had been none.
        """
        side, colour, whole = self._view
        image = (rgb_image if colour else gray_image)(message, self._last_stamp_ns)
        self._last_stamp_ns = stamp_ns(message.header.stamp)
        if not colour:
            return centre_object(image, side)
        if whole:
            return picture(image, *central_square(image), side)
        place = locate_object(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        return np.zeros(3 * side**2, np.float32) if place is None else picture(image, *place, side)


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
