"""Event-camera packets to events: one decoder for each (encoding, width, height).

The encodings are those of event_camera_msgs/msg/EventPacket, named as drivers name them. Some of
them carry registers from packet to packet, so packets go to their decoder in order and once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from topspark_ros.errors import TopsparkError

from . import kernels

# x, y: pixels; p: polarity, 1 = brighter; t: sensor time, ns. 16 bytes.
EVENT = np.dtype([('x', 'u2'), ('y', 'u2'), ('p', 'u1'), ('t', 'i8')], align=True)

# edge: 1 = rising; id: of the input; t: sensor time, ns. 16 bytes.
TRIGGER = np.dtype([('edge', 'u1'), ('id', 'u1'), ('t', 'i8')], align=True)

MAX_SIDE = 65535  # of a sensor, pixels
MAX_PIXELS = 1 << 24  # of a sensor; filters and pictures take tens of bytes for each
MAX_LOSS = 1 << 31  # packets; a larger step of `seq` is a restart

Buffer = bytes | bytearray | memoryview | array | np.ndarray


class EventError(TopsparkError):
    """What was asked for is rejected: one line with field, value and what is accepted."""


class _Encoding(NamedTuple):
    kernel: Callable
    word: np.dtype
    events_per_word: int  # at most


# NumPy looks types up each time.
_UINT16, _UINT32, _INT64 = np.dtype(np.uint16), np.dtype(np.uint32), np.dtype(np.int64)

_ENCODINGS = {
    'evt2': _Encoding(kernels.decode_evt2, _UINT32, 1),
    'evt21': _Encoding(kernels.decode_evt21, _INT64, 32),
    'evt3': _Encoding(kernels.decode_evt3, _UINT16, 12),
    'libcaer_cmp': _Encoding(kernels.decode_libcaer_cmp, _UINT16, 8),
    'libcaer': _Encoding(kernels.decode_libcaer, _INT64, 1),
    'mono': _Encoding(kernels.decode_mono, _INT64, 1),
}

EVENT_ENCODINGS = tuple(_ENCODINGS)

_NO_TRIGGERS = np.empty(0, TRIGGER)
_MAX_ROOM = 2 * (kernels.MAX_PACKET_EVENTS + 1 + kernels.MAX_PACKET_TRIGGERS)  # of one packet


class DecoderCounts(NamedTuple):
    """What a decoder has met so far.

    Parameters
    ----------
    packets
        Decoded.
    words
        In them; an event each of libcaer and mono.
    events, triggers
        Decoded.
    outside
        Events dropped because they lie outside the sensor.
    invalid
        Words with a code that the encoding does not know, and events that libcaer has marked as
        invalid. Such a word is skipped. OTHERS and CONTINUED, which hold data of the vendor's own,
        are passed over and not counted.
    untimed
        Words skipped because they came before the time was known, at the beginning and after lost
        packets: before a TIME_HIGH and a TIME_LOW after it (evt3), or before a TIME_HIGH (evt2,
        evt21).
    excess
        Events and triggers dropped because a packet holds more than MAX_PACKET_EVENTS or
        MAX_PACKET_TRIGGERS.
    truncated
        Packets whose last bytes were too few for a word; those bytes are dropped.
    wraps
        Overflows of the sensor's clock, made good.
    gaps
        Times that `seq` did not go up by one; registers were reset.
    lost_packets
        Missing in the gaps where `seq` went up.
    """

    packets: int
    words: int
    events: int
    triggers: int
    outside: int
    invalid: int
    untimed: int
    excess: int
    truncated: int
    wraps: int
    gaps: int
    lost_packets: int


def pixel_count(width: int, height: int) -> int:
    """Pixels of a sensor; EventError for a size that is none, or needs too much memory."""
    for field, value in (('width', width), ('height', height)):
        if not 1 <= value <= MAX_SIDE:
            raise EventError(f'{field} is {value}, accepted is 1 to {MAX_SIDE} pixels')
    if width * height > MAX_PIXELS:
        raise EventError(
            f'width x height is {width} x {height}, accepted is up to {MAX_PIXELS} pixels'
        )
    return width * height


class EventDecoder:
    """Decodes the packets of one event camera. Not for use by two threads at once.

    The kernel is compiled, or loaded from its cache, here. Raises EventError for an unknown
    encoding and an impossible size.

    Parameters
    ----------
    encoding
        One of EVENT_ENCODINGS.
    width, height
        Of the sensor, pixels.
    """

    def __init__(self, encoding: str, width: int, height: int) -> None:
        if encoding not in _ENCODINGS:
            raise EventError(
                f'encoding is {encoding!r}, accepted is one of {", ".join(EVENT_ENCODINGS)}'
            )
        pixel_count(width, height)
        self._kernel, self._word, events_per_word = _ENCODINGS[encoding]
        # For events and triggers; a word is one or the other where it is one event at most.
        self._room_per_word = 2 if events_per_word == 1 else 2 * events_per_word + 2
        self._scratch = np.empty(2, _INT64)
        self._next_seq: int | None = None
        self._state = np.zeros(kernels.STATE_SIZE, np.int64)
        self.decode(b'')
        self._state[:] = 0
        self._state[[kernels.WIDTH, kernels.HEIGHT]] = width, height

    @property
    def counts(self) -> DecoderCounts:
        return DecoderCounts(*self._state[kernels.COUNTERS].tolist())

    def decode(
        self,
        payload: Buffer,
        time_base: int = 0,
        seq: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The events and the triggers of one packet, in the order that they were sent.

        Returns arrays of EVENT and of TRIGGER, the caller's own. Whatever the bytes are, no event
        lies outside the sensor. Times are modulo 2^64 ns.

        Parameters
        ----------
        payload
            The packet's bytes, contiguous.
        time_base
            Of the packet, ns; evt2, evt21 and evt3 have their own.
        seq
            Of the packet. Unless it is the last one plus one, packets were lost or the driver has
            started again: the decoder then begins anew. None: not known.
        """
        if seq is not None:
            if seq != self._next_seq and self._next_seq is not None:
                self._begin_anew(seq - self._next_seq)
            self._next_seq = seq + 1

        try:
            words = np.frombuffer(payload, self._word)
        except ValueError:  # no bytes, or too many
            words = self._whole_words(payload)
        flags = words.flags
        if not flags.aligned or flags.writeable:  # one type of array, so that one compilation does
            words = words.copy()
            words.setflags(write=False)
        if time_base >= 1 << 63:  # uint64 in the message
            time_base -= 1 << 64

        room = self._room_per_word * words.size + 2
        if room > _MAX_ROOM:
            room = _MAX_ROOM
        if self._room_per_word == 2:  # mostly as many events as words: not worth a copy
            out = np.empty(room, _INT64)
        else:
            if self._scratch.size < room:
                self._scratch = np.empty(room, _INT64)
            out = self._scratch
        count = self._kernel(words, out, self._state, time_base)
        # Copied as numbers: NumPy copies structures field by field.
        is_kept = self._room_per_word == 2 and 2 * count >= words.size
        events: np.ndarray = np.ndarray(count, EVENT, out if is_kept else out[: 2 * count].copy())
        trigger_count = self._state[kernels.TRIGGERS_NOW]
        if not trigger_count:
            return events, _NO_TRIGGERS
        return events, out[-2 * trigger_count :].copy().view(TRIGGER)[::-1]

    def _whole_words(self, payload: Buffer) -> np.ndarray:
        data = np.frombuffer(bytes(payload) + bytes(1), np.uint8)[:-1]
        rest = data.size % self._word.itemsize
        self._state[kernels.TRUNCATED] += rest > 0
        return data[: data.size - rest].view(self._word)

    def _begin_anew(self, missing: int) -> None:
        """Forget the registers, but for the wraps of the sensor's clock after a mere loss."""
        self._state[kernels.GAPS] += 1
        epoch = 0
        if 0 < missing <= MAX_LOSS:
            self._state[kernels.LOST_PACKETS] += missing
            epoch = self._state[kernels.EPOCH]
        self._state[kernels.REGISTERS] = 0
        self._state[kernels.EPOCH] = epoch
