"""Who works in a folder: a lock that the system takes back when its process ends, however it ends.

The lock is on the file or folder itself (flock), so that nothing is left behind. A file system
that cannot lock, as some network mounts, lets everybody in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class Held(Exception):
    """Another process, or another run of this one, holds it."""


def hold(path: Path) -> int:
    """Hold a file or folder until the descriptor that is returned is closed, by `let_go` or by the
    end of the process; no child inherits it. Raises Held, or OSError if it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Held(path) from None
    except OSError:  # no locks here
        pass
    return handle


def let_go(handle: int | None) -> None:
    if handle is not None:
        with contextlib.suppress(OSError):
            os.close(handle)
