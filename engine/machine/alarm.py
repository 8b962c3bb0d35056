"""An alarm of an event loop: calls back at an instant, some tens of microseconds late.

An event loop's own timers tick in milliseconds, so they pace nothing. On Linux the alarm is a timer
of the kernel that the loop polls beside its sockets; elsewhere a thread sleeps until the instant
and wakes the loop up. Neither spins: that would hold the lock against the loop that it serves.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from qs.engine.clock import MONOTONIC
from qs.engine.machine.times import sharpen_timer

_CLOCK_MONOTONIC = 1  # what perf_counter_ns reads on Linux
_TFD_CLOEXEC, _TFD_NONBLOCK = 0o2000000, 0o4000
_TFD_TIMER_ABSTIME = 1
# A sleeping thread looks this often whether it is still wanted.
_NAP_NS = 50_000_000


class Alarm(Protocol):
    """Calls back on the loop's thread, once for each `set`."""

    def set(self, at_ns: int) -> None:
        """Call back at this instant, or at once if it has passed, and at no earlier one."""
        ...

    def close(self) -> None: ...


def new_alarm(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Alarm:
    """The best alarm that this system has."""
    if sys.platform == "linux":
        try:
            return TimerAlarm(loop, callback)
        except (OSError, AttributeError):
            pass  # a sandbox may refuse the call
    return ThreadAlarm(loop, callback)


class TimerAlarm:
    """A timerfd. Setting it takes back what it has to say, so it is never read. Raises OSError or
    AttributeError where there is none (`os.timerfd_create` is there from Python 3.13 on).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]):
        library = ctypes.PyDLL(None, use_errno=True)  # short calls: the lock is kept
        self._settime = library.timerfd_settime
        self._fd = library.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC | _TFD_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop, self._callback = loop, callback
        # struct itimerspec: seconds and nanoseconds of the interval, which is 0, and of the instant
        self._when = (ctypes.c_long * 4)()
        self._at = ctypes.byref(self._when)
        loop.add_reader(self._fd, self._ring)

    def set(self, at_ns: int) -> None:
        self._when[2], self._when[3] = divmod(max(at_ns, 1), 1_000_000_000)
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._at, None)

    def _ring(self) -> None:
        self._when[2] = self._when[3] = 0
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._at, None)
        self._callback()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class ThreadAlarm:
    """A thread that sleeps."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]):
        self._loop, self._callback = loop, callback
        self._at_ns = 0
        self._changed = threading.Event()
        self._closed = False
        threading.Thread(target=self._sleep, name="pacer", daemon=True).start()

    def set(self, at_ns: int) -> None:
        self._at_ns = at_ns
        self._changed.set()

    def _sleep(self) -> None:
        sharpen_timer()
        while True:
            self._changed.wait()
            self._changed.clear()
            while not self._closed and (left_ns := self._at_ns - MONOTONIC.now_ns()) > 0:
                MONOTONIC.sleep_ns(min(left_ns, _NAP_NS))
            try:
                if self._closed:
                    return
                self._loop.call_soon_threadsafe(self._ring)
            except RuntimeError:
                return  # the loop has closed

    def _ring(self) -> None:
        if not self._closed:
            self._callback()

    def close(self) -> None:
        self._closed = True
        self._changed.set()
