"""Everything between a sensor and the network: images, objects, slots, datasets, scenes.

Event cameras have their own package, `events`; `bags` reads recordings, and `event_bags` those of
event cameras: they bring Numba and the readers of bags, so they are imported where they are needed.
"""

from .datasets import DATASET_NAMES, Dataset, DatasetError, load_dataset
from .images import ENCODINGS, ImageError, decode_compressed, to_gray
from .objects import centre_object
from .scenes import SceneRenderer
from .slot import LatestSlot

__all__ = [
    'DATASET_NAMES', 'Dataset', 'DatasetError', 'ENCODINGS', 'ImageError', 'LatestSlot',
    'SceneRenderer', 'centre_object', 'decode_compressed', 'load_dataset', 'to_gray',
]
