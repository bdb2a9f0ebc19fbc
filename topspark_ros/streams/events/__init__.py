"""Event cameras: packets to events, events to windows, windows to what the network takes.

Imports point one way: kernels, decoders, windows; encoder, filtering, moving, pictures,
pooling and simulation; views, stream.
"""

from .decoders import (
    EVENT,
    EVENT_ENCODINGS,
    TRIGGER,
    DecoderCounts,
    EventDecoder,
    EventError,
)
from .encoder import Evt3Encoder
from .filtering import HotPixelFilter, RateLimiter, hot_pixels
from .pictures import window_picture
from .pooling import EventGrid, count_image, spike_train
from .simulation import EventCamera
from .stream import EventSettings, EventStream, StreamCounts, warm_up
from .views import EventView, EventViewer
from .windows import CountWindows, TimeWindows, Window

__all__ = [
    'CountWindows',
    'DecoderCounts',
    'EVENT',
    'EVENT_ENCODINGS',
    'EventCamera',
    'EventDecoder',
    'EventError',
    'EventGrid',
    'EventSettings',
    'EventStream',
    'EventView',
    'EventViewer',
    'Evt3Encoder',
    'HotPixelFilter',
    'RateLimiter',
    'StreamCounts',
    'TRIGGER',
    'TimeWindows',
    'Window',
    'count_image',
    'hot_pixels',
    'spike_train',
    'warm_up',
    'window_picture',
]
