"""Several runs of one plan as one: counts and times are summed, histograms merged, intervals put in
their order.

Of runs that were made one after the other, the pauses between them are in no figure, and verdicts
are not made anew: what was found in a run stays found. Runs that went on beside each other, on
several nodes, are parts of one plan, and whoever joins them judges the whole
(qs.engine.distributed.results.merging).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from qs.engine.conduct.joined_measures import joined_measures, merged
from qs.engine.conduct.joined_rows import Order, evidence_of, in_turn, rows_of
from qs.engine.machine.watch import CpuUse, GroupUse
from qs.engine.outcome import Ending
from qs.engine.record.histogram import Histogram
from qs.engine.record.report import summed
from qs.engine.result import NodePart, RunResult, WarmUpResult
from qs.engine.ruling import Rule
from qs.engine.statistics.confidence import Evidence

T = TypeVar("T")
_SUMMED = (
    "elapsed_s",
    "workers_s",
    "conductor_s",
    "run_s",
    "host_busy_s",
    "steal_s",
    "voluntary_switches",
    "involuntary_switches",
    "quota_held_back_s",
    "thermal_events",
)


def joined(runs: Sequence[RunResult]) -> RunResult:
    """One result of at least one run, of runs that were made one after the other. Confidence
    intervals are computed from all intervals; columns and slices of single requests are left out,
    if there are several runs, but for `sampled`.
    """
    first, *others = runs
    if not others:
        return first
    order = in_turn([run.wall_s for run in runs])
    causes = _once((cause for run in runs for cause in run.causes), str)
    caveats = _once((caveat for run in runs for caveat in run.caveats), lambda each: each.code)
    notes = _once((note for run in runs for note in notes_of(run)), str)
    whole = replace(
        added_up(runs, order),
        intervals=rows_of([run.intervals for run in runs], order),
        warmup=joined_warm_up([run.warmup for run in runs], sum),
        planned=total([run.planned for run in runs]),
        interrupted=any(run.interrupted for run in runs),
        ended_by=_ending([run.ended_by for run in runs]),
        causes=causes,
        warnings=[*notes, *map(str, caveats)],
        losses=[loss for run in runs for loss in run.losses],
        cpu=_cpu([run.cpu for run in runs]),
        caveats=caveats,
        columns=None,
        slices=[],
        rules=_rules(runs),
        metric=None,
        offered_s=total([run.offered_s for run in runs]),
        nodes=_nodes(runs),
    )
    return with_series(whole, runs, order)


def added_up(runs: Sequence[RunResult], order: Order) -> RunResult:
    """What adds up in the same way whether runs went on one after the other or together; the rest
    is that of the first.
    """
    first = runs[0]
    response = merged(run.response for run in runs)
    return replace(
        first,
        completed=sum(run.completed for run in runs),
        errors_by_kind={
            kind: many for kind, many in summed(run.errors_by_kind for run in runs).items() if many
        },
        wall_s=order.wall_s,
        response=response,
        service=merged(run.service for run in runs) if first.open_loop else response,
        lateness=merged(run.lateness for run in runs),
        parts={
            part: merged(run.parts[part] for run in runs if part in run.parts)
            for part in dict.fromkeys(part for run in runs for part in run.parts)
        },
        counts=summed(run.counts for run in runs),
        collections=sum(run.collections for run in runs),
        longest_collection_ns=max(run.longest_collection_ns for run in runs),
        first_fault=next(filter(None, (run.first_fault for run in runs)), None),
        worker_cpu_s=sum(run.worker_cpu_s for run in runs),
        batches=total([run.batches for run in runs]),
        pacing=_pacing([run.pacing for run in runs]),
    )


def with_series(
    whole: RunResult,
    runs: Sequence[RunResult],
    order: Order,
    found: tuple[Evidence, float] | None = None,
) -> RunResult:
    """The same with what follows from the intervals of its runs, and with their measures. `found`
    is the evidence of all, and until when, where that is known from elsewhere.
    """
    told = [run.confidence for run in runs if run.confidence is not None]
    if found is None and told:
        found = evidence_of(
            [run.evidence for run in runs],
            [run.intervals for run in runs],
            order,
            told[0].response,
        )
    return replace(
        whole,
        **joined_measures(runs, order, whole),
        confidence=None if found is None else found[0].confidence(found[1]),
        rates=[] if found is None else found[0].rates(found[1]),
        evidence=None if found is None else found[0],
        evidence_s=0.0 if found is None else found[1],
    )


def notes_of(run: RunResult) -> list[str]:
    """Its warnings but for its caveats."""
    return run.warnings[: len(run.warnings) - len(run.caveats)]


def joined_warm_up(
    found: Sequence[WarmUpResult], took: Callable[[Iterable[float]], float]
) -> WarmUpResult:
    """`took` makes the time of all of their times: `sum` in turn, `max` at the same time."""
    completed = sum(each.completed for each in found)
    total_ns = sum(each.mean_ns * each.completed for each in found)
    return WarmUpResult(
        completed,
        sum(each.errors for each in found),
        took(each.wall_s for each in found),
        total_ns / completed if completed else 0.0,
        sum(each.timed_out for each in found),
    )


def _ending(found: Sequence[Ending]) -> Ending:
    """That of all of them; else of the last one that did not end like the best."""
    return next((each for each in reversed(found) if each is not Ending.STABLE), Ending.STABLE)


def _nodes(runs: Sequence[RunResult]) -> list[NodePart]:
    """What each node did in all runs, if the same ones measured something in each."""
    found = []
    for parts in zip(*(run.nodes for run in runs)):
        done = [part.result for part in parts if part.result is not None]
        if len({part.name for part in parts}) > 1 or len(done) < len(runs):
            return []
        late = max(parts, key=lambda part: abs(part.start_skew_ns or 0))
        lost = next((part for part in parts if part.lost), late)
        found.append(replace(lost, result=joined(done), start_skew_ns=late.start_skew_ns))
    return found


def _rules(runs: Sequence[RunResult]) -> list[Rule]:
    """Each rule once: as it failed, if it did in a run, else as it held in the last."""
    found: dict[str, Rule] = {}
    for run in runs:
        for rule in run.rules:
            if rule.name not in found or found[rule.name].passed:
                found[rule.name] = rule
    return list(found.values())


def _cpu(found: Sequence[CpuUse | None]) -> CpuUse | None:
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    groups = tuple(
        GroupUse(
            same[0].kind,
            same[0].workers,
            sum(each.cpu_s for each in same),
            max((each.wake_up_ns for each in same if each.wake_up_ns is not None), default=None),
            sum(each.delayed_s for each in same),
        )
        for same in zip(*(each.groups for each in known))
    )
    sums = {name: total([getattr(each, name) for each in known]) for name in _SUMMED}
    seen = tuple(mhz for each in known for mhz in each.seen_mhz)
    return replace(known[0], **sums, seen_mhz=seen, groups=groups)


def _pacing(found: Sequence[Histogram | None]) -> Histogram | None:
    known = [each for each in found if each is not None]
    return merged(known) if known else None


def total(values: Sequence[Any]) -> Any:
    """None as soon as one is unknown."""
    return None if None in values else sum(values)


def _once(found: Iterable[T], by: Callable[[T], Hashable]) -> list[T]:
    """The first of those that are alike."""
    seen: dict[Hashable, T] = {}
    for each in found:
        seen.setdefault(by(each), each)
    return list(seen.values())
