"""One trial at one rate: what it was planned to measure, what it showed, and the counts that are
kept of it, so that an interrupted search goes on from the trials it had.

Counts are kept by batch, a few neighbouring intervals each: small enough for a result file, and
fine enough to see how much a queue's waits crowd. What the counts say about a goal is left to
qs.limit.judging.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qs.base.payloads import counts_of
from qs.engine import ErrorKind, Histogram, IntervalRow, RunResult
from qs.limit.goals import Goal, longest_bound_s

SEARCH, CONFIRM, CURVE = "search", "confirm", "curve"
# A trial is recorded in this many intervals, which the batches are made of.
INTERVALS = 40
# Batches in a trial at most. Neighbours that turn out to be correlated are merged when judged.
BATCHES = 40
# After these engine caveats, a rate that did not hold says more about the engine than the target.
ENGINE_CAVEATS = ("engine_bound", "loop_bound")
# Kinds of errors whose requests no interval counts as due.
NEVER_ENDED = (ErrorKind.NOT_ISSUED, ErrorKind.CUT_OFF)


@dataclass(frozen=True)
class TrialPlan:
    """What the search asks to have measured.

    It is run as RunPlan(load=Poisson(rate_per_s, seed), stop=Stop(duration_s=duration_s),
    drain_s=drain_s, interval_s=interval_s).
    """

    # Its number in the search, which together with the search's seed makes its own seed.
    number: int
    phase: str
    rate_per_s: float
    duration_s: float
    seed: int
    goals: tuple[Goal, ...] = field(repr=False)

    @property
    def drain_s(self) -> float:
        """How long requests may still come back after the last one was due.

        A request that waits for twice the longest bound has missed it. Half of the trial's own time
        is enough to answer what half as much again as the target's capacity leaves undone, so that
        throughput beyond the limit can be seen. What is cut off there counts as failed.
        """
        return max(1.0, 2 * longest_bound_s(self.goals), self.duration_s / 2)

    @property
    def interval_s(self) -> float:
        return self.duration_s / INTERVALS


@dataclass(frozen=True)
class BatchCounts:
    """How one trial did by one goal, batch by batch in order of time."""

    # Requests that ended in the batch; for a mean, those that were answered.
    requests: np.ndarray
    # Those that missed the bound; for a mean, the sum of the response times in ns.
    missed: np.ndarray

    def to_dict(self) -> dict[str, list[float]]:
        return {"requests": self.requests.tolist(), "missed": self.missed.tolist()}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> BatchCounts:
        return BatchCounts(*(np.array(plain[name], np.float64) for name in ("requests", "missed")))


@dataclass(frozen=True)
class Waits:
    """A trial's response times: answered requests and total time by batch, and the sum of the
    squares of all of them.
    """

    answered: np.ndarray
    total_ns: np.ndarray
    squares_ns2: float

    @property
    def variance_ns2(self) -> float:
        """Of one response time."""
        count = float(self.answered.sum())
        if not count:
            return 0.0
        return max(self.squares_ns2 / count - (float(self.total_ns.sum()) / count) ** 2, 0.0)

    def to_dict(self) -> dict[str, Any]:
        return {
            "answered": self.answered.tolist(),
            "total_ns": self.total_ns.tolist(),
            "squares_ns2": self.squares_ns2,
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Waits:
        answered, total = (np.array(plain[name], np.float64) for name in ("answered", "total_ns"))
        return Waits(answered, total, float(plain["squares_ns2"]))


@dataclass(frozen=True)
class Trial:
    """One trial of Poisson arrivals, with all that the search needs of it."""

    number: int
    phase: str
    rate_per_s: float
    # How long requests fell due; `wall_s` lasts until the last answer.
    duration_s: float
    seed: int
    wall_s: float
    # What it cost of the budget: until the last request was due and answered, or all of the time
    # around it where that was longer.
    took_s: float
    completed: int
    # Requests that were due and not answered well, including those that never had their turn.
    failed: int
    # Requests that were due and unanswered when the last one had fallen due.
    backlog: int
    # Why the trial says nothing about the target; empty if it does.
    reasons: tuple[str, ...]
    # By the goals' names.
    tallies: dict[str, BatchCounts] = field(repr=False, compare=False)
    waits: Waits = field(repr=False, compare=False)
    # Of the completed requests, from their due times.
    response: Histogram = field(repr=False, compare=False)

    @property
    def valid(self) -> bool:
        return not self.reasons

    @property
    def requests(self) -> int:
        return self.completed + self.failed

    @property
    def due_per_s(self) -> float:
        """What the arrivals that were drawn come to; `rate_per_s` is what was asked for."""
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def answered_per_s(self) -> float:
        """What was answered per second while anything was: it follows the rate as long as the
        target keeps up.
        """
        return self.completed / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def mean_ns(self) -> float:
        return self.response.mean_ns

    @staticmethod
    def of(plan: TrialPlan, result: RunResult) -> Trial:
        """From the engine's result of the plan."""
        reasons = [str(caveat) for caveat in result.caveats if caveat.code in ENGINE_CAVEATS]
        if result.interrupted:
            reasons.append("the trial was interrupted")
        return Trial.counted(
            plan,
            wall_s=result.wall_s,
            completed=result.completed,
            failed=result.errors,
            backlog=_backlog(result, plan.duration_s),
            response=result.response,
            intervals=result.intervals,
            reasons=reasons,
        )

    @staticmethod
    def counted(
        plan: TrialPlan,
        *,
        wall_s: float,
        completed: int,
        failed: int,
        backlog: int,
        response: Histogram,
        intervals: Sequence[IntervalRow],
        reasons: Sequence[str] = (),
    ) -> Trial:
        """From what was recorded: intervals of one length, counted by the time of completion."""
        nothing = () if completed + failed else ("no request fell due",)
        tallies, waits = _tallies(plan, intervals, failed)
        return Trial(
            number=plan.number,
            phase=plan.phase,
            rate_per_s=plan.rate_per_s,
            duration_s=plan.duration_s,
            seed=plan.seed,
            wall_s=wall_s,
            took_s=max(wall_s, plan.duration_s),
            completed=completed,
            failed=failed,
            backlog=backlog,
            reasons=(*reasons, *nothing),
            tallies=tallies,
            waits=waits,
            response=response,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data. The counts of response times are a compressed HdrHistogram in base64, which
        any of its tools reads.
        """
        return {name: getattr(self, name) for name in (*_PLAIN, "mean_ns", "valid")} | {
            "reasons": list(self.reasons),
            "tallies": {name: counts.to_dict() for name, counts in self.tallies.items()},
            "waits": self.waits.to_dict(),
            "response": _encoded(self.response),
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Trial:
        """Raises ValueError, KeyError, TypeError or AttributeError if `to_dict` did not make it, or
        what decoders of histograms raise.
        """
        counts = plain["tallies"].items()
        for name in _PLAIN:
            number = type(plain[name]) in (int, float) and 0 <= plain[name] < math.inf
            if not (isinstance(plain[name], str) if name == "phase" else number):
                raise ValueError(f"{name} is {plain[name]!r}")
        return Trial(
            **{name: plain[name] for name in _PLAIN},
            reasons=tuple(plain["reasons"]),
            tallies={name: BatchCounts.from_dict(each) for name, each in counts},
            waits=Waits.from_dict(plain["waits"]),
            response=_decoded(plain["response"]),
        )


_PLAIN = (
    "number",
    "phase",
    "rate_per_s",
    "duration_s",
    "seed",
    "wall_s",
    "took_s",
    "completed",
    "failed",
    "backlog",
)


def _backlog(result: RunResult, duration_s: float) -> int:
    """The most that the intervals around the end of the schedule had in flight, and what never had
    its turn.
    """
    never = sum(result.errors_by_kind.get(kind, 0) for kind in NEVER_ENDED)
    ends = [(row.start_s + row.length_s, row.in_flight) for row in result.intervals]
    if any(in_flight is None for _, in_flight in ends):
        # A worker was lost, and with it what it knew of due times: what came back after the end was
        # in flight at it.
        return never + sum(row.completed for row in result.intervals if row.start_s >= duration_s)
    after = next(
        (at for at, (end_s, _) in enumerate(ends) if end_s >= duration_s * (1 - 1e-9)),
        len(ends) - 1,
    )
    around = ends[max(after - 1, 0) : after + 1]
    return never + max((in_flight or 0 for _, in_flight in around), default=0)


def _tallies(
    plan: TrialPlan, rows: Sequence[IntervalRow], failed: int
) -> tuple[dict[str, BatchCounts], Waits]:
    """A trial's counts by the goals' names, and its waits."""
    inside = sum(row.start_s < plan.duration_s * (1 - 1e-9) for row in rows)
    count = max(min(inside, BATCHES), 1)
    # What was answered after the last request had fallen due belongs to the last batch.
    of_row = np.array(
        [min(at * count // max(inside, 1), count - 1) for at in range(len(rows))], np.int64
    )
    nothing = np.zeros(0, np.int64)
    batch = np.repeat(of_row, [row.index.size for row in rows])
    index = np.concatenate([nothing, *(row.index for row in rows)]).astype(np.int64)
    counts = np.concatenate([nothing, *(row.counts for row in rows)]).astype(np.float64)
    failures = np.bincount(of_row, weights=[float(row.errors) for row in rows], minlength=count)
    failures[-1] += max(failed - failures.sum(), 0.0)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(batch, weights=values, minlength=count)

    middles = Histogram.middles_ns(index)
    answered, total = sums(counts), sums(counts * middles)
    tallies = {}
    for goal in plan.goals:
        if goal.share is None:
            tallies[goal.name] = BatchCounts(answered, total)
        elif goal.bound_ns is None:
            tallies[goal.name] = BatchCounts(answered + failures, failures)
        else:
            # A histogram bin that straddles the bound (0.1 % wide) counts as over.
            over = sums(counts * (Histogram.tops_ns(index) > goal.bound_ns))
            tallies[goal.name] = BatchCounts(answered + failures, over + failures)
    return tallies, Waits(answered, total, float((counts * middles**2).sum()))


# What a histogram knows more exactly than its counts.
_EXACT = ("count", "min_ns", "max_ns", "sum_ns", "out_of_range")


def _encoded(histogram: Histogram) -> dict[str, Any]:
    return {name: getattr(histogram, name) for name in _EXACT} | {
        "hdr": histogram.to_hdr().encode().decode("ascii")
    }


def _decoded(plain: dict[str, Any]) -> Histogram:
    """The very histogram that was encoded, so that a search makes the same of it again."""
    counts = counts_of(plain["hdr"])
    histogram = Histogram()
    histogram.counts[: counts.size] = counts
    for name in _EXACT:
        value = plain[name]
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {value!r}")
        setattr(histogram, name, value)
    if histogram.count != counts.sum():
        raise ValueError(f"count is {histogram.count}, of {counts.sum()} values")
    return histogram
