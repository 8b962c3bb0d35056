"""What can go wrong around a run, and how to describe what a target raised inside it.

A failed request is an outcome in the result, not an exception: what the target raised is put into a
few lines, without keeping the exception (and the frames and arrays it holds) alive.
"""

from __future__ import annotations

import signal as signals
import threading
from traceback import format_exception

from qs.engine.words import number

MOST_CHARACTERS = 4_000


class PlanError(ValueError):
    """The plan cannot be run. `faults` holds every fault found, not only the first."""

    def __init__(self, faults: list[str]):
        super().__init__("; ".join(faults))
        self.faults = faults


class Interrupted(KeyboardInterrupt):
    """A signal given to this process ends what it is doing."""


class HostError(RuntimeError):
    """Code in a host raised. `kind` is the exception's class name, `traceback` the text that the
    host saw; `classes` are the full names of its class and what that is derived from.
    """

    def __init__(self, kind: str, message: str, traceback: str = "", classes: tuple[str, ...] = ()):
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind
        self.message = message
        self.traceback = traceback
        self.classes = classes

    @classmethod
    def of(cls, fault: BaseException, traceback: str | None = None) -> HostError:
        """What is kept of an exception. Its traceback is described, unless it is given."""
        if isinstance(fault, HostError):
            return fault
        text = describe(fault) if traceback is None else traceback
        names = tuple(_full_name(each) for each in type(fault).__mro__)
        return cls(type(fault).__name__, words(fault), text, names)

    def is_a(self, kind: type[BaseException]) -> bool:
        """Whether what was raised is of this class, or of one derived from it."""
        return _full_name(kind) in self.classes


class UnfinishedAnswer(TypeError):
    """What a target returned is not an answer yet, so its time would not be measured."""


class BrokenCall(UnfinishedAnswer):
    """A started target does what none may with its calls, so that nothing can be said of them."""


class HostTimeout(RuntimeError):
    """A host did not answer within its limit and was ended. `log_tail` is the end of what it
    printed.
    """

    def __init__(self, what: str, limit_s: float, log_tail: str = ""):
        super().__init__(f"{what} did not end within {number(limit_s)} s")
        self.what = what
        self.limit_s = limit_s
        self.log_tail = log_tail


class HostDied(RuntimeError):
    """A host's process ended by itself, or had to be ended.

    `exit` says how ("exit status 3", "signal SIGSEGV"); `status` or `signal` says the same to
    programs, and both are None if the process did not end by itself.
    """

    def __init__(
        self,
        exit: str,
        log_tail: str = "",
        status: int | None = None,
        signal: str | None = None,
    ):
        super().__init__(f"the host process ended: {exit}")
        self.exit = exit
        self.log_tail = log_tail
        self.status = status
        self.signal = signal


def describe(fault: BaseException) -> str:
    """The traceback as text, from the target's frames on, and only the last MOST_CHARACTERS."""
    text = "".join(format_exception(type(fault), fault, fault.__traceback__))
    return text[-MOST_CHARACTERS:]


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def words(fault: BaseException) -> str:
    """The exception's message; one whose own __str__ raises must not end the process."""
    try:
        return str(fault)
    except Exception as worse:
        return f"(its message cannot be had: {type(worse).__name__})"


def is_interrupt(fault: BaseException) -> bool:
    """Whether it is a Ctrl-C given to this process, and not one that a target raised by itself.

    Only the main thread gets the former, and only from a handler that raises: an event loop's own
    handler wakes the loop up and raises nothing, and the engine's raises Interrupted.
    """
    if isinstance(fault, Interrupted):
        return True
    if not isinstance(fault, KeyboardInterrupt):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signals.getsignal(signals.SIGINT)
    package = (getattr(handler, "__module__", None) or "").partition(".")[0]
    return handler is not signals.SIG_IGN and package not in ("asyncio", "uvloop", "qs")
