"""Pictures with several objects, as a data set in a folder."""

from pathlib import Path

import cv2
import numpy as np

SHAPES = 'box', 'disc', 'star'
HEIGHT, WIDTH = 72, 96
WALL = 140, 150, 145
COLOURS = (30, 40, 200), (60, 190, 230), (40, 60, 50)


def picture(largest: str, others: tuple[str, ...], random: np.random.Generator) -> np.ndarray:
    """The largest shape on the left, others on the right; (HEIGHT, WIDTH, 3) uint8, BGR."""
    shown = np.full((HEIGHT, WIDTH, 3), WALL, np.float32)
    _draw(shown, largest, 26, 36 + random.uniform(-4, 4), 17)
    for number, shape in enumerate(others):
        _draw(shown, shape, 76, 18 + 36 * number + random.uniform(-2, 2), 9)
    shown += random.normal(0, 1.5, shown.shape)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def write_pictures(folder: Path, of_each: int = 10) -> Path:
    """Of each of SHAPES as the largest one so many pictures; each has one or two others."""
    random = np.random.default_rng(0)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for number in range(of_each):
            others = tuple(random.choice(SHAPES, 1 + number % 2))
            path = folder / shape / f'{number}.png'
            cv2.imwrite(str(path), picture(shape, others, random))
    return folder


def _draw(shown: np.ndarray, shape: str, x: float, y: float, radius: float) -> None:
    corners, ratio = {'box': (4, 1.0), 'disc': (40, 1.0), 'star': (10, 0.45)}[shape]
    angles = np.arange(corners) * 2 * np.pi / corners + np.pi / 4
    radii = radius * np.where(np.arange(corners) % 2, ratio, 1.0)
    outline = np.stack((x + radii * np.cos(angles), y + radii * np.sin(angles)), axis=1)
    colour = COLOURS[SHAPES.index(shape)]
    cv2.fillPoly(shown, [np.rint(16 * outline).astype(np.int32)], colour, cv2.LINE_AA, 4)
