"""The encodings of event cameras decoded word by word: slow, plain, for comparison only."""

import struct


def words_of(payload, code, size):
    return [
        word for (word,) in struct.iter_unpack('<' + code, payload[: len(payload) // size * size])
    ]


class Evt3:
    """State from packet to packet; `decode` gives (t, x, y, p) and (t, edge, id)."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.y = self.base = self.polarity = self.low = self.high = self.epoch = 0
        self.valid = False

    def decode(self, payload, time_base):
        events, triggers = [], []
        high_seen = False

        def emit(x, polarity):
            if x < self.width and self.y < self.height:
                events.append((time, x, self.y, polarity))

        for word in words_of(payload, 'H', 2):
            code, value = word >> 12, word & 0xFFF
            if code == 8:
                if value < self.high and self.high - value > 10:
                    self.epoch += 1
                self.high, high_seen = value, True
            elif code == 6:
                self.low = value
                self.valid = self.valid or high_seen
            if not self.valid:
                continue
            time = (self.epoch * 2**24 + self.high * 2**12 + self.low) * 1000
            if code == 0:
                self.y = value & 0x7FF
            elif code == 2:
                emit(value & 0x7FF, value >> 11)
            elif code == 3:
                self.base, self.polarity = value & 0x7FF, value >> 11
            elif code in (4, 5):
                pixels = 12 if code == 4 else 8
                for bit in range(pixels):
                    if value >> bit & 1:
                        emit(self.base + bit, self.polarity)
                self.base = (self.base + pixels) % 65536
            elif code == 10:
                triggers.append((time, value & 1, value >> 8))
            # OTHERS, CONTINUED and unknown codes are passed over.
        return events, triggers


class Evt2:
    """As Evt3. The halves of evt21 are told apart at the first TIME_HIGH words."""

    WORD = 'I', 4

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.high, self.epoch = 0, 0
        self.valid = False

    def heads_and_masks(self, payload):
        return [(word, 1) for word in words_of(payload, *self.WORD)]

    def decode(self, payload, time_base):
        events, triggers = [], []
        for head, mask in self.heads_and_masks(payload):
            code, value = head >> 28, head % 2**28
            if code == 8:
                if self.high - value > 2**27:
                    self.epoch += 1
                self.high, self.valid = value, True
            if not self.valid:
                continue
            time = (self.epoch * 2**34 + self.high * 2**6 + (head >> 22) % 2**6) * 1000
            if code <= 1:
                x, y = (head >> 11) % 2**11, head % 2**11
                for bit in range(32):
                    if mask >> bit & 1 and x + bit < self.width and y < self.height:
                        events.append((time, x + bit, y, code))
            elif code == 10:
                triggers.append((time, head & 1, (head >> 8) % 2**5))
        return events, triggers


class Evt21(Evt2):
    WORD = 'Q', 8

    def __init__(self, width, height):
        super().__init__(width, height)
        self.order = None

    def heads_and_masks(self, payload):
        words = words_of(payload, *self.WORD)
        halves = [(word >> 32, word % 2**32) for word in words]
        if self.order is None:
            above = sum(upper >> 28 == 8 and lower == 0 for upper, lower in halves)
            below = sum(lower >> 28 == 8 and upper == 0 for upper, lower in halves)
            if above == below:
                return []
            self.order = 1 if above > below else -1
        return [pair[:: self.order] for pair in halves]


class LibcaerCmp:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.x = self.base = self.polarity = 0

    def decode(self, payload, time_base):
        events = []
        high = low = 0

        def emit(y, polarity):
            if self.x < self.width and y < self.height:
                events.append((time_base + 1000 * (high * 4096 + low), self.x, y, polarity))

        for word in words_of(payload, 'H', 2):
            code, value = word >> 12, word & 0xFFF
            if code == 0:
                high = value
            elif code == 1:
                low = value
            elif code == 2:
                self.x = value & 0x7FF
            elif code == 3:
                emit(value & 0x7FF, value >> 11)
            elif code == 4:
                self.base, self.polarity = value & 0x7FF, value >> 11
            elif code == 5:
                for bit in range(8):
                    if value >> bit & 1:
                        emit(self.base + bit, self.polarity)
                self.base = (self.base + 8) % 65536
        return events, []


class Libcaer:
    def __init__(self, width, height):
        self.width, self.height = width, height

    def decode(self, payload, time_base):
        events = []
        wraps = 0
        previous = -(2**31)
        for word in words_of(payload, 'q', 8):
            data, time = word & 0xFFFFFFFF, word >> 32
            wraps += time < previous
            previous = time
            x, y = data >> 17, data >> 2 & 0x7FFF
            if data & 1 and x < self.width and y < self.height:
                events.append((time_base + 1000 * (time + wraps * 2**31), x, y, data >> 1 & 1))
        return events, []


class Mono:
    def __init__(self, width, height):
        self.width, self.height = width, height

    def decode(self, payload, time_base):
        events = []
        for word in words_of(payload, 'Q', 8):
            x, y = word >> 32 & 0xFFFF, word >> 48 & 0x7FFF
            if x < self.width and y < self.height:
                events.append((time_base + (word & 0xFFFFFFFF), x, y, word >> 63))
        return events, []


REFERENCES = {
    'evt2': Evt2,
    'evt21': Evt21,
    'evt3': Evt3,
    'libcaer_cmp': LibcaerCmp,
    'libcaer': Libcaer,
    'mono': Mono,
}
