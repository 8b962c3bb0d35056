"""What went wrong in a backend's process: raised, exited, crashed, timed out. It becomes a reason
and an entry of the report, and exit status 3.

What the user has to correct is a UserError instead, and exit status 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

from qs.base import storable
from qs.base.errors import NoItems, UserError
from qs.base.visible import one_line
from qs.base.words import number
from qs.engine import ErrorKind, HostDied, HostError, HostTimeout, RunResult
from qs.evaluate.journal import Journal
from qs.result.row import Outcome

# the last words of a process whose watchdog ended it, see qs.inside.calling
_WATCHDOG = re.compile(r"^Timeout \(\d+:\d\d:\d\d[.\d]*\)!", re.MULTILINE)

_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)', re.MULTILINE)

LONGEST_FAULT = 300  # characters of what a vendor's exception says, wherever it is shown


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
    """

    def __init__(
        self,
        message: str,
        detail: str = "",
        outcome: Outcome = Outcome.RAISED,
        step: str = "",
        not_written: bool = False,
    ):
        super().__init__(storable.text(message))
        # The traceback, or the end of what the process had printed.
        self.detail = storable.text(detail)
        self.outcome = outcome
        self.step = step
        self.not_written = not_written  # the vendor left the method out

    @property
    def said(self) -> str:
        """The message, with the vendor's own line if a traceback names it."""
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
    try:
        yield
    except HostTimeout as timeout:
        text = f"{what}: no answer {limit or Limit(timeout.limit_s, flag)}"
        raise BackendFailed(text, timeout.log_tail, Outcome.TIMED_OUT, what) from None
    except HostDied as died:
        raise _death(what, died) from None
    except HostError as error:
        for kind in (NoItems, UserError):
            if error.is_a(kind):
                raise kind(error.message) from None
        text = f"{what}: {error.kind}: {error.message}"
        not_written = error.is_a(NotImplementedError)
        raise BackendFailed(text, error.traceback, Outcome.RAISED, what, not_written) from None


def lost_in(result: RunResult, predict_s: float, log_tail: str, title: str) -> BackendFailed | None:
    """What ended the backend's process in the middle of a measurement; None if it lives."""
    kept = "what was measured before is kept"
    if ErrorKind.HUNG in result.errors_by_kind:
        limit = Limit(predict_s, "predict_timeout")
        text = f"predict gave no answer {limit}; {kept}"
        return BackendFailed(text, log_tail, Outcome.TIMED_OUT, title)
    if ErrorKind.DIED in result.errors_by_kind:
        deaths = [loss for loss in result.losses if loss.kind is ErrorKind.DIED]
        how = (deaths[-1].exit if deaths else "") or "nothing says how"
        exited = deaths and deaths[-1].status is not None
        outcome = Outcome.EXITED if exited else Outcome.CRASHED
        text = f"the process ended ({how}{_hint(deaths[-1].signal if deaths else None)}); {kept}"
        return BackendFailed(text, log_tail, outcome, title)
    return None


def first_fault(result: RunResult) -> str | None:
    """What the first failed request of a case raised, in one short line with the vendor's own line
    of code, and the node; None if nothing is known of it.
    """
    text = storable.text(result.first_fault or "")
    said = one_line(_raised(text), LONGEST_FAULT)
    if not (result.errors and said):
        return None
    nodes = (part.name for part in result.nodes if part.result and part.result.first_fault)
    node = next((f" on node {name}" for name in nodes), "")
    return one_line(f"the first fault{node}: {said}{_place(text)}")


def _raised(traceback: str) -> str:
    """The message at the end of a traceback, below its last frame; else the text itself."""
    lines = traceback.splitlines()
    frames = [at for at, line in enumerate(lines) if line.lstrip(" |").startswith('File "')]
    below = lines[frames[-1] + 1 :] if frames else lines
    while frames and below and below[0].startswith("    "):
        below = below[1:]
    return "\n".join(below)


def note(journal: Journal, failure: BackendFailed, batch_size: int | None = None) -> None:
    """Into the record's `Failures` and the events, with the batch size it happened in. That it is a
    reason as well is up to the caller.
    """
    entry = failure.to_dict() | ({} if batch_size is None else {"Batch Size": batch_size})
    journal.record.failures.append(entry)
    journal.event(
        "backend failed", **{name.lower().replace(" ", "_"): value for name, value in entry.items()}
    )


def _place(traceback: str) -> str:
    """The line of the vendor's own code that raised: the innermost one in a backend's or data
    set's folder.
    """
    own = [
        (path, line)
        for path, line in _FRAME.findall(traceback)
        if {"backends", "datasets"} & set(PurePath(path).parts) and "site-packages" not in path
    ]
    return f" ({own[-1][0]}, line {own[-1][1]})" if own else ""


def _death(what: str, died: HostDied) -> BackendFailed:
    if died.status == 1 and _WATCHDOG.search(died.log_tail):
        text = f"{what}: predict gave no answer in time (--predict_timeout)"
        return BackendFailed(text, died.log_tail, Outcome.TIMED_OUT, what)
    outcome = Outcome.CRASHED if died.status is None else Outcome.EXITED
    text = f"{what}: the process ended ({died.exit}{_hint(died.signal)})"
    return BackendFailed(text, died.log_tail, outcome, what)


def _hint(signal: str | None) -> str:
    """What an exit that says nothing itself is likely to mean."""
    killed = "; that is how the kernel ends what takes too much memory"
    return killed if signal == "SIGKILL" else ""
