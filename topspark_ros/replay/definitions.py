"""The types of the messages that a bag of ours holds, as rosbags takes them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from topspark_ros.streams import event_bags

# The .msg files: beside this module where it is installed, else in the checkout that it is part of.
_FOLDERS = (Path(__file__).parent / 'msg', Path(__file__).resolve().parents[2] / 'msg')


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Those of ROS 2 Jazzy, our own of msg/, and the packets of event cameras."""
    types = {}
    for name in event_bags.EVENT_TYPES:
        types.update(get_types_from_msg(event_bags._DEFINITION, name))
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    for path in sorted(folder.glob('*.msg')):
        types.update(
            get_types_from_msg(path.read_text(encoding='utf-8'), f'topspark_ros/msg/{path.stem}')
        )
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(types)
    return store
