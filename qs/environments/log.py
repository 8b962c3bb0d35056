"""The log of a process while it works: kept small, and shown line by line.

A backend that prints a megabyte a call would fill the disk. Its log is shortened in place: the head
and the tail stay. The writer appends, so it continues at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

MOST_BYTES = 16 << 20
HEAD_BYTES = 1 << 20
TAIL_BYTES = 2 << 20
LOOK_S = 0.2


def unlinked(path: Path) -> Path:
    """The path of a log, of which a process before may have made a link: what that names is not
    ours.
    """
    if path.is_symlink():
        path.unlink(missing_ok=True)
    return path


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
    """Shorten the file if it is above the limit; returns whether it was. What is written at this
    very moment may be lost.
    """
    try:
        about = path.lstat()
        # A link in its place was planted: what it names is somebody's file.
        if about.st_size <= MOST_BYTES or about.st_nlink > 1:
            return False
        with open(path, "r+b", opener=_no_link) as file:
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


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


@contextlib.asynccontextmanager
async def followed(log: Path, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Every line that is appended to `log` meanwhile goes to `say`."""
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
            await asyncio.sleep(LOOK_S)
            show()

    task = asyncio.ensure_future(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        show()
