"""Caveats about requests that were due and not answered: whether the target keeps up with a
schedule.

The backlog of a queue that just keeps up wanders: after n arrivals its standard deviation is
sqrt(n) for constant service times and up to sqrt(2 n) for exponential ones. What exceeds FAR times
sqrt(n) comes by chance at most once in 200, 2 (1 - Phi(4 / sqrt(2))); a backlog that grew steadily
says more, so STEADY times sqrt(n) will do. A target that works off what is left much faster than
requests fell due could have kept up: it had stalled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qs.engine.outcome import HELD_BACK, HELD_BACK_MS, Doubt, ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.result import IntervalRow, RunResult
from qs.engine.ruling import Caveat
from qs.engine.statistics.trend import growth
from qs.engine.words import number

SHARE = 0.01
FAR, STEADY = 4.0, 3.0
FASTER = 1.2
# Due requests that the target did not get to.
NEVER = (ErrorKind.DROPPED, ErrorKind.NOT_ISSUED, ErrorKind.CUT_OFF)
ADVICE = "lower the rate, or give the target more workers"


def overload(result: RunResult, plan: RunPlan) -> Caveat | None:
    """The target did not keep up: requests never had their turn, or the backlog was long when the
    last one fell due, longer than chance and stalls explain.
    """
    if not plan.load.sets_rate:
        return None
    arrived = result.completed + result.errors
    left = _never(result) - sum(_never(part) for part in _of_lost_nodes(result))
    if left >= _handful(result):
        text = (
            f"{number(left)} of {number(arrived)} due requests never had their turn: "
            "more arrived than the target could answer"
        )
        return Caveat(Doubt.OVERLOAD, text, ADVICE)
    rows = _while_due(result)
    grown = _grown(result, plan, rows)
    if grown is None or _works_off(result, rows):
        return None
    return Caveat(
        Doubt.OVERLOAD,
        f"the backlog grew by {number(round(grown))} requests: "
        "more arrived than the target could answer, "
        "so response times depend on how long the run was",
        ADVICE,
    )


def behind(result: RunResult, plan: RunPlan) -> Caveat | None:
    """The target was behind for a while and caught up, or may be about to fall behind."""
    if not plan.load.sets_rate or overload(result, plan) is not None:
        return None
    rows = _while_due(result)
    if not rows:
        return None
    backlog = [float(row.in_flight or 0) for row in rows]
    most, arrived = max(backlog), result.completed + result.errors
    if most - _in_service(result, plan, rows) > FAR * math.sqrt(arrived):
        return Caveat(
            Doubt.BEHIND,
            f"for a while the target was behind: up to {number(round(most))} requests waited, and "
            "their waits are in the response times",
            "look for stalls, or for bursts in the schedule, before you trust the percentiles",
        )
    grown = growth(backlog)
    if grown is None or grown < _handful(result):
        return None
    return Caveat(
        Doubt.BEHIND,
        f"the backlog grew by {number(round(grown))} requests, which may be chance or the "
        "beginning of overload",
        "measure longer, or lower the rate",
    )


def held_back(result: RunResult, plan: RunPlan) -> Caveat | None:
    """A cap on the requests in flight made some wait: while it does, a request is sent when another
    has been answered, as in closed loop, and not when it is due.
    """
    held, waited_ms = (result.counts.get(name, 0) for name in (HELD_BACK, HELD_BACK_MS))
    arrived = result.completed + result.errors
    if not held or held < SHARE * arrived:
        return None
    most = max(plan.pool.max_in_flight or 0, plan.pool.workers or 1)  # one a process at least
    return Caveat(
        Doubt.HELD_BACK,
        f"{number(held)} of {number(arrived)} requests waited for one of {number(most)} places, "
        f"{number(round(waited_ms / held, 1))} ms on average: the load was not sent as it fell due "
        "but as answers came",
        "raise max_in_flight, or leave it out, to see what the target does under all of it",
    )


def _never(result: RunResult) -> int:
    return sum(result.errors_by_kind.get(kind, 0) for kind in NEVER)


def _of_lost_nodes(result: RunResult) -> list[RunResult]:
    """What nodes did that were lost: what they were still to make is not the target's fault."""
    return [part.result for part in result.nodes if part.lost and part.result is not None]


def _handful(result: RunResult) -> float:
    arrived = result.completed + result.errors
    return max(SHARE * arrived, 10 + 4 * result.workers)


def _while_due(result: RunResult) -> list[IntervalRow]:
    """The whole intervals in which requests fell due, the one in which the last did included: what
    follows is the drain. Empty if a worker was lost, and with it what it knew of due times.
    """
    length_s = max((row.length_s for row in result.intervals), default=0.0)
    whole = [row for row in result.intervals if row.length_s >= length_s * (1 - 1e-9)]
    if any(row.in_flight is None for row in whole):
        return []
    if result.offered_s is not None:
        return [row for row in whole if row.start_s < result.offered_s]
    backlog = [row.in_flight for row in whole]
    return whole[: backlog.index(max(backlog)) + 1] if whole else []  # type: ignore[type-var]


def _grown(result: RunResult, plan: RunPlan, rows: Sequence[IntervalRow]) -> float | None:
    """By how much the backlog grew until the last request was due, unless chance explains it."""
    if not rows:
        return None
    backlog = [float(row.in_flight or 0) for row in rows]
    chance = math.sqrt(result.completed + result.errors)
    # The last of these intervals may hold a part of the drain.
    waiting = max(backlog[-2:]) - _in_service(result, plan, rows)
    halfway = backlog[(len(backlog) - 1) // 2] if len(backlog) > 2 else 0.0
    late = max(backlog[-2:]) - halfway
    slow = FASTER * result.queries_per_s < (result.offered_per_s or 0.0)
    if waiting > FAR * chance and (slow or late > FAR * chance):
        return waiting
    risen = growth(backlog[: backlog.index(max(backlog)) + 1])
    least = max(STEADY * chance, _handful(result))
    if risen is None or min(risen, waiting) < least or waiting < 0.5 * max(backlog):
        return None
    return risen


def _in_service(result: RunResult, plan: RunPlan, rows: Sequence[IntervalRow]) -> float:
    """How many requests are unanswered at a time while the target keeps up: one in each worker; of
    coroutines, which call at once, as many as Little's law says (at the rate of late, which grows
    no further if the target is saturated).
    """
    if plan.pool.kind != "async":
        return float(result.workers)
    late = rows[-max(len(rows) // 4, 1) :]
    per_s = sum(row.completed for row in late) / sum(row.length_s for row in late)
    return per_s * result.service.mean_ns / 1e9 if result.service.count else 0.0


def _works_off(result: RunResult, rows: Sequence[IntervalRow]) -> bool:
    """Whether what was left was answered much faster than requests had fallen due, of late and in
    all.
    """
    if result.offered_s is None or len(rows) < 2:
        return False
    tail = rows[-max(len(rows) // 4, 1) - 1 :]
    first, last = tail[0], tail[-1]
    answered = sum(row.completed + row.errors for row in tail[1:])
    due = answered + (last.in_flight or 0) - (first.in_flight or 0)
    due_s = min(last.start_s + last.length_s, result.offered_s) - first.start_s - first.length_s
    drained_s = result.wall_s - result.offered_s
    left = max(row.in_flight or 0 for row in rows[-2:])
    if due_s <= 0 or drained_s <= 0:
        return False
    return left / drained_s > FASTER * max(due / due_s, result.offered_per_s or 0.0)
