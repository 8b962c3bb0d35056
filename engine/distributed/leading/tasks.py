"""Several coroutines at once, of which none is left behind. (asyncio's own TaskGroup is not in
Python 3.10.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any


async def end_all(tasks: Iterable[asyncio.Future]) -> None:
    """Cancel those that go on, and wait until all have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def all_of(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What each returns; the first that raises ends the others, and is raised."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    if not tasks:
        return []
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task in done:
                task.result()
        return [task.result() for task in tasks]
    finally:
        await end_all(tasks)


async def in_turn(
    functions: Sequence[Callable[[], Coroutine[Any, Any, Any]]], at_a_time: int
) -> list[Any]:
    """The same, but only so many go on at a time."""
    turn = asyncio.Semaphore(at_a_time)

    async def one(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with turn:
            return await function()

    return await all_of([one(each) for each in functions])
