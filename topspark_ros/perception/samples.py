"""Messages of cameras and event cameras as what the network is shown."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.messages import Message, camera_image, stamp_ns
from topspark_ros.streams.colours import Square
from topspark_ros.streams.events import EventStream
from topspark_ros.streams.events.stream import SeenWindow
from topspark_ros.streams.images import CameraImage
from topspark_ros.streams.objects import WORK_SIDE, cut_objects, locate_objects


class Sight(NamedTuple):
    """An object in a camera's frame as the network sees it, and where it is.

    sample: float32: (side * side,), or (side * side * 3,) in colour, or (features,) of an encoder.
        All zeros where nothing stands out.
    square: of the image that this is, pixels; None where no object was found.
    image: the frame. It shares its bytes with the message.
    picture: that the sample is of, without an encoder the same, float32 in 0 to 1.
    """

    sample: np.ndarray
    square: Square | None
    image: CameraImage
    picture: np.ndarray

    def picture_rgb(self) -> np.ndarray:
        """The picture for people, (side, side, 3) uint8. In grey what is brightest is white."""
        channels = 1 if math.isqrt(self.picture.size) ** 2 == self.picture.size else 3
        side = math.isqrt(self.picture.size // channels)
        white = 1.0 if channels == 3 else max(self.picture.max(), 1e-9)
        levels = np.rint(np.clip(self.picture / white, 0, 1) * 255).astype(np.uint8)
        return np.broadcast_to(levels.reshape(side, side, channels), (side, side, 3))


class View(NamedTuple):
    """What the network sees of a camera's frame.

    side: of a picture, pixels.
    colour: red, green and blue as the camera sees them; False: the object, bright on 0.
    whole: the central square of the frame; False: the object that stands out. In colour alone.
    encoder: whose features of the picture, in colour, the network sees; None: the picture itself.
    max_objects: that are seen in a frame, if not the whole is.
    """

    side: int
    colour: bool = False
    whole: bool = False
    encoder: Encoder | None = None
    max_objects: int = 1

    def of(self, image: CameraImage) -> np.ndarray:
        """The sample of the most salient object in an image, as of `Sight`."""
        return self.look(image)[0].sample

    def look(self, image: CameraImage) -> list[Sight]:
        """The objects, the most salient first; a single one without a square where nothing stands
        out."""
        sights = []
        for picture, square in self._pictures(image):
            sample = picture if self.encoder is None else self.encoder(picture)
            sights.append(Sight(sample, square, image, picture))
        return sights

    def _pictures(self, image: CameraImage) -> list[tuple[np.ndarray, Square | None]]:
        if self.whole:
            return [(image.central_picture(self.side), image.central_square)]
        gray, factor = image.reduced_gray(WORK_SIDE)
        pictures: list[tuple[np.ndarray, Square | None]] = []
        if self.colour:
            for square in locate_objects(gray, self.max_objects):
                square = square.scaled(factor)
                pictures.append((image.picture(square, self.side), square))
        else:
            for picture, square in cut_objects(gray, self.side, self.max_objects):
                pictures.append((picture, square.scaled(factor)))
        channels = 3 if self.colour else 1
        return pictures or [(np.zeros(channels * self.side**2, np.float32), None)]


class ImageSamples:
    """The frames of one camera, in order."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._last_stamp_ns = 0

    def take(self, message: Message) -> list[Sight]:
        """What the view is of a sensor_msgs/Image or CompressedImage, as of `View.look`.

        Raises ImageError as `camera_image` does; the next frame is taken as if there had been none.
        """
        image = camera_image(message, self._last_stamp_ns, self._view.colour)
        sights = self._view.look(image)
        self._last_stamp_ns = stamp_ns(message.header.stamp)
        return sights


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
