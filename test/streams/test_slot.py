"""The latest-sample slot, alone and between threads."""

import threading
import time

from topspark_ros.streams.slot import LatestSlot


def test_latest_wins_and_the_rest_is_counted():
    slot = LatestSlot()
    assert [slot.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert slot.dropped == 2
    assert slot.take(0) == 3
    assert slot.take(0) is None
    assert slot.put(4) is False


def test_take_waits_no_longer_than_told():
    start = time.monotonic()
    assert LatestSlot().take(0.05) is None
    assert 0.04 < time.monotonic() - start < 1


def test_take_wakes_on_put():
    slot, taken = LatestSlot(), []
    worker = threading.Thread(target=lambda: taken.append(slot.take(10)))
    worker.start()
    slot.put('frame')
    worker.join(5)
    assert taken == ['frame']


def test_close_wakes_every_waiter_and_refuses_more():
    slot, taken = LatestSlot(), []
    workers = [threading.Thread(target=lambda: taken.append(slot.take(10))) for _ in range(2)]
    for worker in workers:
        worker.start()
    slot.close()
    for worker in workers:
        worker.join(5)
    assert taken == [None, None]
    assert slot.put(1) is False and slot.take(0) is None and slot.dropped == 0


def test_unread_at_close_is_dropped():
    slot = LatestSlot()
    slot.put(1)
    slot.close()
    assert slot.dropped == 1 and slot.take(0) is None


def test_every_item_is_taken_or_counted():
    slot, taken, count = LatestSlot(), [], 5000

    def work():
        while (item := slot.take(5)) != count - 1:
            taken.append(item)
        taken.append(item)

    worker = threading.Thread(target=work)
    worker.start()
    for item in range(count):
        slot.put(item)
    worker.join(10)
    assert taken == sorted(set(taken))
    assert len(taken) + slot.dropped == count


def test_capacity_keeps_the_latest_in_order():
    slot = LatestSlot(capacity=2)
    assert [slot.put(item) for item in (1, 2, 3)] == [False, False, True]
    assert [slot.take(0), slot.take(0), slot.take(0)] == [2, 3, None]
    assert slot.dropped == 1
