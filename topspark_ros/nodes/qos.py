"""Quality of service, named once.

sensor(depth): frames are worth nothing when they are old: best effort, and a queue
only as deep as the node that reads it can use.
EVENTS: packets of an event camera, best effort as the cameras' drivers offer them. Some
encodings go on where the packet before ended, so a lost one costs more than itself: the
queue is deep.
BUDGETS: as STATE, read from several publishers, of each of which the last one is kept: the queue
is as deep as there may be sources.
LABEL: every one counts and is small: reliable.
STATE: what a node that joins late must know (budget, decision): reliable, and the
last one is kept for late joiners (transient local).
QUESTION: as STATE, so that whoever comes to teach finds those that are open.
RESULT, STATUS: reliable for those that ask for it; best-effort subscribers match too.
"""

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy


def _profile(depth: int, *, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=(
            QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT
        ),
        durability=(
            QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        ),
    )


def sensor(depth: int) -> QoSProfile:
    return _profile(depth, reliable=False)


DECISIONS = _profile(20, reliable=True, latched=True)  # for those who want every one
BATTERY = _profile(1, reliable=False)
BUDGETS = _profile(50, reliable=True, latched=True)
EVENTS = _profile(1000, reliable=False)
LABEL = _profile(100, reliable=True)
STATE = _profile(1, reliable=True, latched=True)
QUESTION = _profile(32, reliable=True, latched=True)
RESULT = _profile(100, reliable=True)
STATUS = _profile(10, reliable=True)
