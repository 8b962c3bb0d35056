"""Errors that say something of this machine and its limits, not of the program: told in one
sentence, with what to raise, in place of a traceback.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

from qs.base.files import DISK, shortened

_FILES = (errno.EMFILE, errno.ENFILE)
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)
_NO_THREAD = "can't start new thread"
_DEPTH = 20


def environment_fault(error: BaseException) -> str | None:
    """What an error, or one that it came from, says of this machine, in words. None if it says
    nothing of it and so may be a bug.
    """
    return next((said for each in _chain(error) if (said := _said(each)) is not None), None)


def _said(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory ran out; free some, or ask for less (fewer clients, smaller batches)"
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return _no_more()
    if not isinstance(error, OSError):
        return None
    named = f"{shortened(error.filename)}: " if error.filename is not None else ""
    if error.errno in _FILES:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"{named}no more files can be opened, this process may have {most} open; raise that "
            "limit (ulimit -n)"
        )
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN:
        return _no_more()  # what fork says
    if error.errno == errno.ENOMEM:
        return f"{named}memory ran out"
    if error.errno in _NAMES or error.errno in DISK:
        return f"{named or 'a file: '}{error.strerror}"
    return None


def _no_more() -> str:
    return (
        "no more processes or threads can be started; raise the limit (ulimit -u, or the "
        "container's limit of pids)"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], 0
    while waiting and seen < _DEPTH:
        each = waiting.pop(0)
        seen += 1
        yield each
        inner = getattr(each, "exceptions", ())
        waiting += [*inner, *(up for up in (each.__cause__, each.__context__) if up is not None)]
