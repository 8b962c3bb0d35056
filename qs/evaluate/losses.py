"""Failures of a backend, into the report: each once, with the batch size it happened in and the end
of the log.
"""

from __future__ import annotations

from qs.base.words import number
from qs.engine import ErrorKind, RunResult
from qs.evaluate.backend import Backend
from qs.evaluate.failures import BackendFailed, hint
from qs.result.journal import Journal
from qs.result.row import Outcome


def note(journal: Journal, failure: BackendFailed, batch_size: int | None = None) -> None:
    """Into the record's `Failures` and the events. That it is a reason as well is the caller's
    part.
    """
    entry = failure.to_dict() | ({} if batch_size is None else {"Batch Size": batch_size})
    journal.record.failures.append(entry)
    journal.event(
        "backend failed", **{name.lower().replace(" ", "_"): value for name, value in entry.items()}
    )


def reason_of_loss(result: RunResult, backend: Backend, title: str) -> BackendFailed | None:
    """What ended the backend's process in the middle of a measurement; None if it lives."""
    kinds = result.errors_by_kind
    if ErrorKind.HUNG in kinds:
        limit_s = backend.limits.predict_s
        text = (
            f"predict gave no answer within {number(limit_s)} s (--predict_timeout); "
            "what was measured before is kept"
        )
        return BackendFailed(text, backend.log_tail(), Outcome.TIMED_OUT, title)
    if ErrorKind.DIED in kinds:
        deaths = [loss for loss in result.losses if loss.kind is ErrorKind.DIED]
        how = (deaths[-1].exit if deaths else "") or "nothing says how"
        exited = deaths and deaths[-1].status is not None
        outcome = Outcome.EXITED if exited else Outcome.CRASHED
        text = f"the process ended ({how}{hint(how)}); what was measured before is kept"
        return BackendFailed(text, backend.log_tail(), outcome, title)
    return None
