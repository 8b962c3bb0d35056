"""Keeps a log file small while a process appends to it: its head and its tail stay, what lies
between goes.

A backend that prints a megabyte a call would fill the disk. The file is shortened in place; its
writer appends, so it goes on at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

MOST_BYTES = 16 << 20
HEAD_BYTES = 1 << 20
TAIL_BYTES = 2 << 20
LOOK_S = 0.25


@contextlib.asynccontextmanager
async def capped(path: Path) -> AsyncIterator[None]:
    """Within, and at the end, the file is kept near or under MOST_BYTES."""
    keeper = asyncio.ensure_future(_keep(path))
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        shorten(path)


async def _keep(path: Path) -> None:
    while True:
        shorten(path)
        await asyncio.sleep(LOOK_S)


def shorten(path: Path) -> bool:
    """Shorten the file if it is above the limit; whether it was. What is written at this very
    moment may be lost.
    """
    try:
        if path.stat().st_size <= MOST_BYTES:
            return False
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(size - TAIL_BYTES)
            tail = file.read()
            file.truncate(HEAD_BYTES)
            file.seek(HEAD_BYTES)
            left_out = size - HEAD_BYTES - TAIL_BYTES
            file.write(b"\n[... %d bytes are left out here ...]\n" % left_out + tail)
    except OSError:
        return False
    return True
