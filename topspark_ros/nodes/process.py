"""A process that holds one node, and ends cleanly."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import traceback
from collections.abc import Callable

import cv2
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions

from topspark_ros.errors import TopsparkError
from topspark_ros.nodes.executor import NodeExecutor
from topspark_ros.nodes.managed_node import ManagedNode

SIGNALS = (signal.SIGINT, signal.SIGTERM)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 1 << 26  # of memory that is free


def run(node_class: Callable[[], ManagedNode]) -> None:
    """Run one node until it is asked to end (SIGINT, SIGTERM), then stop it cleanly.

    The signals are handled here, not by rclpy, whose handler takes the context away from
    callbacks and threads that still run: the node stops first, the context ends last.
    """
    reuse_buffers()
    cv2.setNumThreads(1)  # to share out what takes microseconds costs more than it takes
    # A pipe, because a signal may come at any point of the program: a lock (of an event, say)
    # that the interrupted code holds would never be free again.
    ending, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = node_class()
    except (TopsparkError, ParameterException) as error:  # of a file or of the command line
        raise SystemExit(f'{node_class.__name__}: {error}') from None
    executor = NodeExecutor()
    executor.add_node(node)
    failures = []

    def spin() -> None:
        try:
            executor.spin()
        except Exception as failure:
            node.get_logger().fatal(f'A callback failed:\n{traceback.format_exc()}')
            failures.append(failure)
            os.write(end, b'\0')

    spinning = threading.Thread(target=spin, name='executor')
    spinning.start()
    os.read(ending, 1)
    for number in SIGNALS:  # asked again it ends as well; Python takes handlers away at its end
        signal.signal(number, signal.SIG_IGN)
    node.end()
    executor.end()
    spinning.join()
    if node.state == 'configuring':
        # Nothing is learned yet, and what it waits for, a compiler or a file, may take a minute
        # and cannot be interrupted.
        node.get_logger().info('Ended while it was being configured.')
        try:
            node.abandon()
        finally:
            os._exit(1 if failures else 0)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    if failures:
        raise SystemExit(1)


def reuse_buffers() -> None:
    """Let glibc's malloc keep what a message of a camera takes, for the next one: else the system
    gives and takes back each buffer, page by page. Another C library goes on as it does."""
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES // 2)  # glibc accepts up to 32 MB
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
