"""The event loop that conducts, and how it awaits blocking calls that may never come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
CLEAN_UP_S = 3.0


def new_loop() -> asyncio.AbstractEventLoop:
    """A new event loop: uvloop's if it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def end_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all that a loop still has to do, and let it end processes and close what is open."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLEAN_UP_S))


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run `function` in a daemon thread of its own, which cannot keep the process alive, and await
    its result. Cancelling stops the waiting, not the thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            setter(value)

    def work() -> None:
        setter: Callable[[Any], None]
        value: Any
        try:
            setter, value = done.set_result, function()
        except BaseException as fault:  # whatever it raised is the awaiting side's to see
            setter, value = done.set_exception, fault
        try:
            loop.call_soon_threadsafe(settle, setter, value)
        except RuntimeError:
            pass  # the loop has closed: nobody waits any more

    threading.Thread(target=work, daemon=True).start()
    return await done
