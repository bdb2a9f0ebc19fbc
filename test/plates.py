"""Photographs of plates of one grey and one form: colour alone tells the two kinds apart."""

from pathlib import Path

import cv2
import numpy as np


def write_plates(folder: Path, number: int) -> None:
    """So many of each kind, in sub-folders."""
    noise = np.random.default_rng(0)
    for name, bgr in (('plum', (150, 60, 150)), ('leaf', (60, 130, 60))):
        (folder / name).mkdir(parents=True)
        for index in range(number):
            image = np.full((90, 120, 3), bgr, np.uint8)
            cv2.circle(image, (60, 45), 20 + index % 20, (230, 230, 230), cv2.FILLED)
            image += noise.integers(0, 8, image.shape, np.uint8)
            assert cv2.imwrite(str(folder / name / f'{index}.png'), image)
