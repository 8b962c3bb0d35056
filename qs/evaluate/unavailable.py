"""When a server was unavailable during a case: stretches in which requests failed and few were
answered, before or after which it answered as ever.

A restart, a model that is unloaded and loaded again, a gateway that answers 503 for a while: such a
case is not one measurement but two, with a hole between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from qs.base.words import counted, number
from qs.engine import ErrorKind, IntervalRow, RunResult
from qs.engine.wire.failures import Failure
from qs.result.verdict import DoubtEntry

CODE = "unavailable"
# Failures that a server which cannot be reached, or does not serve for now, makes of requests.
_KINDS = frozenset(
    {
        Failure.REFUSED,
        Failure.CONNECT_TIMEOUT,
        Failure.RESET,
        Failure.CLOSED,
        Failure.FIRST_BYTE_TIMEOUT,
    }
)
# What we did not wait for when the run ended.
_OURS = {ErrorKind.CUT_OFF, ErrorKind.NOT_ISSUED}
_STATUS = re.compile(r"HTTP (404|429|5\d\d)|gRPC (UNAVAILABLE|NOT_FOUND|DEADLINE_EXCEEDED)")
# An interval belongs to such a stretch if less than this share of what is usual was answered, and
# a tenth of the rest failed at least: a hiccup of one in a hundred is none.
USUAL = 0.9
SHORTEST = 0.5  # of an interval that tells what is usual, as a share of the others
LEAST_FAILED = 3
MOST_TOLD = 5


@dataclass(frozen=True)
class Spell:
    """One stretch, in seconds from the start of the measured phase."""

    begin_s: float
    end_s: float
    failed: int
    to_the_end: bool = False

    def __str__(self) -> str:
        if self.to_the_end:
            return f"from {_second(self.begin_s)} on"
        if self.begin_s <= 0:
            return f"until {_second(self.end_s)}"
        return f"from {_second(self.begin_s)} to {_second(self.end_s)}"


def unavailable(result: RunResult) -> DoubtEntry | None:
    """The doubt that says when; None if there was no such stretch: a request that is wrong fails
    all the time. The kinds do not tell: Triton answers 400 for a model that it has unloaded.
    """
    failed = {kind: count for kind, count in result.errors_by_kind.items() if count}
    if not set(failed) - _OURS:
        return None
    # Parts are told of requests to a server. A blocking client tells none, but fails like one.
    if not result.parts and not any(is_of_server(str(kind)) for kind in failed):
        return None
    found = spells(result.intervals)
    if not found:
        return None
    told = ", ".join(map(str, found[:MOST_TOLD]))
    if len(found) > MOST_TOLD:
        told += f" and {counted(len(found) - MOST_TOLD, 'more time')}"
    kinds = ", ".join(f"{number(count)} {kind}" for kind, count in sorted(failed.items()))
    return DoubtEntry(
        code=CODE,
        text=f"the server was unavailable {told} ({kinds}); the times are those of the rest",
        cure="the server's own log says why; measure again when it stays up",
    )


def is_of_server(kind: str) -> bool:
    """Whether requests fail like that while a server is unavailable."""
    return kind in _KINDS or _STATUS.fullmatch(kind) is not None


def spells(rows: Sequence[IntervalRow]) -> list[Spell]:
    """The stretches, in order. Their ends are estimated within an interval from the share of the
    usual that was answered in it.
    """
    # What little of an interval the end of a run leaves may be without a failure by chance.
    least_s = SHORTEST * max((row.length_s for row in rows), default=0.0)
    good = [
        row.completed / row.length_s
        for row in rows
        if row.completed and not row.errors and row.length_s >= least_s
    ]
    if not good:
        return []  # it never answered as usual: that is no stretch of the run
    usual = median(good)
    found = []
    for first, last in _runs([_is_bad(row, usual) for row in rows], rows):
        failed = sum(row.errors for row in rows[first : last + 1])
        if failed < LEAST_FAILED:
            continue
        begin, end = rows[first], rows[last]
        end_s = end.start_s + end.length_s
        if first == last:
            lost = 1 - _share(begin, usual)
            found.append(Spell(begin.start_s, begin.start_s + lost * begin.length_s, failed))
            continue
        to_the_end = last == len(rows) - 1 and not end.completed
        found.append(
            Spell(
                begin.start_s + (_share(begin, usual) * begin.length_s if first else 0.0),
                end_s if to_the_end else end_s - _share(end, usual) * end.length_s,
                failed,
                to_the_end,
            )
        )
    return found


def _is_bad(row: IntervalRow, usual: float) -> bool:
    if not row.errors or not row.completed:
        return row.errors > 0
    expected = usual * row.length_s
    lacking = expected - row.completed
    return row.completed < USUAL * expected and 10 * row.errors >= lacking


def _is_empty(row: IntervalRow) -> bool:
    return not row.completed and not row.errors and bool(row.in_flight)


def _runs(bad: Sequence[bool], rows: Sequence[IntervalRow]) -> list[tuple[int, int]]:
    """First and last of each run of bad intervals, with those beside them in which nothing ended
    though requests were on their way.
    """
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(rows):
        if not (bad[at] or _is_empty(rows[at])):
            at += 1
            continue
        first = at
        while at < len(rows) and (bad[at] or _is_empty(rows[at])):
            at += 1
        if any(bad[first:at]):
            found.append((first, at - 1))
    return found


def _share(row: IntervalRow, usual: float) -> float:
    return min(1.0, row.completed / (usual * row.length_s)) if row.length_s else 0.0


def _second(seconds: float) -> str:
    return f"{seconds:.1f} s"
