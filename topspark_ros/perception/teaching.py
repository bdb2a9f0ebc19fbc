"""Which label names which sample: labels and samples find each other, in whatever order they come.

A sample takes from `begin_ns` to before `end_ns`: a window of events does, while an image begins
and ends with its stamp. A label names one moment, and so the sample that the moment lies in, or a
span of time, and so every sample that lies wholly within it. All times are host times, ns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Reversible
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from topspark_ros.errors import TopsparkError

MAX_NAME = 200  # characters of a class, which each result and checkpoint names
MAX_KEPT = 256  # labels, or samples, kept for each other


class LabelError(TopsparkError):
    """A label was rejected: one line with what is wrong and what is accepted."""


class Sample(Protocol):
    """Something that took some time."""

    begin_ns: int
    end_ns: int


AnySample = TypeVar('AnySample', bound=Sample)


class TimedLabel(NamedTuple):
    """A class, and when it was seen. until_ns 0: at `stamp_ns`, one moment."""

    stamp_ns: int
    class_name: str
    until_ns: int = 0

    def names(self, sample: Sample) -> bool:
        if self.until_ns:
            return self.stamp_ns <= sample.begin_ns and sample.end_ns <= self.until_ns
        return self.stamp_ns == sample.begin_ns or (sample.begin_ns < self.stamp_ns < sample.end_ns)

    def is_over(self, begin_ns: int) -> bool:
        """Whether it names no sample that begins then or later."""
        return (self.until_ns or self.stamp_ns) < begin_ns


def named_by(label: TimedLabel, samples: Reversible[AnySample]) -> list[AnySample]:
    """Of samples in the order of their time those that the label names."""
    named = []
    for sample in reversed(samples):
        if sample.end_ns < label.stamp_ns:
            break
        if label.names(sample):
            named.append(sample)
    return named[::-1]


def check_name(class_name: str, field: str = 'class_id') -> None:
    """LabelError, naming the field of the message, for what cannot be the name of a class."""
    if not class_name.strip():
        raise LabelError(f'{field}: empty; accepted: any name that is not empty')
    if len(class_name) > MAX_NAME:
        raise LabelError(f'{field}: {len(class_name)} characters; accepted: at most {MAX_NAME}')


def check_label(class_name: str, stamp_ns: int, until_ns: int) -> None:
    """LabelError, naming the field of the message, for a label that cannot name anything."""
    check_name(class_name)
    if until_ns and not 0 < stamp_ns <= until_ns:
        raise LabelError(
            f'until: {until_ns * 1e-9:.3f} s with header.stamp {stamp_ns * 1e-9:.3f} '
            's; accepted: zero, or a time from header.stamp on, which is then not '
            'zero'
        )


@dataclass(frozen=True)
class Teaching:
    """Somebody shows a class: whatever comes into view is labelled with it.

    begin_s, end_s: on the clock that stamps are of, s; an end of inf: until it is stopped.
    received_from_s: its beginning on the clock that frames are received by, s. A frame that was
        received before, and waited, may show something else.
    """

    class_name: str
    begin_s: float
    end_s: float
    received_from_s: float

    def holds(self, now_s: float) -> bool:
        """Whether it does now. It is over too where the clock was set back to before it."""
        return self.begin_s <= now_s < self.end_s

    def names(self, received_s: float, now_s: float) -> bool:
        """Whether a frame is labelled that was received then, and is classified now."""
        return self.holds(now_s) and self.received_from_s <= received_s


class LabelBook:
    """Labels that may still name a sample to come. Samples come in the order of their time.

    unmatched: labels so far that have named nothing and never will.
    """

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque(maxlen=MAX_KEPT)
        self._newest_ns = 0  # beginning of the newest sample
        self.unmatched = 0

    def add(self, label: TimedLabel, used: bool) -> None:
        """used: it has named a sample already."""
        if label.is_over(self._newest_ns):
            self.unmatched += not used
            return
        if len(self._kept) == MAX_KEPT:
            self.unmatched += not self._kept[0].used
        self._kept.append(_Kept(label, used))

    def label_of(self, sample: Sample) -> str | None:
        """The class that a new sample is labelled with; of several labels the last counts."""
        self._newest_ns = sample.begin_ns
        name = None
        for _ in range(len(self._kept)):
            kept = self._kept.popleft()
            if kept.label.names(sample):
                kept.used, name = True, kept.label.class_name
            if kept.label.is_over(sample.begin_ns):
                self.unmatched += not kept.used
            else:
                self._kept.append(kept)
        return name

    def rename(self, old: str, new: str | None) -> None:
        """Labels of a class are of another now; None: of none, they will name nothing."""
        for kept in [kept for kept in self._kept if kept.label.class_name == old]:
            if new is None:
                self._kept.remove(kept)
            else:
                kept.label = kept.label._replace(class_name=new)

    def clear(self) -> None:
        """No sample that the labels kept could name will come."""
        self.unmatched += sum(not kept.used for kept in self._kept)
        self._kept.clear()


@dataclass(eq=False)
class _Kept:
    label: TimedLabel
    used: bool
