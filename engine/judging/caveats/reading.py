"""Caveats about the plan's measures: what was not read, what was told wrongly, and what keeping it
cost the requests.
"""

from __future__ import annotations

from qs.engine.outcome import Doubt, Unread
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.ruling import Caveat
from qs.engine.words import number

LONG_WRITE_NS = 1_000_000
WRITE_SHARE = 0.5

_WHY = {
    Unread.RAISED: "the reader raised",
    Unread.HUNG: "the reader did not come back",
    Unread.INTERRUPTED: "the run was interrupted while they were read",
    Unread.NO_ROOM: "there was no room to keep them, in memory or in a file",
    Unread.LOST: "the process that held them was lost",
}
_ADVICE = {
    Unread.RAISED: "mend the reader",
    Unread.HUNG: "mend the reader",
    Unread.INTERRUPTED: "let the run end by itself",
    Unread.NO_ROOM: "give TMPDIR a folder with more room, or measure for less long",
    Unread.LOST: "look into the log of the process",
}


def unread(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Requests are in the response times and in no measure."""
    if not result.unread:
        return None
    reasons = {Unread(code): fault for code, fault in result.unread_why.items()}
    reasons = reasons or {Unread.LOST: ""}
    why = " and ".join(
        _WHY[code] + (f" ({fault})" if fault else "") for code, fault in reasons.items()
    )
    return Caveat(
        Doubt.UNREAD,
        f"{number(result.unread)} of {number(result.completed)} requests were not read, since "
        f"{why}: they are in no measure but the response time"
        + (", and among no good requests" if plan.bounds else ""),
        " and ".join(dict.fromkeys(_ADVICE[code] for code in reasons)),
    )


def misread(result: RunResult, plan: RunPlan) -> Caveat | None:
    """The reader told something that cannot be: what it concerns is missing."""
    if not result.misread:
        return None
    told = "; ".join(f"{name}: {why}" for name, why in list(result.misread.items())[:5])
    more = len(result.misread) - 5
    return Caveat(
        Doubt.MISREAD,
        "the reader of answers told what cannot be, so that these are missing: "
        + told
        + (f"; and {more} more" if more > 0 else ""),
        "mend the reader",
    )


def written(result: RunResult, plan: RunPlan) -> Caveat | None:
    """An event loop that writes to a file answers to nothing."""
    longest = result.longest_write_ns
    if longest < LONG_WRITE_NS or longest <= WRITE_SHARE * result.service.percentile_ns(50):
        return None
    return Caveat(
        Doubt.WRITTEN,
        f"answers were written to a file while requests were made, "
        f"{number(round(result.written_bytes / 1e6))} MB in all: that stopped the event loop for "
        f"up to {number(round(longest / 1e6, 1))} ms, and what was in flight came back later by as "
        "much",
        "give TMPDIR a faster folder, measure for less long, or use more worker processes",
    )
