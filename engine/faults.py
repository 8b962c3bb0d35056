"""What a target raised: said in a few lines, without keeping the exception (and the frames and
arrays it holds) alive.
"""

from __future__ import annotations

import signal
import threading
import traceback

LIMIT = 4_000


def describe(fault: BaseException) -> str:
    """The fault's traceback as text, from the target's frames on, at most LIMIT characters from its
    end.
    """
    text = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
    return text[-LIMIT:]


def words(fault: BaseException) -> str:
    """The fault's message; an exception whose own __str__ raises is not worth a process."""
    try:
        return str(fault)
    except Exception as worse:
        return f"(its message cannot be had: {type(worse).__name__})"


def is_interrupt(fault: BaseException) -> bool:
    """Whether it is a Ctrl-C given to this process, which only the main thread gets, and not one
    that a target raised by itself.
    """
    return (
        isinstance(fault, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    )
