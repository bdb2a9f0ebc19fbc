"""Any folder as a dataset: a sub-folder for each class, with images, event bags, or both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from topspark_ros.files import FileError, read_bytes

from .bags import BagError
from .colours import resized
from .compressed import CompressedImage
from .errors import DatasetError
from .event_bags import is_event_bag, read_packets
from .events import EventDecoder, EventError, EventGrid, TimeWindows, count_image
from .images import ImageError
from .objects import centre_object, resized_shape

SIDE = 28  # of a sample, pixels
PHOTOGRAPH_SIDE = 256  # the longer one of a photograph at most, pixels
MAX_IMAGE_BYTES = 2**28
WINDOW_NS = 50_000_000  # of sensor time, for a sample from an event bag

_TEST_SHARE = 0.2
_FULL_SCALE_PERCENTILE = 99  # of an event image's cells; brighter ones are cut off


def load_folder(
    root: Path, split: str, photographs: bool = False
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Samples, labels and class names as in Dataset.

    Each sub-folder of `root` is a class, named by it; hidden ones are skipped. An image of 28 x 28
    is taken as it is, of any other size it is centred by `centre_object`. As a photograph it keeps
    its colours, and its size up to 256 pixels a side. An event bag is a folder
    with metadata.yaml or an .mcap or .db3 file; each 50 ms of it is a sample: the counts of its
    events on the grid, brightest at their 99th percentile.

    A fifth of each class is for testing: of the images by a fixed shuffle, of each bag its last
    part, because windows next to each other are alike. Both parts are shuffled.

    Raises DatasetError naming the path and what belongs there.
    """
    classes = sorted(path for path in _visible(root) if path.is_dir())
    if not classes:
        raise DatasetError(
            f'{root}: no sub-folder, accepted is one for each class with its images or event bags'
        )
    random = np.random.default_rng(0)
    parts: dict[str, tuple[list[np.ndarray], list[int]]] = {'train': ([], []), 'test': ([], [])}
    for label, folder in enumerate(classes):
        for (images, labels), samples in zip(
            parts.values(), _load_class(folder, random, photographs)
        ):
            images.extend(samples)
            labels.extend([label] * len(samples))
    for images, labels in parts.values():
        order = random.permutation(len(labels))
        images[:] = [images[i] for i in order]
        labels[:] = [labels[i] for i in order]
    chosen = list(parts.values()) if split == 'all' else [parts[split]]
    images = [image for part, _ in chosen for image in part]
    labels = [label for _, part in chosen for label in part]
    return _together(images), np.array(labels, np.int64), tuple(path.name for path in classes)


def _together(images: list[np.ndarray]) -> np.ndarray:
    """As in Dataset."""
    if images[0].ndim == 2:
        return np.stack(images)
    photographs = np.empty(len(images), object)
    photographs[:] = images
    return photographs


def _load_class(
    folder: Path,
    random: np.random.Generator,
    photographs: bool,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The samples of one class for training and for testing."""
    paths = [folder] if is_event_bag(folder) else sorted(_visible(folder))
    images = [_read_image(path, photographs) for path in paths if not is_event_bag(path)]
    bags = [list(_read_bag(path)) for path in paths if is_event_bag(path)]
    if photographs:
        bags = [[cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) for image in bag] for bag in bags]
    # What can be cut anywhere: the later part of each is for testing.
    series = [[images[i] for i in random.permutation(len(images))], *bags]
    total = sum(map(len, series))
    if total < 2:
        raise DatasetError(
            f'{folder}: {total} samples, accepted is 2 or more: put images there, '
            f'or event bags longer than {WINDOW_NS // 1_000_000} ms'
        )
    test_counts = [round(_TEST_SHARE * len(samples)) for samples in series]
    if not any(test_counts):
        test_counts[int(np.argmax([len(samples) for samples in series]))] = 1
    train, test = [], []
    for samples, count in zip(series, test_counts):
        boundary = len(samples) - count
        train += samples[:boundary]
        test += samples[boundary:]
    return train, test


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith('.'))


def _read_image(path: Path, photograph: bool) -> np.ndarray:
    try:
        content = read_bytes(path, MAX_IMAGE_BYTES, 'an image')
        if photograph:
            rgb = CompressedImage(path.suffix, content).rgb(PHOTOGRAPH_SIDE)
            return _bounded(_eight_bits(rgb))
        gray = CompressedImage(path.suffix, content, colour=False).gray()
    except FileError as error:
        raise DatasetError(str(error)) from None
    except ImageError as error:
        raise DatasetError(
            f'{path}: {error}; in the folder of a class put images and event bags alone'
        ) from None
    if gray.shape == (SIDE, SIDE):
        return _eight_bits(gray)
    return np.rint(255 * centre_object(gray, SIDE)).astype(np.uint8).reshape(SIDE, SIDE)


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def _bounded(rgb: np.ndarray) -> np.ndarray:
    """The same, no side longer than PHOTOGRAPH_SIDE."""
    height, width = rgb.shape[:2]
    if max(height, width) <= PHOTOGRAPH_SIDE:
        return rgb
    return resized(rgb, *resized_shape((height, width), PHOTOGRAPH_SIDE))


def _read_bag(path: Path) -> Iterator[np.ndarray]:
    """The samples of one event bag, in order of time."""
    stages = {}
    try:
        for packet in read_packets(path):
            camera = packet.encoding, packet.width, packet.height
            if camera not in stages:
                stages[camera] = (
                    EventDecoder(*camera),
                    TimeWindows(WINDOW_NS),
                    EventGrid(*camera[1:], rows=SIDE, columns=SIDE),
                )
            decoder, windows, grid = stages[camera]
            gaps = decoder.counts.gaps
            events, _ = decoder.decode(packet.payload, packet.time_base, packet.seq)
            if decoder.counts.gaps > gaps:
                windows.reset()
            for window in windows.push(events):
                image = count_image(window, grid)
                if image.any():
                    yield _scaled(image)
    except (BagError, EventError) as error:
        message = str(error) if isinstance(error, BagError) else f'{path}: {error}'
        raise DatasetError(message) from None


def _scaled(counts: np.ndarray) -> np.ndarray:
    """Counts as grey levels, uint8."""
    full = np.percentile(counts, _FULL_SCALE_PERCENTILE) or counts.max()  # few cells in use
    return np.rint(np.minimum(counts / full, 1) * 255).astype(np.uint8)
