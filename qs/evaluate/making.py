"""Something of the cache that processes make: they are awaited, and a cancellation ends them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from qs.base.cache import build_once
from qs.engine import ChildHost
from qs.evaluate.failures import Limit, outcomes


async def made_once(
    key: str,
    suffix: str,
    make: Callable[[Path], Coroutine[Any, Any, None]],
    sound: Callable[[Path], bool],
) -> Path:
    """As build_once (qs.base.cache), whose build runs in a thread; `make` runs in this event
    loop.
    """
    loop = asyncio.get_running_loop()
    running: list[Any] = []
    stopped = threading.Event()

    def build(new: Path) -> None:
        if stopped.is_set():
            raise asyncio.CancelledError
        running.append(asyncio.run_coroutine_threadsafe(make(new), loop))
        if stopped.is_set():  # since: it may have begun before it could be found in the list
            running[-1].cancel()
        running[-1].result()

    try:
        return await asyncio.to_thread(build_once, key, suffix, build, sound)
    except asyncio.CancelledError:
        stopped.set()
        for each in running:
            each.cancel()
        raise


async def called(
    host: ChildHost, method: str, what: str, limit_s: float, **arguments: Any
) -> dict[str, Any]:
    """The answer of a process that is started for this one call. BackendFailed if it dies, or
    takes longer than the limit.
    """
    with outcomes(what, Limit(limit_s)):
        async with host:
            answer: Awaitable[dict[str, Any]] = host.call(method, deadline_s=limit_s, **arguments)
            return await answer
