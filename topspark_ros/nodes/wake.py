"""What a thread sleeps on, and how the middleware wakes it for what arrives."""

from __future__ import annotations

import ctypes
import os
import select
import weakref
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.service import Service
from rclpy.subscription import Subscription

from topspark_ros.errors import TopsparkError


class Wake:
    """What one thread sleeps on."""

    def __init__(self) -> None:
        self.descriptor = new_counter()
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)
        weakref.finalize(self, os.close, self.descriptor)

    def wait(self, timeout_s: float) -> bool:
        """Until something has come since the last time, or the time is over; whether it has."""
        if not self._poll.poll(max(0.0, 1e3 * timeout_s)):
            return False
        os.eventfd_read(self.descriptor)
        return True

    def up(self) -> None:
        os.eventfd_write(self.descriptor, 1)


def new_counter() -> int:
    """Descriptor of a counter of the system: a thread that polls it is woken when it is raised."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def call_on_arrival(
    entity: Subscription | Service, function: int | None, argument: int | None
) -> None:
    """Let the middleware call compiled code for each message or request that arrives,
    and now for those that wait.

    function: address of code that takes a pointer, which is `argument`, and a size_t, how many
        have come; None: none is called any more.
    """
    handle = entity.handle
    with handle:
        if _SET_CALLBACK[type(entity)](handle.pointer, function, argument) != 0:
            raise TopsparkError(
                f'{rclpy_implementation.rclpy_get_rmw_implementation_identifier()} does not '
                f'tell of what arrives on {entity_name(entity)}'
            )


def count_arrivals(entity: Subscription | Service, counter: int) -> None:
    """Raise the counter with this descriptor by what arrives."""
    # libc's eventfd_write(descriptor, number) itself is called with what `call_on_arrival` says:
    # on machines of 64 bits both pairs of arguments are passed in the same two registers.
    call_on_arrival(entity, _EVENTFD_WRITE, counter)


def entity_name(entity: Any) -> str:
    """Of its topic or service; empty: it has none."""
    return getattr(entity, 'topic_name', getattr(entity, 'srv_name', ''))


# Of rcl's public interface; rclpy uses it in its EventsExecutor alone.
_rcl = ctypes.CDLL('librcl.so')
_SET_CALLBACK = {
    Subscription: _rcl.rcl_subscription_set_on_new_message_callback,
    Service: _rcl.rcl_service_set_on_new_request_callback,
}
for _set_callback in _SET_CALLBACK.values():
    _set_callback.argtypes = (ctypes.c_void_p,) * 3
_EVENTFD_WRITE = ctypes.cast(ctypes.CDLL(None).eventfd_write, ctypes.c_void_p).value
