"""Calling predict where the engine does not drive it: from a data set's checker, in the comparison
with the reference, in judging the answers given under load.
"""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qs.engine import is_async

_STANDARD_ERROR = 2  # the host's log; sys.stderr may be the vendor's own by now


@contextmanager
def blocking(
    backend: Any,
    limit_s: float | None = None,
    read: Callable[[Any], Any] = lambda answer: answer,
) -> Iterator[Any]:
    """The backend for callers that do not await: its predict returns the answer also if the vendor
    wrote a coroutine function. `read` is applied to every answer.

    A call that takes longer than `limit_s` ends this process. The interpreter's own watchdog thread
    does that, which needs no lock of Python's and so works on a hang in C code too; before that it
    writes every thread's stack to the log, from which the conductor reads the outcome.
    """
    if not is_async(backend.predict):
        with _watched(backend, limit_s, read):
            yield backend
        return
    awaiting = Awaiting(backend)
    try:
        with _watched(awaiting, limit_s, read):
            yield awaiting
    finally:
        awaiting.close()


class Awaiting:
    """A backend whose predict is a coroutine function, awaited on an event loop of its own."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._loop: asyncio.AbstractEventLoop | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def predict(self, feeds: Any) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._backend.predict(feeds))

    def close(self) -> None:
        """Close the event loop, with whatever the backend left on it."""
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None


@contextmanager
def _watched(backend: Any, limit_s: float | None, read: Callable[[Any], Any]) -> Iterator[None]:
    predict = backend.predict

    def watched(*args: Any, **kwargs: Any) -> Any:
        if limit_s is not None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=_STANDARD_ERROR)
        try:
            return read(predict(*args, **kwargs))
        finally:
            if limit_s is not None:
                faulthandler.cancel_dump_traceback_later()

    own = vars(backend).get("predict")
    backend.predict = watched
    try:
        yield
    finally:
        if own is None:
            del backend.predict
        else:
            backend.predict = own
