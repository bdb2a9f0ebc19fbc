"""Serialised messages, taken into memory that is used again.

rclpy makes bytes of each: one more copy, and memory for it, with the interpreter locked.
"""

from __future__ import annotations

import ctypes
import weakref

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.subscription import Subscription

_OK, _NOTHING_THERE = 0, 401  # RCL_RET_OK, RCL_RET_SUBSCRIPTION_TAKE_FAILED
_INFO_BYTES = 256  # more than rmw_message_info_t has
_READ_ONLY = 0x100  # PyBUF_READ


class _Allocator(ctypes.Structure):
    """rcutils_allocator_t."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in ('allocate', 'deallocate', 'reallocate', 'zero_allocate', 'state')
    ]


class _Array(ctypes.Structure):
    """rcutils_uint8_array_t."""

    _fields_ = [
        ('buffer', ctypes.c_void_p),
        ('length', ctypes.c_size_t),
        ('capacity', ctypes.c_size_t),
        ('allocator', _Allocator),
    ]


class SerialisedBuffer:
    """Holds one message at a time. It has to live for as long as what was taken is read."""

    def __init__(self) -> None:
        self._array = _Array(allocator=_default_allocator())
        self._info = ctypes.create_string_buffer(_INFO_BYTES)
        weakref.finalize(self, _free, ctypes.byref(self._array))

    def take(self, subscription: Subscription) -> memoryview | None:
        """The oldest message that has come, valid until the next call; None: there is none."""
        handle = subscription.handle
        with handle:
            result = _take(handle.pointer, ctypes.byref(self._array), self._info, None)
        if result == _NOTHING_THERE:
            return None
        if result != _OK:
            _reset_error()
            raise rclpy_implementation.RCLError(f'{subscription.topic_name}: take gave {result}')
        return _view(self._array.buffer, self._array.length, _READ_ONLY)


_rcl, _rcutils = ctypes.CDLL('librcl.so'), ctypes.CDLL('librcutils.so')
_take = _rcl.rcl_take_serialized_message
_take.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Array), ctypes.c_void_p, ctypes.c_void_p)
_default_allocator = _rcutils.rcutils_get_default_allocator
_default_allocator.restype = _Allocator
_free = _rcutils.rcutils_uint8_array_fini
_free.argtypes = (ctypes.POINTER(_Array),)
_reset_error = _rcutils.rcutils_reset_error
_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_view.restype = ctypes.py_object
