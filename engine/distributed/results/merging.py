"""One result of what the nodes of a run measured, judged once, as a whole; what each did stands
beside it.

Nothing is averaged: counts are summed, histograms added, the intervals of the same number lie on
one another, and whatever follows from these (percentiles, confidence, rules, doubts) is computed
anew from the whole. Latencies are of one node's clock each; where times of several nodes stand in
one series or table they are from the common start, as well as the nodes' clocks are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.conduct.joined_measures import shifted
from qs.engine.conduct.joined_rows import Order, evidence_of, rows_of
from qs.engine.conduct.joining import added_up, joined_warm_up, notes_of, with_series
from qs.engine.conduct.layout import workers_of
from qs.engine.distributed.results.using import cost_of, cpu_of
from qs.engine.judging.caveats.whole import caveats_of_whole
from qs.engine.judging.rules import hold_to_rules, judge
from qs.engine.measures.found import STAMPS
from qs.engine.outcome import Ending
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalLog, IntervalRow
from qs.engine.result import NodePart, RunResult, WarmUpResult
from qs.engine.statistics.confidence import PERCENTILES, Evidence
from qs.engine.statistics.estimate import Confidence
from qs.engine.workers.share import until_ns_of

# A start further from the common one than clocks are ever wrong is none: a node may tell anything.
_MOST_APART_NS = 1_000_000_000
# What the run as a whole is said to have ended by, if its nodes ended by different rules.
_FIRST = (
    Ending.INTERRUPT,
    Ending.NODE_LOST,
    Ending.ERROR_BUDGET,
    Ending.STABLE,
    Ending.MINIMUMS,
    Ending.TIME_LIMIT,
    Ending.DURATION,
    Ending.PLAN,
    Ending.LOST,
)
# Filled counts of series that the parts of a result keep, in all.
MOST_KEPT = 4_000_000


class Union:
    """The intervals of all nodes, merged as they come in, in memory that is bounded however many
    nodes there are and however long they run.
    """

    def __init__(self, plan: RunPlan):
        length_s = plan.recorded_ns / 1e9
        self.log = IntervalLog(length_s, plan.recorded_per_interval)
        self.evidence = Evidence(length_s, (*PERCENTILES, plan.stop.stable_percentile))
        self.completed = self.failed = 0

    def add(self, intervals: Iterable[Interval]) -> None:
        """What a node has told, of plan.recorded_ns each. All that all nodes tell, until the last,
        is what one recorder of all requests would have closed.
        """
        found = [(0, one) for one in intervals]
        self.log.add(found)
        self.evidence.add(found)
        self.completed += sum(int(one.counts.sum()) for _, one in found)
        self.failed += sum(one.failed for _, one in found)


def merged_result(
    plan: RunPlan,
    parts: Sequence[NodePart],
    *,
    start_ns: int | None = None,
    started_at: float | None = None,
    ended_by: Ending | None = None,
    stopped_ns: int | None = None,
    union: Union | None = None,
    stable: Confidence | None = None,
    now_ns: int | None = None,
) -> RunResult:
    """The whole, judged, with the parts as its `nodes`, on the driver's clock.

    start_ns    the common start, on the driver's clock; None: that of the first part
    started_at  the same in seconds since the epoch
    ended_by    the rule that the driver ended it by; None: the parts' own
    stopped_ns  when it did so, on its clock
    union       what all nodes have told of their intervals; None: as much as their results have
    stable      the confidence that the run had when stability ended it
    now_ns      the time on the driver's clock: nothing was measured after it
    """
    measured = [part for part in parts if part.result is not None]
    if start_ns is None:
        start_ns = min((_start_ns(part, None) for part in measured), default=0)
    most_s = FOREVER_NS / 1e9 if now_ns is None else max(now_ns - start_ns, 0) / 1e9
    placed = [_on_driver(part, plan, start_ns, started_at, most_s) for part in parts]
    runs = [part.result for part in placed if part.result is not None]
    if not runs:
        whole = _nothing(plan, start_ns, started_at or 0.0, ended_by or Ending.LOST)
    else:
        whole = _joined(plan, placed, start_ns, started_at, stopped_ns, union)
        whole.ended_by = ended_by or _ending(placed)
    whole.interrupted = whole.ended_by is Ending.INTERRUPT or any(
        part.result.interrupted for part in placed if part.result is not None and not part.lost
    )
    if whole.ended_by is Ending.STABLE and stable is not None:
        whole.confidence = stable
    whole.nodes = lighter(placed)
    hold_to_rules(whole, plan)
    whole.caveats = caveats_of_whole(whole, plan)
    whole.warnings += [str(caveat) for caveat in whole.caveats]
    judge(whole)
    return whole


def _joined(
    plan: RunPlan,
    parts: Sequence[NodePart],
    start_ns: int,
    started_at: float | None,
    stopped_ns: int | None,
    union: Union | None,
) -> RunResult:
    """All of what was measured; not judged."""
    named = [(part, part.result) for part in parts if part.result is not None]
    runs = [run for _, run in named]
    begins_s = tuple((run.start_ns - start_ns) / 1e9 for run in runs)
    order = Order(begins_s, tuple(run.wall_s for run in runs), together=True)
    added = added_up(runs, order)
    rows = [run.intervals for run in runs]
    counted = None if union is None or _told_better(union, added, rows) else union
    limits = [order.wall_s, until_ns_of(plan, 0) / 1e9]
    if stopped_ns is not None:
        limits.append(max(stopped_ns - start_ns, 0) / 1e9)
    measured_s = min(limits)
    offered = order.ends_s([run.offered_s or 0.0 for run in runs])
    whole = replace(
        added,
        intervals=rows_of(rows, order, None if counted is None else counted.log),
        warmup=joined_warm_up([run.warmup for run in runs], max),  # they warm up at the same time
        planned=plan.planned,
        clients=plan.clients,
        workers=sum(run.workers for run in runs),
        pool=plan.pool.kind if plan.pool.kind in {run.pool for run in runs} else runs[0].pool,
        started_at=min(run.started_at for run in runs) if started_at is None else started_at,
        start_ns=start_ns,
        causes=[],
        caveats=[],
        rules=[],
        warnings=[f"{part.name}: {note}" for part, run in named for note in notes_of(run)],
        losses=[replace(loss, node=part.name) for part, run in named for loss in run.losses],
        first_fault=next(
            (f"{part.name}: {run.first_fault}" for part, run in named if run.first_fault), None
        ),
        first_ns=next((run.first_ns for run in runs if run.first_ns), 0),
        engine_cost=cost_of(runs),
        cpu=cpu_of([(part.facts.get("machine"), run.cpu) for part, run in named]),
        columns=_columns(runs, order),
        slices=_slices(runs, order),
        scenario=None,
        metric=None,
        samples_per_query=plan.samples_per_query or 1,
        seed=plan.load.seed,
        offered_s=max(offered) if any(run.offered_s is not None for run in runs) else None,
    )
    if counted is not None:
        found = counted.evidence, measured_s
    else:
        asked = *PERCENTILES, plan.stop.stable_percentile
        made = evidence_of([run.evidence for run in runs], rows, order, asked)
        none = Evidence(plan.recorded_ns / 1e9, asked)
        found = (none if made is None else made[0]), measured_s
    numbered = [_numbered(run, at, number) for at, number, run in _places(runs)]
    return with_series(whole, numbered, order, found)


def _told_better(union: Union, added: RunResult, rows: Sequence[Sequence[IntervalRow]]) -> bool:
    """Whether the nodes' results hold all counts, and what they told until then does not."""
    counted = added.response.count
    if union.completed == counted:
        return False
    return counted == sum(int(row.counts.sum()) for each in rows for row in each)


