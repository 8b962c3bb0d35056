"""What can go wrong around a run, as opposed to inside it: a failed request is an outcome in the
result, not an exception.
"""

from __future__ import annotations


class PlanError(ValueError):
    """The plan cannot be run. `faults` holds every fault found, not only the first."""

    def __init__(self, faults: list[str]):
        super().__init__("; ".join(faults))
        self.faults = faults


class HostError(RuntimeError):
    """Code in a host raised. `kind` is the exception's class name, `traceback` its text as the host
    saw it.
    """

    def __init__(self, kind: str, message: str, traceback: str = ""):
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind
        self.message = message
        self.traceback = traceback


class HostTimeout(RuntimeError):
    """A host did not answer within its limit and was ended. `log_tail` is the end of what it
    printed.
    """

    def __init__(self, what: str, limit_s: float, log_tail: str = ""):
        super().__init__(f"{what} did not end within {limit_s:g} s")
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
