"""Camera views of handwritten digits, ink on paper under changing light, and of photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .colours import resized
from .objects import centre_object

# Colours as BGR fractions of the light that falls on them.
_PAPER = (0.90, 0.97, 1.0)
_INK = (0.42, 0.20, 0.16)

_NOISE_MARGIN = 64  # pixels by which the noise field is larger than a frame
TURN_FRAMES = 8  # in which an image goes round a circle once
_CIRCLE = 4 / 120  # radius that an image circles with, as a share of the frame's shorter side


class SceneRenderer:
    """Draws images of a dataset into camera frames: photographs as they are, grey images as ink on
    paper.

    A photograph fills the frame as far as it fits, and its edge goes on beyond it. Where there is
    ink, from frame to frame the position wanders, and the level, direction and strength of the
    light, the contrast of the ink and the sensor's noise change; from image to image the
    position jitters. All of it follows from the seed and what was rendered so far, so that
    two renderers with equal arguments and equal calls give equal frames.

    Parameters
    ----------
    images
        As of Dataset.
    height, width
        Of a frame, pixels.
    seed
        Of everything that changes.
    """

    def __init__(
        self,
        images: np.ndarray,
        height: int = 240,
        width: int = 320,
        seed: int = 0,
    ) -> None:
        self._images = images
        self._height = height
        self._width = width
        self._random = np.random.default_rng(seed)
        self._frames = 0
        self._side = round(0.6 * min(height, width))  # of an image in a frame, pixels
        # Each changing quantity is a slow sine with its own period (frames) and phase.
        self._periods = self._random.uniform(150, 500, size=7)
        self._phases = self._random.uniform(0, 2 * math.pi, size=7)
        # Drawing fresh noise would cost more than all the rest: shift one field instead.
        self._noise = self._random.standard_normal(
            (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3), dtype=np.float32
        )
        self._rows, self._columns = np.meshgrid(
            np.linspace(-0.5, 0.5, height, dtype=np.float32),
            np.linspace(-0.5, 0.5, width, dtype=np.float32),
            indexing='ij',
        )

    def render(self, index: int) -> np.ndarray:
        """The next frame, showing image `index` once: (height, width, 3) uint8, BGR."""
        if _is_photograph(self._images[index]):
            return self._show(index, np.zeros(2))
        jitter = self._draw_jitter()
        waves = self._next_waves()
        return self._draw(index, np.round(self._corner(waves, jitter)), waves)

    def circle(self, index: int, frames: int) -> Iterator[np.ndarray]:
        """The next `frames` frames, in which image `index` goes round a small circle.

        It takes TURN_FRAMES for a turn, and moves from frame to frame as smoothly as before a
        camera, by parts of a pixel. Each frame is (height, width, 3) uint8, BGR.
        """
        jitter = self._draw_jitter()
        radius = _CIRCLE * min(self._height, self._width)
        start = self._random.uniform(0, 2 * math.pi)
        for frame in range(frames):
            angle = start + 2 * math.pi * frame / TURN_FRAMES
            offset = radius * np.array([math.sin(angle), math.cos(angle)])
            if _is_photograph(self._images[index]):
                yield self._show(index, offset)
                continue
            waves = self._next_waves()
            yield self._draw(index, self._corner(waves, jitter) + offset, waves)

    def _show(self, index: int, offset: np.ndarray) -> np.ndarray:
        """A frame with a photograph that lies so many pixels below and right of its middle."""
        photograph = self._images[index]
        height, width = photograph.shape[:2]
        scale = min(self._height / height, self._width / width)
        height, width = max(1, round(scale * height)), max(1, round(scale * width))
        shown = resized(photograph, height, width)
        down, right = offset.tolist()
        middle = (width - 1) / 2 - right, (height - 1) / 2 - down
        # Beyond the image this repeats its edge.
        frame = cv2.getRectSubPix(shown, (self._width, self._height), middle)
        return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)

    def _draw_jitter(self) -> np.ndarray:
        """Down and across, as shares of the room that an image has in a frame."""
        return self._random.uniform(-0.05, 0.05, size=2)

    def _next_waves(self) -> np.ndarray:
        """What changes slowly, each in -1..1, in the frame that is drawn next."""
        waves = np.sin(2 * math.pi * self._frames / self._periods + self._phases)
        self._frames += 1
        return waves

    def _corner(self, waves: np.ndarray, jitter: np.ndarray) -> np.ndarray:
        """The top and left of an image in the frame, pixels, float64."""
        room = np.array([self._height - self._side, self._width - self._side])
        return room * (0.5 + 0.4 * waves[1::-1] + jitter)

    def _draw(self, index: int, corner: np.ndarray, waves: np.ndarray) -> np.ndarray:
        """A frame with image `index` at a corner: (height, width, 3) uint8, BGR."""
        level, angle, slope, contrast, noise = waves[2:].tolist()
        ink = self._draw_ink(self._images[index], *corner.tolist())
        ink *= 0.78 + 0.17 * contrast
        angle *= math.pi
        slope = 0.25 + 0.2 * slope
        light = self._columns * (slope * math.cos(angle)) + self._rows * (slope * math.sin(angle))
        light += 1
        light *= 165 + 45 * level

        channels = [light * paper * (1 - ink * (1 - colour)) for paper, colour in zip(_PAPER, _INK)]
        top, left = self._random.integers(0, _NOISE_MARGIN, size=2)
        field = self._noise[top : top + self._height, left : left + self._width]
        frame = cv2.scaleAdd(field, 5 + 3 * noise, cv2.merge(channels))
        # A camera saturates: round and clip to 0..255.
        return cv2.convertScaleAbs(cv2.threshold(frame, 0, 0, cv2.THRESH_TOZERO)[1])

    def _draw_ink(self, image: np.ndarray, top: float, left: float) -> np.ndarray:
        """The coverage by ink, (height, width) float32 in 0..1."""
        # A margin of paper, or strokes that end at the image's edge would look cut off.
        margined = cv2.copyMakeBorder(
            image.astype(np.float32) * (1 / 255), 1, 1, 1, 1, cv2.BORDER_CONSTANT
        )
        smooth: np.ndarray = cv2.resize(
            margined, (self._side, self._side), interpolation=cv2.INTER_CUBIC
        )
        # Bicubic upscaling leaves a blur; a smooth step gives a stroke the edge of a pen.
        np.clip((smooth - 0.2) * (1 / 0.6), 0, 1, out=smooth)
        smooth *= smooth * (3 - 2 * smooth)
        # What lies outside repeats the edge, which has to be paper. At whole pixels this copies.
        smooth = cv2.copyMakeBorder(smooth, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        middle = (self._width - 1) / 2 - left + 1, (self._height - 1) / 2 - top + 1
        return cv2.getRectSubPix(smooth, (self._width, self._height), middle)


def _is_photograph(image: np.ndarray) -> bool:
    return image.ndim == 3


@dataclass(frozen=True)
class View:
    """A frame of a camera in front of which images are shown.

    index: of the image.
    number: of the frame among those that show this image, from 0.
    labelled: whether this is the last of them, and the label of the image is given.
    frame: (height, width, 3) uint8, BGR.
    """

    index: int
    number: int
    labelled: bool
    frame: np.ndarray


def show_images(
    images: np.ndarray,
    height: int,
    width: int,
    frames_per_image: int,
    label_share: float,
    seed: int,
) -> Iterator[View]:
    """Every image in random order, then every image again in another order, and so on for ever.

    images, height, width: as of SceneRenderer.
    frames_per_image: 1: each image stands still at a place of its own; more: it goes round a small
        circle, once in TURN_FRAMES.
    label_share: of the images, 0..1, that are labelled.
    seed: of the order, the scenes and the choice of labels.
    """
    random = np.random.default_rng(seed)
    scenes = SceneRenderer(images, height, width, seed)
    while True:
        for index in random.permutation(len(images)):
            frames = (
                [scenes.render(index)]
                if frames_per_image == 1
                else scenes.circle(index, frames_per_image)
            )
            for number, frame in enumerate(frames):
                labelled = number == frames_per_image - 1 and random.random() < label_share
                yield View(index, number, labelled, frame)


def _centred(rgb: np.ndarray) -> np.ndarray:
    return centre_object(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def camera_views(
    images: np.ndarray,
    seed: int,
    disturb: Callable[[np.ndarray], np.ndarray] = lambda frame: frame,
    advance: Callable[[], None] = lambda: None,
    see: Callable[[np.ndarray], np.ndarray] = _centred,
) -> np.ndarray:
    """Each image as the learner gets it: rendered and seen, (n, inputs) float32.

    Parameters
    ----------
    images, seed
        As of SceneRenderer.
    disturb
        What happens to a frame, (height, width, 3) uint8, before it is seen.
    advance
        Called after each image.
    see
        What is seen of a frame, (height, width, 3) uint8, RGB; else the object, found and centred
        in grey, 784 inputs.
    """
    scenes = SceneRenderer(images, seed=seed)
    views = []
    for index in range(len(images)):
        views.append(see(cv2.cvtColor(disturb(scenes.render(index)), cv2.COLOR_BGR2RGB)))
        advance()
    return np.stack(views)
