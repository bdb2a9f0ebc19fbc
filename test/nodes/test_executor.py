"""The executor of a node's process, with nodes and topics as they are."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

import rclpy
from rcl_interfaces.srv import DescribeParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Int32
from std_srvs.srv import Trigger

from topspark_ros.nodes.executor import (
    ExclusiveLongCallbackGroup,
    LongCallbackGroup,
    NodeExecutor,
    UnscheduledCallbackGroup,
)

TIMEOUT_S = 20.0
QUEUE = 100


@pytest.fixture
def node(domain):
    made = rclpy.create_node('executed', namespace=f'/executor_{time.monotonic_ns()}')
    yield made
    made.destroy_node()


@contextmanager
def spinning(node: Node):
    """Gives what `spin` raised, in a list."""
    executor, failures = NodeExecutor(), []

    def spin() -> None:
        try:
            executor.spin()
        except RuntimeError as failure:
            failures.append(failure)

    executor.add_node(node)
    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield failures
    finally:
        executor.end()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
        executor.shutdown()


def wait_for(condition) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def send(node: Node, topic: str, numbers) -> None:
    publisher = node.create_publisher(Int32, topic, QUEUE)
    wait_for(publisher.get_subscription_count)
    for number in numbers:
        publisher.publish(Int32(data=number))


def ask(node: Node, name: str, kind: type = Trigger):
    """By a node of its own, which an executor of rclpy spins."""
    asking = rclpy.create_node('asking', namespace=node.get_namespace())
    client = asking.create_client(kind, name)
    assert client.wait_for_service(TIMEOUT_S)
    answer = client.call_async(kind.Request())
    executor = SingleThreadedExecutor()
    executor.add_node(asking)
    executor.spin_until_future_complete(answer, TIMEOUT_S)
    executor.shutdown()
    asking.destroy_node()
    return answer.result()


def succeed(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    response.success = True
    return response


def test_all_messages_come_in_their_order(node):
    received = []
    node.create_subscription(Int32, 'topic', lambda message: received.append(message.data), QUEUE)
    with spinning(node):
        send(node, 'topic', range(QUEUE))
        wait_for(lambda: len(received) == QUEUE)
    assert received == list(range(QUEUE))


def test_what_waited_before_it_spun_comes_as_well(node):
    received = []
    node.create_subscription(Int32, 'topic', lambda message: received.append(message.data), QUEUE)
    send(node, 'topic', range(3))
    time.sleep(0.2)
    with spinning(node):
        wait_for(lambda: received == [0, 1, 2])


def test_what_is_made_while_it_spins_is_run_and_what_is_destroyed_is_not(node):
    received = []
    with spinning(node):
        for round_number in range(5):  # their counters are used again
            mine = node.create_subscription(
                Int32, 'topic', lambda message: received.append(message.data), QUEUE
            )
            send(node, 'topic', [round_number])
            wait_for(lambda: received[-1:] == [round_number])
            node.destroy_subscription(mine)
        node.create_publisher(Int32, 'topic', QUEUE).publish(Int32(data=99))
        assert ask(node, 'executed/describe_parameters', DescribeParameters) is not None
    assert received == list(range(5))


def test_descriptors_do_not_grow_with_what_comes_and_goes(node):
    with spinning(node):
        for _ in range(3):
            node.destroy_service(node.create_service(Trigger, 'service', succeed))
        time.sleep(0.1)
        before = len(os.listdir('/proc/self/fd'))
        for _ in range(30):
            node.destroy_service(node.create_service(Trigger, 'service', succeed))
            time.sleep(0.002)
        time.sleep(0.1)
        assert len(os.listdir('/proc/self/fd')) <= before + 3


def test_a_message_with_its_information(node):
    received = []
    node.create_subscription(
        Int32, 'topic', lambda message, info: received.append((message.data, info)), QUEUE
    )
    with spinning(node):
        send(node, 'topic', [7])
        wait_for(lambda: received)
    data, info = received[0]
    assert data == 7 and info['source_timestamp'] > 0


def test_nobody_takes_messages_of_an_unscheduled_subscription(node):
    received = []
    polled = node.create_subscription(
        Int32, 'topic', received.append, QUEUE, callback_group=UnscheduledCallbackGroup()
    )
    with spinning(node):
        send(node, 'topic', [1])
        wait_for(lambda: polled.handle.take_message(Int32, False) is not None)
    assert not received


def test_timers_keep_their_period_and_one_that_is_cancelled_stops(node):
    times_s, cancelled = [], []
    node.create_timer(0.05, lambda: times_s.append(time.monotonic()))
    once = node.create_timer(0.01, lambda: (cancelled.append(True), once.cancel()))
    began_s = time.monotonic()
    with spinning(node):
        wait_for(lambda: len(times_s) >= 10)
    # Late by a busy machine, but never ahead of their time.
    assert times_s[9] - began_s > 10 * 0.05 - 0.05
    assert cancelled == [True]


def test_a_simulated_timer_waits_for_the_clock_alone(node):
    node.set_parameters([rclpy.Parameter('use_sim_time', value=True)])
    ticks = []
    node.create_timer(1.0, lambda: ticks.append(node.get_clock().now().nanoseconds))
    publisher = node.create_publisher(Clock, '/clock', QUEUE)
    with spinning(node):
        wait_for(publisher.get_subscription_count)
        used_s = time.process_time()
        for tenths in range(1, 46):
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(tenths * 100_000_000, 10**9)
            publisher.publish(message)
            time.sleep(0.005)
        wait_for(lambda: len(ticks) == 4)
        time.sleep(0.5)  # the clock stands still, just before the next one is due
        assert time.process_time() - used_s < 0.5
    assert len(ticks) == 4


def test_a_service_answers_while_a_long_callback_runs(node):
    may_end = threading.Event()

    def take_long(request, response):
        may_end.wait(TIMEOUT_S)
        return succeed(request, response)

    node.create_service(Trigger, 'long', take_long, callback_group=LongCallbackGroup())
    node.create_service(Trigger, 'short', succeed)
    answers = []
    with spinning(node):
        thread = threading.Thread(target=lambda: answers.append(ask(node, 'long')))
        thread.start()
        assert ask(node, 'short').success and not answers
        may_end.set()
        thread.join(TIMEOUT_S)
    assert answers[0].success


def test_long_callbacks_of_an_exclusive_group_wait_for_each_other(node):
    group, running, most = ExclusiveLongCallbackGroup(), [], []
    done = []

    def work(message):
        running.append(message.data)
        most.append(len(running))
        time.sleep(0.02)
        running.remove(message.data)
        done.append(message.data)

    node.create_subscription(Int32, 'topic', work, QUEUE, callback_group=group)
    node.create_timer(0.1, lambda: work(Int32(data=-1)), callback_group=group)
    with spinning(node):
        send(node, 'topic', range(5))
        wait_for(lambda: {*range(5), -1} <= set(done))
    wait_for(lambda: not running)
    assert set(most) == {1}


@pytest.mark.parametrize('long', [False, True])
def test_what_a_callback_raises_is_raised_where_it_spins(node, long):
    def fail():
        raise RuntimeError('on purpose')

    with spinning(node) as failures:
        node.create_timer(0.01, fail, LongCallbackGroup() if long else None)
        wait_for(lambda: failures)
    assert str(failures[0]) == 'on purpose'


def test_done_callbacks_of_a_task_run(node):
    executor, done = NodeExecutor(), []
    executor.create_task(lambda: 3).add_done_callback(lambda task: done.append(task.result()))
    for _ in range(3):
        executor.spin_once(0.0)
    assert done == [3]
    executor.shutdown()


def test_waiting_takes_no_longer_than_it_may(node):
    executor = NodeExecutor()
    executor.add_node(node)
    began_s = time.monotonic()
    for _ in range(3):  # adding the node woke it
        executor.spin_once(0.1)
    assert 0.1 < time.monotonic() - began_s < TIMEOUT_S
    executor.shutdown()
