"""What a measured case is worth: the verdict of its row, its reasons and its doubts, in the words
of the command line.

The engine calls whatever it finds fault with INVALID. A target that does not keep up, and a bound
that does not hold, are no faults of the measurement: they have verdicts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from qs.base.scenarios import SCHEDULED
from qs.base.storable import storable
from qs.base.words import half_width, number, percent, span
from qs.engine import Cause, Doubt, Ending, ErrorKind, Estimate, Reason, RunResult
from qs.evaluate import cures
from qs.evaluate.slo import Held
from qs.evaluate.unavailable import unavailable
from qs.result.verdict import TOO_SHORT, DoubtEntry, Verdict
from qs.settings.case import Case

# Failures of requests that a target which does not keep up did not get to in time.
NOTHING_HELD = Held()
UNSERVED = (ErrorKind.DROPPED, ErrorKind.NOT_ISSUED, ErrorKind.CUT_OFF, ErrorKind.TIMEOUT)
# An interval of this share of its figure tells nothing: it reaches down to zero. One of TOLD does.
VAGUE, TOLD = 1.0, 0.5
# What follows from requests that it did not get to.
_BY_OVERLOAD = (Cause.FAILED, Cause.NOTHING, Cause.MINIMUM_QUERIES, Cause.ERROR_BUDGET)
_BY_SLO = (Cause.BOUND, Cause.EARLY_STOPPING)


def judged(
    case: Case, result: RunResult, held: Held = NOTHING_HELD
) -> tuple[Verdict, list[str], list[DoubtEntry]]:
    """The verdict, why it is not VALID, and what remains to be doubted."""
    over = overload(result)
    causes = [
        cause
        for cause in result.causes
        if cause.code != Cause.FAILED or not held.failures_are_bounded
    ]
    verdict = _verdict(result, {cause.code for cause in causes}, over is not None)
    if held.unmeasured:
        verdict = Verdict.INVALID
    elif held.reasons and verdict is Verdict.VALID:
        verdict = Verdict.SLO_NOT_MET
    reasons = [storable(_said(cause, case, result)) for cause in causes]
    reasons += [*held.reasons, *held.unmeasured]
    if over is not None:
        reasons.insert(0, f"{over}; {cures.cure(Doubt.OVERLOAD, case, result)}")
    notes = result.warnings[: len(result.warnings) - len(result.caveats)]
    doubts = [*held.doubts]
    doubts += [DoubtEntry(code="workers", text=storable(text)) for text in notes]
    doubts += [found] if (found := unavailable(result)) else []
    doubts += [
        DoubtEntry(
            code=str(caveat.code),
            text=storable(caveat.text),
            cure=cures.cure(Doubt(caveat.code), case, result),
        )
        for caveat in result.caveats
        if caveat.code != Doubt.OVERLOAD
    ]
    # Overload has no response time that an interval could be of.
    short = too_short(case, result) if over is None else None
    first = short or imprecise(case, result)
    return verdict, reasons, [first, *doubts] if first else doubts


def overload(result: RunResult) -> str | None:
    """That the target does not keep up, and how far it is behind; None if it does."""
    found = next((each for each in result.caveats if each.code == Doubt.OVERLOAD), None)
    if found is None:
        return None
    offered, served = result.offered_per_s or 0.0, result.queries_per_s
    share = f" ({percent(served / offered)})" if offered else ""
    return (
        f"offered {number(offered)} queries/s, served {number(served)}/s{share}: the target is "
        f"saturated; {found.text}"
    )


def _verdict(result: RunResult, codes: set[Cause], overloaded: bool) -> Verdict:
    if overloaded and _only_unserved(result):
        codes -= set(_BY_OVERLOAD)
    if codes and not (Cause.BOUND in codes and codes <= set(_BY_SLO)):
        return Verdict.INVALID
    if overloaded:
        return Verdict.OVERLOADED
    return Verdict.SLO_NOT_MET if codes else Verdict.VALID


def _only_unserved(result: RunResult) -> bool:
    """Whether all that failed are requests that the target did not get to."""
    return all(kind in UNSERVED for kind, count in result.errors_by_kind.items() if count)


def _said(cause: Reason, case: Case, result: RunResult) -> str:
    advice = cures.of_reason(cause, case, result)
    return f"{cause.text}; {advice}" if advice else cause.text


def too_short(case: Case, result: RunResult) -> DoubtEntry | None:
    """That no interval could be computed, or one as wide as the figure itself: of the throughput,
    or, where a schedule sets the pace, of the response times.
    """
    if not result.completed or result.confidence is None or result.interrupted:
        return None
    what, estimate = _wanted(case, result)
    known = estimate.relative
    if estimate.half_width is None:
        why = f"no 95 % interval of {what} can be computed ({estimate.why})"
        needed_s = _least_s(result, estimate)
    elif known is not None and known >= VAGUE:
        why = f"{what} is known only to within {percent(known)}"
        needed_s = result.wall_s * (known / TOLD) ** 2
    else:
        return None
    return DoubtEntry(
        code=TOO_SHORT,
        text=f"{span(result.wall_s)} of measurement are too short to tell: {why}",
        cure=cures.longer(case, needed_s),
        needed_s=needed_s,
    )


def imprecise(case: Case, result: RunResult) -> DoubtEntry | None:
    """That a case which was to go on until its throughput is known ended before."""
    if case.until_known is None or result.ended_by is Ending.STABLE or result.confidence is None:
        return None
    known = result.confidence.throughput.relative
    if known is None or known <= case.until_known:
        return None
    needed_s = result.wall_s * (known / case.until_known) ** 2
    return DoubtEntry(
        code="imprecise",
        text=f"after {span(result.wall_s)} the throughput is known to {half_width(known)}, not to "
        f"{percent(case.until_known)}",
        cure=cures.longer(case, needed_s),
        needed_s=needed_s,
    )


def _wanted(case: Case, result: RunResult) -> tuple[str, Estimate]:
    assert result.confidence is not None
    if case.scenario_name not in SCHEDULED:
        return "the throughput", result.confidence.throughput
    told = _told(result, sorted(result.confidence.response, reverse=True))
    return f"p{told:g} of the response time", result.confidence.response[told]


def _told(result: RunResult, percentiles: Sequence[float]) -> float:
    """The highest percentile up to p99 that the row reports."""
    reported = (each for each in percentiles if each <= 99.0 and result.response.supports(each))
    return next(reported, percentiles[-1])


def _least_s(result: RunResult, estimate: Estimate) -> float:
    """How long it would have to be measured for an interval, as far as this run tells."""
    times = estimate.longer or 1.0
    return 1.2 * times * result.wall_s
