"""What a Ctrl-C does to a run: the case in flight ends in order and keeps what it measured; any
other step is cancelled.

Installing signal handlers, and what a second Ctrl-C does, is the command line's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """The run was interrupted; what it had is in its report."""


class Interrupt:
    """One run's interruption. `requested` is set for good by the first `now`."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self._task: asyncio.Task | None = None
        self._gentle = False

    def guard(self, task: asyncio.Task) -> None:
        """Name the task that an interruption cancels."""
        self._task = task

    def now(self) -> None:
        """Interrupt: inside `gently` only the event is set, elsewhere the task is cancelled."""
        self.requested.set()
        if not self._gentle and self._task is not None:
            self._task.cancel()

    @contextmanager
    def gently(self) -> Iterator[asyncio.Event]:
        """Steps that end by themselves when the event is set, and raise Interrupted afterwards."""
        self._gentle = True
        try:
            yield self.requested
        finally:
            self._gentle = False
