"""A limit on one call of predict where the engine does not drive it: in a data set's checker and in
the numeric comparison.

The interpreter's own watchdog thread needs no lock of Python's, so it also ends a process that
hangs in C code; before that it writes every thread's stack to the log. The conductor reads the
outcome from there.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_STANDARD_ERROR = 2  # the host's log; sys.stderr may be the vendor's own by now


@contextmanager
def limited(
    backend: Any, limit_s: float | None, read: Callable[[Any], Any] = lambda answer: answer
) -> Iterator[None]:
    """Within: a call of `backend.predict` that takes longer than `limit_s` ends this process. None:
    no limit.

    `read` is done to every answer.
    """
    predict = backend.predict

    def watched(*args: Any, **kwargs: Any) -> Any:
        if limit_s is not None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=_STANDARD_ERROR)
        try:
            return read(predict(*args, **kwargs))
        finally:
            if limit_s is not None:
                faulthandler.cancel_dump_traceback_later()

    own = vars(backend).get("predict")
    backend.predict = watched
    try:
        yield
    finally:
        if own is None:
            del backend.predict
        else:
            backend.predict = own
