"""What each node did, as the report has it: entries of a row, and what the nodes printed as files
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qs.base.files import write_atomic
from qs.base.storable import storable, text
from qs.base.visible import visible
from qs.engine import Histogram, IntervalRow, NodePart, RunResult
from qs.result.cost_entry import CpuUseEntry, EngineCostEntry
from qs.result.folder import ReportFolder
from qs.result.nodes_entry import ClockEntry, NodeEntry, NodeSeriesEntry
from qs.result.verdict import DoubtEntry

NS_PER_MS, NS_PER_S = 1e6, 1e9
# Of the series of all nodes of a row together, and of each; and the fewest that tell anything.
POINTS, MOST_POINTS, FEWEST_POINTS = 40_000, 600, 12
MOST_DOUBTS, MOST_KINDS = 20, 20  # of a node
LONGEST = 2_000  # characters of what a node says of itself


def entries_of(
    result: RunResult,
    items: int,
    logs: Mapping[str, str] | None = None,
    brief: bool = False,
) -> list[NodeEntry]:
    """An entry for each node of the run, in the nodes' order; none where it ran on one machine.

    items  of each request
    logs   by the node's name, the file of what it printed
    brief  without series and facts, as a trial of a sweep
    """
    most = max(min(POINTS // max(len(result.nodes), 1), MOST_POINTS), FEWEST_POINTS)
    return [_entry(node, items, (logs or {}).get(node.name), most, brief) for node in result.nodes]


def summary_of(entries: Sequence[NodeEntry]) -> dict[str, Any]:
    """What a row says of all its nodes, by its attributes; nothing where it ran on one machine."""
    if not entries:
        return {}
    skews = [abs(each.start_skew_ms) for each in entries if each.start_skew_ms is not None]
    known = [
        each.clock.uncertainty_ms
        for each in entries
        if each.clock is not None and each.clock.uncertainty_ms is not None
    ]
    return {
        "node_count": sum(not each.replaces for each in entries),
        "nodes_lost": sum(each.lost is not None for each in entries),
        "start_skew_ms": max(skews, default=None),
        "clock_uncertainty_ms": max(known, default=None),
        "nodes": list(entries),
    }


def write_logs(
    nodes: Sequence[NodePart], folder: ReportFolder, writing: Callable[[str], Any]
) -> dict[str, str]:
    """Write what each node printed: by its name, the file in the report's folder.

    writing  a context in which a file of the report is written, that goes on where it cannot be
    """
    written: dict[str, str] = {}
    for at, node in enumerate(nodes):
        if not node.log:
            continue
        path = folder.node_log(node.name)
        name = f"{path.parent.name}/{path.name}"
        if name in written.values():  # of a name that differs in what no file's name may have
            path = folder.node_log(f"{at}-{node.name}")
            name = f"{path.parent.name}/{path.name}"
        lines = "\n".join(map(visible, node.log.splitlines()))
        with writing(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, f"{lines}\n".encode())
            written[node.name] = name
    return written


def _entry(node: NodePart, items: int, log: str | None, most: int, brief: bool) -> NodeEntry:
    more: dict[str, Any] = _measured(node, items)
    if not brief:
        more |= {"facts": _facts(node.facts), "series": _series(node, most)}
    return NodeEntry(
        name=text(node.name),
        address=text(node.address),
        share=text(node.share),
        clock=_clock(node),
        start_skew_ms=_ms(node.start_skew_ns),
        lost=text(node.lost) or None,
        lost_at_s=node.lost_at_s,
        kept_until_s=node.kept_until_s,
        replaces=text(node.replaces) or None,
        log=log,
        **more,
    )


def _measured(node: NodePart, items: int) -> dict[str, Any]:
    found = node.result
    if found is None:
        return {}
    kinds = sorted(found.errors_by_kind.items(), key=lambda each: -each[1])[:MOST_KINDS]
    opened = found.open_loop
    return {
        # of a lost node what fell due after its end counts too, and no time for it
        "offered_per_s": None if node.lost else found.offered_per_s,
        "queries_per_s": found.queries_per_s,
        "items_per_s": items * found.queries_per_s,
        "completed": found.completed,
        "errors": found.errors,
        "errors_by_kind": storable(dict(kinds)),
        "mean_ms": found.response.mean_ns / NS_PER_MS if found.response.count else None,
        "p50_ms": _percentile(found.response, 50.0),
        "p99_ms": _percentile(found.response, 99.0),
        "max_ms": found.response.max_ns / NS_PER_MS if found.response.count else None,
        "service_p50_ms": _percentile(found.service, 50.0) if opened else None,
        "service_p99_ms": _percentile(found.service, 99.0) if opened else None,
        "lateness_p99_ms": _percentile(found.lateness, 99.0) if opened else None,
        "engine_cost": (
            None if found.engine_cost is None else EngineCostEntry(**vars(found.engine_cost))
        ),
        "cpu_use": _cpu(found),
        "ended_by": str(found.ended_by),
        "doubts": [
            DoubtEntry(code=str(caveat.code), text=text(caveat.text), cure=text(caveat.advice))
            for caveat in found.caveats[:MOST_DOUBTS]
        ],
    }


def _cpu(found: RunResult) -> CpuUseEntry | None:
    """Without what each worker used: there are as many as clients."""
    if found.cpu is None:
        return None
    plain = found.cpu.to_dict()
    plain.pop("groups", None)
    return CpuUseEntry(**plain)


def _clock(node: NodePart) -> ClockEntry | None:
    read = node.clock
    if read is None:
        return None
    return ClockEntry(
        offset_ms=read.offset_ns / NS_PER_MS,
        uncertainty_ms=read.uncertainty_ns / NS_PER_MS,
        drift_ppm=read.drift_ppm,
        round_trips=read.round_trips,
        least_round_trip_ms=read.least_round_trip_ns / NS_PER_MS,
    )


def _series(node: NodePart, most: int) -> NodeSeriesEntry | None:
    """Its intervals, neighbours together where there are more than `most`. The rest of one, in
    which the last requests ended, belongs to that before it: the p99 of so few is their slowest.
    """
    rows = node.result.intervals if node.result is not None else []
    if not rows:
        return None
    last = rows[-1]
    is_rest = len(rows) > 1 and last.length_s < rows[-2].length_s / 2
    full = rows[:-1] if is_rest else rows
    size = -(-len(full) // most)
    groups = [full[at : at + size] for at in range(0, len(full), size)]
    counted = [*groups[:-1], [*groups[-1], last]] if is_rest else groups
    return NodeSeriesEntry(
        at_s=[round(group[0].start_s, 6) for group in groups],
        end_s=round(last.start_s + last.length_s, 6),
        per_s=[_rate(group) for group in counted],
        p99_ms=[
            max(
                (each.p99_ns / NS_PER_MS for each in group if each.p99_ns is not None), default=None
            )
            for group in groups
        ],
        errors=[sum(each.errors for each in group) for group in counted],
    )


def _rate(group: Sequence[IntervalRow]) -> float | None:
    seconds = sum(each.length_s for each in group)
    return sum(each.completed for each in group) / seconds if seconds > 0 else None


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a node says of itself is not trusted to be short."""
    return {
        key: value
        for key, value in storable(dict(facts)).items()
        if value is not None and len(str(value)) <= LONGEST
    }


def _percentile(histogram: Histogram, percentile: float) -> float | None:
    return _ms(histogram.reported_ns(percentile))


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / NS_PER_MS
