"""Files of filters for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from topspark_ros.engine.filters import PACKAGED


def write_filters(path: Path, **others: np.ndarray) -> dict[str, np.ndarray]:
    """Those of the package in int8 and in another order, or other arrays in their place; returns
    what is in the file."""
    with np.load(PACKAGED) as packaged:
        arrays = {
            name: np.rint(127 * array[:, ::-1]).astype(np.int8) if array.ndim == 2 else 127 * array
            for name, array in packaged.items()
        }
    arrays |= others
    np.savez(path, **arrays)
    return arrays
