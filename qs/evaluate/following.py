"""A process's log shown line by line while it works: the model's process says there what it
downloads and builds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

EVERY_S = 0.2


@asynccontextmanager
async def followed(log: Path, say: Callable[[str], None]) -> AsyncIterator[None]:
    """What is appended to `log` meanwhile goes to `say`, whole lines, until the end; the last of it
    as well.
    """
    place = log.stat().st_size if log.exists() else 0

    def show() -> None:
        nonlocal place
        if not log.exists():
            return
        with log.open("rb") as file:
            file.seek(place)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        place += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            say(line)

    async def follow() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            show()

    task = asyncio.ensure_future(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        show()
