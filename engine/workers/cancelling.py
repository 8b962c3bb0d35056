"""Cancelling coroutines that may refuse: what the clients and the arrivals of an event loop share."""

from __future__ import annotations

import asyncio

# How often an event loop that runs requests looks at deadlines and at its stop flag.
TICK_S = 0.1
# How long a request that was cancelled may take to end.
STUBBORN_NS = 1_000_000_000


async def cancel(tasks: set[asyncio.Task]) -> set[asyncio.Task]:
    """Cancel tasks and wait for their ends, for a while: a target may refuse. Answers those that
    did.
    """
    for task in tasks:
        task.cancel()
    if not tasks:
        return tasks
    _, refusing = await asyncio.wait(tasks, timeout=STUBBORN_NS / 1e9)
    return refusing


def uncancel() -> None:
    """Python 3.11 and later count cancellations; this one has been answered."""
    task = asyncio.current_task()
    if task is not None and hasattr(task, "uncancel"):
        task.uncancel()
