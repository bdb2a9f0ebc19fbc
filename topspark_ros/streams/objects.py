"""The object in a camera frame, centred and scaled into the network's input grid."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_WORK_SIDE = 160      # longest side of the image worked on, pixels
_FIT_SIDE = 40        # and of the one that the background is fitted to
_CROP_SIDE = 48       # a smaller image is a crop: no room to tell light from object
_FILL = 20 / 28       # share of the grid that the object's bounding square takes
_LEAST_CONTRAST = 12 / 255  # share of the brightest level, between object and background
_LEAST_STEPS = 2      # of the levels that a camera tells apart; gradients have steps of one
_NOISE_FACTOR = 6     # an object stands out by this many standard deviations of the noise
_INK_LEVEL = 0.4      # share of the peak contrast from which a pixel belongs to the object
_LEAST_AREA = 12      # pixels worked on, of an object; a faulty pixel of the camera has 9
_LEAST_SHARE = 0.1    # of all that stands out, in one object; noise is spread over the frame
_SPECK_SHARE = 0.05   # components smaller than this share of the largest are specks
_GAP_SHARE = 0.1      # of its size, by which a part of an object may lie off the largest one
_OVERSAMPLING = 3     # samples a cell and direction, averaged


def centre_object(gray: np.ndarray, size: int = 28) -> np.ndarray:
    """The object in `gray`, centred and scaled, as (size * size,) float32 in 0..1.

    The background, a smooth surface under uneven light, is fitted and removed; what stands
    out from it, dark or light, is the object. As in MNIST's preparation (LeCun et al. 1998,
    Proc. IEEE 86(11)) its bounding square takes 20/28 of the grid and its centre of mass
    lies in the middle; what lies apart from its largest part is not of it. The object is bright
    on 0; row-major. All zeros when nothing stands out: a uniform frame or one of mere noise.
    Contrast is judged by the brightest level of the frame and its noise, so that exposure, and
    how many of 16 bits a camera uses, make no difference. An image of at most 48 pixels a side
    is taken as a crop on an even background.

    gray: (height, width) uint8 or uint16, may be read-only and strided.
    size: side of the square grid, cells.
    """
    work = _resize(gray, _WORK_SIDE)
    relief = cv2.GaussianBlur(_remove_background(gray, work), (5, 5), 1.0)
    # The object is the part that stands out most, so its sign survives the third power.
    if cv2.sumElems(relief * relief * relief)[0] < 0:
        relief = -relief
    peak = float(relief.max())
    mask = np.empty(0, np.uint8)
    if peak >= max(_LEAST_STEPS, _LEAST_CONTRAST * float(work.max()),
                   _NOISE_FACTOR * _noise(relief, gray.shape)):
        mask = main_part(relief > _INK_LEVEL * peak)
    if not mask.any():
        return np.zeros(size * size, np.float32)

    # Keep the soft edge of the strokes, drop what lies further away.
    ink = relief * cv2.dilate(mask, np.ones((5, 5), np.uint8))
    ink *= 1 / peak
    np.clip(ink, 0, 1, out=ink)
    centre, side = framed(mask, ink)

    fine = size * _OVERSAMPLING
    scale = side / fine  # work pixels a sample
    middle = (fine - 1) / 2
    to_work = np.array([[scale, 0, centre[0] - scale * middle],
                        [0, scale, centre[1] - scale * middle]])
    samples = cv2.warpAffine(ink, to_work, (fine, fine),
                             flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return cv2.resize(samples, (size, size), interpolation=cv2.INTER_AREA).reshape(-1)


def _remove_background(gray: np.ndarray, work: np.ndarray) -> np.ndarray:
    """The image, also given at work size, minus its background: at work size, float32."""
    work = work.astype(np.float32)
    if _is_crop(gray.shape):
        border = np.concatenate((gray[0], gray[-1], gray[:, 0], gray[:, -1]))
        return work - np.median(border).astype(np.float32)

    coarse = _resize(gray, _FIT_SIDE).astype(np.float32).ravel()
    shape = _resized_shape(gray.shape, _FIT_SIDE)
    basis = _surfaces(shape)
    # Least squares, first on the frame's edge, where the object is unlikely, then on
    # every pixel that fits that surface about as well as the better half does.
    inliers = _edge(shape)
    ridge = np.float32(1e-3) * np.eye(6, dtype=np.float32)  # for an image one pixel wide
    for _ in range(3):
        chosen = basis[inliers]
        surface = np.linalg.solve(chosen.T @ chosen + ridge, chosen.T @ coarse[inliers])
        deviation = np.abs(coarse - basis @ surface)
        inliers = deviation <= 4 * np.median(deviation)
    return work - (_surfaces(work.shape) @ surface).reshape(work.shape)


def _noise(relief: np.ndarray, shape: tuple[int, int]) -> float:
    """The standard deviation of the noise, grey levels."""
    if _is_crop(shape):
        return 0.0  # the object may fill more than half of it
    # Of a normal distribution, by the median absolute deviation; half of the pixels will do.
    return 1.4826 * float(np.median(np.abs(relief[::2])))


def _is_crop(shape: tuple[int, int]) -> bool:
    return max(shape) <= _CROP_SIDE


def _resized_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = longest / max(shape)
    return tuple(max(1, round(side * scale)) for side in shape)


def _resize(gray: np.ndarray, longest: int) -> np.ndarray:
    height, width = _resized_shape(gray.shape, longest)
    shrinking = longest < max(gray.shape)
    return cv2.resize(gray, (width, height),
                      interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)


@lru_cache(maxsize=8)
def _surfaces(shape: tuple[int, int]) -> np.ndarray:
    """The polynomials up to degree 2 over an image, (height * width, 6) float32."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]),
                       indexing='ij')
    surfaces = np.stack((np.ones(shape), x, y, x * x, x * y, y * y), axis=-1)
    return surfaces.reshape(-1, 6).astype(np.float32)


@lru_cache(maxsize=8)
def _edge(shape: tuple[int, int]) -> np.ndarray:
    """Which pixels lie within 3 of the image's edge, (height * width,) bool."""
    edge = np.ones(shape, bool)
    edge[3:-3, 3:-3] = False
    return edge.ravel()


def framed(mask: np.ndarray, ink: np.ndarray) -> tuple[tuple[float, float], float]:
    """Where an object is looked at: x and y of its centre of mass, and the side of a square in
    which its bounding square takes 20/28, pixels.

    mask: of the object, uint8. ink: how much of it each pixel holds, float32, not all 0.
    """
    _, _, width, height = cv2.boundingRect(mask)
    moments = cv2.moments(ink)
    centre = moments['m10'] / moments['m00'], moments['m01'] / moments['m00']
    return centre, max(width, height) / _FILL


def main_part(mask: np.ndarray) -> np.ndarray:
    """A mask, bool, without specks and what lies apart from the largest component, as uint8.

    Empty if that is no object, but a faulty pixel or the largest speck of noise.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    low, size = stats[:, :2], stats[:, 2:4]
    largest = int(np.argmax(areas))
    # Between the boxes, along the axis where they are further apart; negative: they overlap.
    gap = np.maximum(low - (low + size)[largest], low[largest] - (low + size)).max(axis=1)
    belongs = areas >= max(1, _SPECK_SHARE * areas[largest])
    belongs &= gap <= _GAP_SHARE * size[largest].max()
    if areas[belongs].sum() < max(_LEAST_AREA, _LEAST_SHARE * areas.sum()):
        belongs[:] = False
    return belongs.astype(np.uint8)[labels]
