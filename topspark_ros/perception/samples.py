"""Messages of cameras and event cameras as what the network is shown."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.messages import Message, camera_image, stamp_ns
from topspark_ros.streams.events import EventStream
from topspark_ros.streams.events.stream import SeenWindow
from topspark_ros.streams.images import CameraImage
from topspark_ros.streams.objects import WORK_SIDE, centre_object, locate_object


class View(NamedTuple):
    """What the network sees of a camera's frame.

    side: of its picture, pixels.
    colour: red, green and blue as the camera sees them; False: the object, bright on 0.
    whole: the central square of the frame; False: the object that stands out. In colour alone.
    encoder: whose features of the picture, in colour, the network sees; None: the picture itself.
    """

    side: int
    colour: bool = False
    whole: bool = False
    encoder: Encoder | None = None

    def of(self, image: CameraImage) -> np.ndarray:
        """What is seen of an image, float32: (side * side,), or (side * side * 3,) in colour, or
        (features,) of an encoder. All zeros where nothing stands out."""
        return self.seen(self.picture(image))

    def seen(self, picture: np.ndarray) -> np.ndarray:
        """What the network sees of a picture, as of `of`."""
        return picture if self.encoder is None else self.encoder(picture)

    def picture(self, image: CameraImage) -> np.ndarray:
        """The square that is looked at, in colour or not, as of `of` without an encoder."""
        if self.whole:
            return image.central_picture(self.side)
        gray, factor = image.reduced_gray(WORK_SIDE)
        if not self.colour:
            return centre_object(gray, self.side)
        square = locate_object(gray)
        if square is None:
            return np.zeros(3 * self.side**2, np.float32)
        return image.picture(square.scaled(factor), self.side)


class ImageSamples:
    """The frames of one camera, in order.

    picture: of the last one, as of `View.picture`.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.picture = np.empty(0, np.float32)
        self._last_stamp_ns = 0

    def take(self, message: Message) -> np.ndarray:
        """What the view is of a sensor_msgs/Image or CompressedImage, as of `View.of`.

        Raises ImageError as `camera_image` does; the next frame is taken as if there had been none.
        """
        image = camera_image(message, self._last_stamp_ns, self._view.colour)
        self.picture = self._view.picture(image)
        seen = self._view.seen(self.picture)
        self._last_stamp_ns = stamp_ns(message.header.stamp)
        return seen


def rgb_of(picture: np.ndarray) -> np.ndarray:
    """A picture as of `View.picture`, for people: (side, side, 3) uint8, RGB. In grey what is
    brightest is white."""
    channels = 1 if math.isqrt(picture.size) ** 2 == picture.size else 3
    side = math.isqrt(picture.size // channels)
    white = 1.0 if channels == 3 else max(picture.max(), 1e-9)
    levels = np.rint(np.clip(picture / white, 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(levels.reshape(side, side, channels), (side, side, 3))


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
