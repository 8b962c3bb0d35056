"""Temporary folders that go with their process, however it ends.

A folder is held by its process (qs.base.holding) from before it has its name. A process that was
killed leaves it behind, unheld: the next one that makes a folder removes it. One that is held, is
somebody else's, or was not made here, is never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qs.base.errors import UserError
from qs.base.files import why
from qs.base.holding import Held, hold, let_go

MARK = ".qs-scratch"  # the file in it that is held, and that says who made it
_MADE = "qs-"
_mine: set[Path] = set()  # for `remove_all`, where nothing else runs any more


@contextlib.contextmanager
def scratch(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """A private folder whose name begins with `prefix` ("qs-run-"), removed at the end. UserError
    if the disk does not take one.
    """
    assert prefix.startswith(_MADE)
    try:
        parent = Path(tempfile.gettempdir() if within is None else within)
        remove_dead(parent)
        # Under another name until it is held, lest another process takes it for a dead one's.
        made = Path(tempfile.mkdtemp(prefix=".qs-", dir=parent))
        mark = made / MARK
        mark.touch()
        held = hold(mark)
        folder = made.rename(parent / f"{prefix}{made.name.removeprefix('.qs-')}")
    except OSError as error:
        raise UserError(f"no temporary folder can be made ({why(error)}); set TMPDIR") from error
    _mine.add(folder)
    try:
        yield folder
    finally:
        _mine.discard(folder)
        shutil.rmtree(folder, ignore_errors=True)
        let_go(held)


def remove_all() -> None:
    """Remove the folders of this process, which is about to end at once."""
    for folder in list(_mine):
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead(parent: Path) -> None:
    """Remove what processes that were killed have left in `parent`."""
    try:
        found = [Path(entry.path) for entry in os.scandir(parent) if entry.name.startswith(_MADE)]
    except OSError:
        return
    for folder in found:
        with contextlib.suppress(OSError, Held):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            held = hold(folder / MARK)
            shutil.rmtree(folder, ignore_errors=True)
            let_go(held)


def clearing() -> tuple[str, ...]:
    """The command that does so where this process's folders are."""
    return sys.executable, "-m", __name__, tempfile.gettempdir()


if __name__ == "__main__":
    remove_dead(Path(sys.argv[1]))
