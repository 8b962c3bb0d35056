"""Failures of a backend, into the report: each once, with the batch size it happened in and the end
of the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from qs.evaluate.failures import CRASHED, EXITED, TIMED_OUT, BackendFailed, hint
from qs.result.journal import Journal

HUNG, DIED = "hung", "died"  # kinds of errors in the engine's result
_EXIT = re.compile(r"the host process ended: (.+?)(?: \(\d+ times\))?$")  # in the engine's warnings


def note(journal: Journal, failure: BackendFailed, batch_size: int | None = None) -> None:
    """Into the record's `Failures` and the events. That it is a reason as well is the caller's
    part.
    """
    entry = failure.to_dict() | ({} if batch_size is None else {"Batch Size": batch_size})
    journal.record.failures.append(entry)
    journal.event(
        "backend failed", **{name.lower().replace(" ", "_"): value for name, value in entry.items()}
    )


def reason_of_loss(result: Any, host: Any, title: str) -> BackendFailed | None:
    """What ended the backend's process in the middle of a measurement; None where it lives.
    `result` is the engine's.
    """
    kinds = result.errors_by_kind
    if HUNG in kinds:
        text = f"predict gave no answer within {host.limits.predict_s:.3g} s (--predict_timeout); what was measured before is kept"
        return BackendFailed(text, host.log_tail(), TIMED_OUT, title)
    if DIED in kinds:
        how = _how(result.warnings)
        outcome = EXITED if how.startswith("exit status") else CRASHED
        text = f"the process ended ({how}{hint(how)}); what was measured before is kept"
        return BackendFailed(text, host.log_tail(), outcome, title)
    return None


def _how(warnings: Sequence[str]) -> str:
    found = [match.group(1) for text in warnings if (match := _EXIT.search(text))]
    return found[-1] if found else "nothing says how"
