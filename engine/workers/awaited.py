"""Coroutine targets as started ones, for open loop: a request is a task, or a Future that the
target returns itself, and its call brings the times at which it began and ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.errors import UnfinishedAnswer, describe, is_interrupt
from qs.engine.outcome import ErrorKind
from qs.engine.record.memory import NOW, STOP
from qs.engine.record.recorder import Recorder
from qs.engine.workers.target import Target


class Awaited:
    """One request of a coroutine target; a Call."""

    __slots__ = ("issued_ns", "last_ns", "failure", "done", "task")

    detail = ""

    def __init__(self, done: Callable[[Any], None]):
        self.issued_ns = self.last_ns = 0
        self.failure: str | None = None
        self.done = done
        self.task: asyncio.Future[Any] | None = None

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if not self.issued_ns:  # the task has not begun, and will not
            self.end(asyncio.CancelledError.__name__)

    def end(self, failure: str | None = None) -> None:
        self.failure, self.last_ns = failure, MONOTONIC.now_ns()
        self.done(self)


class Starter:
    """Starts the requests of a coroutine target. An answer that is none is for `on_unfinished`."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        on_unfinished: Callable[[UnfinishedAnswer], None],
    ):
        self._on_unfinished = on_unfinished
        self._call, self._look = target.call, target.look
        self._recorder = recorder
        self._header = recorder.memory.header.data
        self._looked = False
        self._loop = asyncio.get_running_loop()

    def start(self, sample: Any, done: Callable[[Any], None]) -> Awaited:
        request = Awaited(done)
        request.task = self._loop.create_task(self._request(request, sample))
        return request

    async def _request(self, request: Awaited, sample: Any) -> None:
        request.issued_ns = MONOTONIC.now_ns()
        failure: str | None = None
        try:
            if self._header[STOP] == NOW:
                failure = ErrorKind.NOT_ISSUED
            elif self._looked:
                await self._call(sample)
            else:
                self._look(await self._call(sample))
                self._looked = True
        except UnfinishedAnswer as fault:
            self._on_unfinished(fault)
        except BaseException as fault:  # a target may raise anything
            if is_interrupt(fault):
                raise
            failure = type(fault).__name__
            if self._recorder.first_fault is None and not isinstance(fault, asyncio.CancelledError):
                self._recorder.first_fault = describe(fault)
        request.end(failure)
