"""What is counted of arrivals, by the compiled code that the middleware calls."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

from topspark_ros.nodes.arrivals import Arrivals, _note
from topspark_ros.nodes.wake import Wake


@pytest.mark.parametrize('share', [1.0, 0.25])
def test_counts_belong_together_while_messages_arrive(share):
    arrivals = Arrivals(Wake(), share)
    over = threading.Event()

    def arrive() -> None:
        for number in range(300):
            _note().ctypes(arrivals._memory.ctypes.data, number % 3)
            time.sleep(0)
        over.set()

    thread = threading.Thread(target=arrive)
    thread.start()
    seen = 0
    while not over.is_set():
        arrived = arrivals.arrived
        # Evenly spread: of any number of them the share, give or take one.
        assert abs(arrivals.chosen_of(arrived) - share * arrived) < 1
        seen += arrived > 0
    thread.join()
    assert seen and arrivals.arrived == sum(number % 3 for number in range(300))
    last = arrivals.arrived - 1
    chosen = [arrivals.is_chosen(number) for number in range(last - 99, last + 1)]
    assert sum(chosen) == round(100 * share)
