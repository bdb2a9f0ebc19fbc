"""Event cameras: packets to events, events to windows, windows to what the network takes.

Imports point one way: kernels, decoders, windows, pooling.
"""

from .decoders import (
    EVENT,
    EVENT_ENCODINGS,
    TRIGGER,
    DecoderCounts,
    EventDecoder,
    EventError,
)
from .pooling import EventGrid, count_image, spike_train
from .windows import CountWindows, TimeWindows, Window

__all__ = [
    'CountWindows',
    'DecoderCounts',
    'EVENT',
    'EVENT_ENCODINGS',
    'EventDecoder',
    'EventError',
    'EventGrid',
    'TRIGGER',
    'TimeWindows',
    'Window',
    'count_image',
    'spike_train',
]
