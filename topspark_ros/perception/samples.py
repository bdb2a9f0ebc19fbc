"""Messages of cameras and event cameras as what the network is shown."""

from __future__ import annotations

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
        """What the network sees of an image."""
        return self.seen(self.picture(image))

    def seen(self, picture: np.ndarray) -> np.ndarray:
        """What the network sees of a picture, float32: the same, or (features,) of an encoder."""
        return picture if self.encoder is None else self.encoder(picture)

    def picture(self, image: CameraImage) -> np.ndarray:
        """The picture of an image, float32 in 0 to 1: (side * side,), or (side * side * 3,) in
        colour. All zeros where nothing stands out."""
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
    """The frames of one camera, in order."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._last_stamp_ns = 0
        self._picture = np.zeros(view.side**2, np.float32)

    def picture(self) -> np.ndarray:
        """The picture of the frame that was taken last, for people: (side, side, 3) uint8 RGB."""
        side = self._view.side
        shown = np.rint(255 * self._picture).astype(np.uint8).reshape(side, side, -1)
        return np.broadcast_to(shown, (side, side, 3))

    def take(self, message: Message) -> np.ndarray:
        """What the network sees of a sensor_msgs/Image or CompressedImage, as of `View.seen`.

        Raises ImageError as `camera_image` does; the next frame is taken as if there had been none.
        """
        image = camera_image(message, self._last_stamp_ns, self._view.colour)
        self._picture = self._view.picture(image)
        seen = self._view.seen(self._picture)
        self._last_stamp_ns = stamp_ns(message.header.stamp)
        return seen


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
