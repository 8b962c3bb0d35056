"""What signals do to a run in the main thread: the first Ctrl-C, SIGTERM or SIGHUP ends it in
order, a second Ctrl-C or SIGTERM at once.

Handlers of the program's own for SIGTERM and SIGHUP stay, and so does SIGHUP if it is ignored
(nohup).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType

from qs.engine.errors import Interrupted
from qs.engine.workers.batching import batched_loop
from qs.engine.workers.closed_loop import closed_loop
from qs.engine.workers.open_loop import burst_loop, open_loop

# A call in the event loop's own thread may take this long to end by itself.
GRACE_S = 0.5
_LOOPS = {each.__code__ for each in (batched_loop, burst_loop, closed_loop, open_loop)}
_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Signals(AbstractContextManager):
    """The handlers of one run, in place of those of before for as long as it lasts. A handler runs
    in the main thread even while a target blocks it, so it does not need the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interrupt: asyncio.Event):
        self._loop = loop
        self._interrupt = interrupt
        self._asked = False
        self._reminder: int | None = None  # the signal that comes from here
        self._before: dict[int, object] = {}
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                before = signal.getsignal(number)
                if number == signal.SIGINT or before == signal.SIG_DFL:
                    self._before[number] = before
                    signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, before in self._before.items():
            if before is not None:  # None: it was not set from Python and cannot be
                signal.signal(number, before)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == self._reminder:
            self._reminder = None
            if _in_request(frame):
                raise Interrupted
        elif not self._asked:
            self._asked = True
            self._interrupt.set()
            self._loop.call_soon_threadsafe(int)  # wakes it up
            self._timer = threading.Timer(GRACE_S, self._remind, (number,))
            self._timer.daemon = True
            self._timer.start()
        elif number in (signal.SIGINT, signal.SIGTERM):
            raise Interrupted

    def _remind(self, number: int) -> None:
        self._reminder = number
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _in_request(frame: FrameType | None) -> bool:
    """Whether a loop that makes requests is the innermost of the engine's functions: then it is in
    its target, or about to be.
    """
    while frame is not None:
        if frame.f_code in _LOOPS:
            return True
        if str(frame.f_globals.get("__name__")).startswith("qs.engine."):
            return False
        frame = frame.f_back
    return False
