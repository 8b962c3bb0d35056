"""What went wrong in a host, named: raised, exited, crashed, timed out. Becomes a reason and an
entry of the report, and exit 3.

What the user must mend is a UserError instead, and exit 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

from qs.base.errors import UserError
from qs.base.words import number
from qs.result.row import Outcome

# the last words of a process whose watchdog ended it, see qs.inside.calling
_WATCHDOG = re.compile(r"^Timeout \(\d+:\d\d:\d\d[.\d]*\)!", re.MULTILINE)

_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)', re.MULTILINE)


@dataclass(frozen=True)
class Limit:
    """How long one call may take. `flag` is the option that states it, if one does; `of_s` is what
    messages name where the call gets the rest of a longer limit.
    """

    seconds: float
    flag: str = ""
    of_s: float | None = None

    def __str__(self) -> str:
        stated_s = self.seconds if self.of_s is None else self.of_s
        return f"within {number(stated_s)} s" + (f" (--{self.flag})" if self.flag else "")


class BackendFailed(Exception):
    """The backend raised, died or hung. The message says in which step and how; it goes into the
    report.

    detail    the traceback, or the end of what the process had printed
    """

    def __init__(
        self, message: str, detail: str = "", outcome: Outcome = Outcome.RAISED, step: str = ""
    ):
        super().__init__(message)
        self.detail = detail
        self.outcome = outcome
        self.step = step

    @property
    def said(self) -> str:
        """The message, with the vendor's own line where a traceback names it."""
        return f"{self}{_place(self.detail) if self.outcome is Outcome.RAISED else ''}"

    @property
    def lost_host(self) -> bool:
        """Whether the backend's process is gone."""
        return self.outcome is not Outcome.RAISED

    def to_dict(self) -> dict[str, object]:
        """The report's entry."""
        name = "Traceback" if self.outcome is Outcome.RAISED else "Log Tail"
        return {"Step": self.step, "Outcome": self.outcome, "Message": self.said, name: self.detail}


@contextmanager
def outcomes(what: str, limit: Limit | None = None, flag: str = "") -> Iterator[None]:
    """Turn what a host raises into UserError or BackendFailed. `what` names the step in messages.

    `limit` is the one that held; None: the host says which, and `flag` names its option.
    """
    from qs.engine import HostDied, HostError, HostTimeout

    try:
        yield
    except HostTimeout as timeout:
        text = f"{what}: no answer {limit or Limit(timeout.limit_s, flag)}"
        raise BackendFailed(text, timeout.log_tail, Outcome.TIMED_OUT, what) from None
    except HostDied as died:
        raise _death(what, died.exit, died.log_tail) from None
    except HostError as error:
        if error.kind in ("UserError", "Faults"):
            raise UserError(error.message) from None
        raise BackendFailed(
            f"{what}: {error.kind}: {error.message}", error.traceback, Outcome.RAISED, what
        ) from None


def _place(traceback: str) -> str:
    """The line of the vendor's own that it came from: the innermost one in a backend's or data
    set's folder.
    """
    own = [
        (path, line)
        for path, line in _FRAME.findall(traceback)
        if {"backends", "datasets"} & set(PurePath(path).parts) and "site-packages" not in path
    ]
    return f" ({own[-1][0]}, line {own[-1][1]})" if own else ""


def _death(what: str, how: str, log_tail: str) -> BackendFailed:
    if _WATCHDOG.search(log_tail) and how == "exit status 1":
        return BackendFailed(
            f"{what}: predict gave no answer in time (--predict_timeout)",
            log_tail,
            Outcome.TIMED_OUT,
            what,
        )
    outcome = Outcome.EXITED if how.startswith("exit status") else Outcome.CRASHED
    return BackendFailed(f"{what}: the process ended ({how}{hint(how)})", log_tail, outcome, what)


def hint(how: str) -> str:
    """What an exit that says nothing itself is likely to mean."""
    return (
        "; that is how the kernel ends what takes too much memory"
        if how == "signal SIGKILL"
        else ""
    )
