"""What Ctrl-C does to a run: the case in progress ends in order and keeps what it measured; any
other step is cancelled. A second Ctrl-C ends the program at once. SIGTERM, and SIGHUP of a terminal
that is closed, do the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from qs.base.scratch import remove_all

T = TypeVar("T")
EXIT_STATUS = 130  # of an interrupted program, as shells have it
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The run was interrupted; what it had measured is in its report."""


class Interrupt:
    """One run's interruption. `requested` is set for good by the first `now`."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self._task: asyncio.Task | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gentle = False

    def guard(self, task: asyncio.Task) -> None:
        """Set the task that an interruption cancels."""
        self._task, self._loop = task, task.get_loop()

    def from_another_thread(self) -> None:
        """Interrupt work whose event loop runs in another thread; nothing if it has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self.now)

    def now(self) -> None:
        """Interrupt: inside `gently`, only set the event; elsewhere, cancel the task."""
        self.requested.set()
        if not self._gentle and self._task is not None:
            self._task.cancel()

    @contextmanager
    def gently(self) -> Iterator[asyncio.Event]:
        """Steps that end by themselves when the event is set, and raise Interrupted afterwards."""
        before, self._gentle = self._gentle, True
        try:
            yield self.requested
        finally:
            self._gentle = before

    async def unless(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work gives; None if the interruption comes first, which cancels it, or was there
        before. For what may be left out of a result that is kept.
        """
        if self.requested.is_set():
            work.close()
            return None
        with self.gently():
            doing = asyncio.ensure_future(work)
            waiting = asyncio.ensure_future(self.requested.wait())
            both: set[asyncio.Future[Any]] = {doing, waiting}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                if not doing.done():
                    doing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await doing
        return None


def run_on_loop(
    work: Coroutine[Any, Any, T],
    interrupt: Interrupt,
    at_once: Callable[[], None] = lambda: None,
) -> T:
    """Run a coroutine on uvloop, or asyncio's loop if that is not installed.

    The first Ctrl-C, SIGTERM or SIGHUP interrupts it. A second one calls `at_once`, removes the
    temporary folders and ends the program; what runs in child processes dies with it. In another
    thread than the main one signals are the program's.
    """
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop  # type: ignore[assignment]

    loop = new_event_loop()
    before: dict[signal.Signals, Any] = {}
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(work)
        interrupt.guard(task)

        def on_signal() -> None:
            if not interrupt.requested.is_set():
                interrupt.now()
                return
            with contextlib.suppress(Exception):  # whatever is left undone, it ends now
                at_once()
            remove_all()
            os._exit(EXIT_STATUS)

        for number in SIGNALS if threading.current_thread() is threading.main_thread() else ():
            handler = signal.getsignal(number)
            if number == signal.SIGHUP and handler == signal.SIG_IGN:
                continue  # under nohup, it is not to end with the terminal
            before[number] = handler
            loop.add_signal_handler(number, on_signal)
        return loop.run_until_complete(task)
    finally:
        with contextlib.suppress(Exception):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
        for number, handler in before.items():  # uvloop leaves its own, which do nothing then
            if handler is not None:
                signal.signal(number, handler)