def _start_ns(part: NodePart, near_ns: int | None) -> int:
    """The common start as a node was told it, on the driver's clock. What lies within the
    uncertainty of its clock is no difference: then due times are those of the plan, to the ns.
    """
    assert part.result is not None
    offset_ns, known_ns = 0, 0
    if part.clock is not None:
        offset_ns, known_ns = part.clock.offset_ns, part.clock.uncertainty_ns
    start_ns = part.result.start_ns - offset_ns
    if near_ns is not None and not known_ns < abs(start_ns - near_ns) <= _MOST_APART_NS:
        return near_ns
    return start_ns


def _on_driver(
    part: NodePart, plan: RunPlan, start_ns: int, started_at: float | None, most_s: float
) -> NodePart:
    """On the driver's clock, and without what the plan or that clock know better than the node."""
    found = part.result
    if found is None:
        return part
    at_ns = _start_ns(part, start_ns)
    since = found.started_at if started_at is None else started_at
    measures = {
        each.name: replace(found.measures[each.name], measure=each)
        for each in plan.measures
        if each.name in found.measures
    }
    result = replace(
        found,
        start_ns=at_ns,
        started_at=since + (at_ns - start_ns) / 1e9,
        wall_s=min(found.wall_s, most_s),
        offered_s=None if found.offered_s is None else min(found.offered_s, most_s),
        intervals=[row for row in found.intervals if row.start_s <= most_s],
        measures=measures,
        parts={name: found.parts[name] for name in plan.parts if name in found.parts},
        open_loop=plan.open_loop,
        good=found.good if plan.bounds else None,
        samples_per_query=plan.samples_per_query or 1,
    )
    result.good_by_interval = result.good_by_interval[: len(result.intervals)]
    return replace(part, result=result)


