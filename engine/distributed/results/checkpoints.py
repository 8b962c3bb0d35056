"""What a node tells of its run while it goes on, so that it is kept if the node is lost: all that
was measured until a moment, and the intervals since the checkpoint before. A checkpoint of a second
at 1,000 requests/s has about 3 kB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qs.engine.checks import LONGEST_S
from qs.engine.clock import FOREVER_NS
from qs.engine.conduct.joined_rows import merged_by_number
from qs.engine.conduct.layout import workers_of
from qs.engine.conduct.lead import Snapshot
from qs.engine.conduct.offered import due_before
from qs.engine.distributed.results.counts import (
    MOST_COUNT,
    histogram_of,
    plain_histogram,
    plain_intervals,
)
from qs.engine.distributed.results.merging import Union
from qs.engine.hosts.messages import whole
from qs.engine.load import AllAtOnce, Sessions
from qs.engine.outcome import Cause, Ending, ErrorKind, Unread
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.result import Measured, RunResult, WarmUpResult
from qs.engine.ruling import Reason
from qs.engine.workers.share import until_ns_of

MOST_KINDS = 1_000
MOST_WORD = 200
# What is kept of all nodes together, in case they are lost: filled counts, and intervals at least.
MOST_CELLS, MOST_ROWS = 8_000_000, 10_000


def plain_checkpoint(intervals: Iterable[tuple[int, Interval]]) -> bytes:
    """What workers have closed since the last checkpoint, merged over them."""
    return plain_intervals(merged_by_number(interval for _, interval in intervals))


def plain_snapshot(snapshot: Snapshot) -> tuple:
    """As plain data."""
    service = None if snapshot.service is snapshot.response else plain_histogram(snapshot.service)
    return (
        int(snapshot.now_ns),
        int(snapshot.start_ns),
        int(snapshot.completed),
        {str(kind): int(many) for kind, many in snapshot.errors_by_kind.items()},
        plain_histogram(snapshot.response),
        service,
        plain_histogram(snapshot.lateness),
    )


def snapshot_of(plain: Any) -> Snapshot:
    """Raises ValueError or TypeError for what makes no sense."""
    now_ns, start_ns, completed, errors, response, service, lateness = plain
    times = histogram_of(response)
    found = Snapshot(
        whole(now_ns),
        whole(start_ns),
        whole(completed, MOST_COUNT),
        errors_of(errors),
        times,
        times if service is None else histogram_of(service),
        histogram_of(lateness),
    )
    if found.completed != times.count + times.out_of_range:
        raise ValueError("more or fewer requests than response times")
    return found


def errors_of(plain: Any) -> dict[str, int]:
    """Failed requests by kind."""
    if not isinstance(plain, dict) or len(plain) > MOST_KINDS:
        raise ValueError(f"{type(plain).__name__} for at most {MOST_KINDS} kinds of failures")
    for kind in plain:
        if not isinstance(kind, str) or not 0 < len(kind) <= MOST_WORD:
            raise ValueError(f"a failure of the kind {kind!r:.40}")
    return {kind: whole(many, MOST_COUNT) for kind, many in plain.items()}


def log_of(plan: RunPlan, of: int) -> IntervalLog:
    """For the intervals that one of so many nodes tells: all nodes' together have MOST_CELLS counts
    at about six bytes each. The whole's intervals do not get coarser by that.
    """
    log = IntervalLog(plan.recorded_ns / 1e9, plan.recorded_per_interval)
    log.CELLS, log.FEW = max(MOST_CELLS // of, 1), min(log.FEW, max(MOST_ROWS // of, 8))
    return log


def part_from(
    share: RunPlan,
    snapshot: Snapshot | None,
    told: IntervalLog,
    why: str,
    *,
    started_at: float,
    until_s: float,
    heir: RunPlan | None = None,
    union: Union | None = None,
) -> RunResult:
    """What is left of a part whose node was lost: all until its last checkpoint, and its requests
    that nobody made.

    snapshot    of its last checkpoint; None: it was lost before the first
    told        the intervals that it told until then, of plan.recorded_ns; gets the rest
    started_at  the common start, in seconds since the epoch
    until_s     how long the load of the whole went on, from there
    heir        what another node took over of its share
    union       of all nodes, which gets the rest as well
    """
    now_ns = 0 if snapshot is None else max(snapshot.now_ns - snapshot.start_ns, 0)
    response = Histogram() if snapshot is None else snapshot.response
    errors = {} if snapshot is None else dict(snapshot.errors_by_kind)
    accounted = (0 if snapshot is None else snapshot.completed) + sum(errors.values())
    for kind, many in missing_of(share, accounted, now_ns, until_s, heir).items():
        errors[str(kind)] = errors.get(str(kind), 0) + many
    rest = rest_of_counts(response, told, now_ns // share.recorded_ns, sum(errors.values()))
    told.add([(0, one) for one in rest])
    if union is not None:
        union.add(rest)
    wall_s = now_ns / 1e9
    result = RunResult(
        completed=0 if snapshot is None else snapshot.completed,
        errors_by_kind=errors,
        wall_s=wall_s,
        response=response,
        service=response if snapshot is None else snapshot.service,
        lateness=Histogram() if snapshot is None else snapshot.lateness,
        intervals=told.rows(np.zeros(0, np.int64), wall_s, lost=True),
        warmup=WarmUpResult(),
        planned=share.planned,
        first_ns=0,
        open_loop=share.open_loop,
        pool=share.pool.kind,
        workers=workers_of(share),
        clients=share.clients,
        started_at=started_at,
        start_ns=0 if snapshot is None else snapshot.start_ns,
        ended_by=Ending.LOST,
        causes=[Reason(Cause.NODE_LOST, f"its node was lost: {why}")],
        samples_per_query=share.samples_per_query or 1,
        seed=share.load.seed,
        offered_s=wall_s if share.scheduled and share.load.sets_rate else None,
    )
    _unmeasured(result, share)
    return result


def rest_of_counts(
    response: Histogram, told: IntervalLog, number: int, failed: int
) -> list[Interval]:
    """What is in the whole and in none of the intervals: as one, of a number, which it is but for a
    moment.
    """
    rest = response.counts.astype(np.int64)
    for one in told.found():
        rest[one.index] -= one.counts
        failed -= one.failed
    index = np.flatnonzero(np.maximum(rest, 0))
    if not index.size and failed <= 0:
        return []
    return [Interval.compact(number, index, rest[index], max(failed, 0))]


def missing_of(
    share: RunPlan, accounted: int, now_ns: int, until_s: float, heir: RunPlan | None
) -> dict[ErrorKind, int]:
    """The requests of a lost share that have no outcome: those that were in hand when its last
    checkpoint was made died with it, the others were never made. Of conversations nobody knows.
    """
    until_ns = min(int(until_s * 1e9), until_ns_of(share, 0))
    if until_ns > LONGEST_S * 1e9 and not share.load.ends and share.stop.iterations is None:
        until_ns = now_ns  # nobody can say what a load without an end would have made
    if heir is not None:
        until_ns = min(until_ns, _begun_ns(heir))
    workers = FOREVER_NS if share.pool.kind == "async" else workers_of(share)
    in_hand = share.pool.max_in_flight or workers
    if share.scheduled:
        due = due_before(share, until_ns)
        left = max(due - accounted, 0)
        waiting = max(due_before(share, min(now_ns, until_ns)) - accounted, 0)
        if heir is not None and isinstance(share.load, AllAtOnce):
            left = waiting = 0  # it made all that had no outcome
        died = min(left, waiting, in_hand)
    elif isinstance(share.load, Sessions):
        return {}
    else:
        clients = share.clients or 1
        left = clients if share.planned is None else max(share.planned - accounted, 0)
        died = min(left, clients)
        if heir is not None:
            left = died
    found = {ErrorKind.DIED: died, ErrorKind.NOT_ISSUED: left - died}
    return {kind: many for kind, many in found.items() if many}


def _begun_ns(heir: RunPlan) -> int:
    """From when on another node made what fell due."""
    load = heir.load.arrivals if isinstance(heir.load, Sessions) else heir.load
    return getattr(load, "from_ns", FOREVER_NS)


def _unmeasured(result: RunResult, share: RunPlan) -> None:
    """Its measures: requests are read when all have ended, so none of these was."""
    if not share.keeps:
        return
    result.measures = {each.name: Measured(each, Histogram()) for each in share.measures}
    if share.bounds:
        result.good, result.good_by_interval = 0, [0] * len(result.intervals)
    result.unread = result.completed
    if result.unread:
        result.unread_why = {str(Unread.LOST): ""}