def _nothing(plan: RunPlan, start_ns: int, started_at: float, ended_by: Ending) -> RunResult:
    """Of a run all of whose nodes were lost before they had measured anything."""
    response = Histogram()
    return RunResult(
        completed=0,
        errors_by_kind={},
        wall_s=0.0,
        response=response,
        service=Histogram() if plan.open_loop else response,
        lateness=Histogram(),
        intervals=[],
        warmup=WarmUpResult(),
        planned=plan.planned,
        first_ns=0,
        open_loop=plan.open_loop,
        pool=plan.pool.kind,
        workers=workers_of(plan),
        clients=plan.clients,
        started_at=started_at,
        start_ns=start_ns,
        ended_by=ended_by,
        samples_per_query=plan.samples_per_query or 1,
        seed=plan.load.seed,
    )


def _ending(parts: Sequence[NodePart]) -> Ending:
    """That of the nodes that lived to the end."""
    found = {part.result.ended_by for part in parts if part.result is not None and not part.lost}
    return next((each for each in _FIRST if each in found), Ending.LOST)


def _places(runs: Sequence[RunResult]) -> Iterable[tuple[int, int, RunResult]]:
    """Each with its first worker's number in the whole, and its own number."""
    first = 0
    for number, run in enumerate(runs):
        yield first, number, run
        first += run.workers


def _numbered(run: RunResult, first: int, number: int) -> RunResult:
    """With the workers of its sample numbered over all nodes, and a column that says which node."""
    if not run.sampled:
        return run
    workers = run.sampled["worker"]
    sampled = {
        **run.sampled,
        "worker": workers + first,
        "node": np.full(workers.size, number, np.int64),
    }
    return replace(run, sampled=sampled)


def _columns(runs: Sequence[RunResult], order: Order) -> dict[str, np.ndarray] | None:
    """In order of completion, with the number of the node in `nodes` beside that of the worker."""
    having = [
        (begin_s, first, number, run.columns)
        for begin_s, (first, number, run) in zip(order.begins_s, _places(runs))
        if run.columns is not None
    ]
    if not having:
        return None
    names = [name for name in having[0][3] if all(name in each for *_, each in having)]
    whole = {}
    for name in names:
        by_ns = [round(begin_s * 1e9) if name in STAMPS else 0 for begin_s, *_ in having]
        whole[name] = np.concatenate(
            [
                shifted(each[name], by) if by else each[name] + (first if name == "worker" else 0)
                for by, (_, first, _, each) in zip(by_ns, having)
            ]
        )
    sizes = [each["completed_ns"].size for *_, each in having]
    whole["node"] = np.repeat(np.array([number for _, _, number, _ in having], np.int32), sizes)
    sorted_by = np.argsort(whole["completed_ns"], kind="stable")
    return {name: column[sorted_by] for name, column in whole.items()}


def _slices(runs: Sequence[RunResult], order: Order) -> list[tuple[int, int, int, int]]:
    return [
        (first + worker, began + by, ended + by, rows)
        for begin_s, (first, _, run) in zip(order.begins_s, _places(runs))
        for by in [round(begin_s * 1e9)]
        for worker, began, ended, rows in run.slices
    ]


def lighter(parts: Sequence[NodePart]) -> list[NodePart]:
    """The parts without what the whole has of them: single requests, and, where they would be too
    many, the counts of their intervals.
    """
    filled = sum(
        row.index.size
        for part in parts
        if part.result is not None
        for rows in (part.result.intervals, *(m.intervals for m in part.result.measures.values()))
        for row in rows
    )
    return [_lighter(part, filled <= MOST_KEPT) for part in parts]


def _lighter(part: NodePart, counts: bool) -> NodePart:
    result = part.result
    if result is None:
        return part
    result = replace(result, columns=None, slices=[], sampled={}, evidence=None, good_evidence=None)
    result.measures = {name: replace(each, evidence=None) for name, each in result.measures.items()}
    if not counts:
        result.intervals = [without_counts(row) for row in result.intervals]
        result.measures = {
            name: replace(each, intervals=[without_counts(row) for row in each.intervals])
            for name, each in result.measures.items()
        }
    return replace(part, result=result)


def without_counts(row: IntervalRow) -> IntervalRow:
    """Its figures alone."""
    none = np.zeros(0, np.int64)
    return replace(row, index=none, counts=none)
