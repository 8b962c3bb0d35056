"""A node's own result as plain data, and back.

A node runs code that is not trusted, so every part of what it tells has to be what it is said to
be: counts are none below 0, histograms hold what values can, times are numbers, texts are of one
line and not without end. What makes no sense is named in a ValueError. What a node tells may still
be untrue; whoever joins results takes nothing from it that the driver knows better.

A result is bounded: the more nodes there are, the fewer intervals each of them brings. What all of
them measured by interval the driver has from their checkpoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qs.engine.conduct.joined_rows import folded
from qs.engine.distributed.results.counts import (
    MOST_ROWS,
    histogram_of,
    packed,
    plain_histogram,
    plain_rows,
    unpacked,
)
from qs.engine.distributed.results.counts import rows_of as told_rows
from qs.engine.distributed.results.plain_parts import (
    ESTIMATE,
    MOST_WORKERS,
    alone,
    cells_of,
    confidence_of,
    cpu_of,
    evidence_of,
    fewer,
    measures_of,
    plain_confidence,
    plain_cpu,
    plain_evidence,
    plain_measured,
)
from qs.engine.distributed.results.shapes import (
    MOST_TEXT,
    Shape,
    count,
    fields,
    flag,
    fraction,
    items,
    line,
    named,
    optional,
    plain,
    said,
    text,
    told,
    word,
)
from qs.engine.hosts.messages import whole
from qs.engine.measures.checking import MOST_NAMES
from qs.engine.measures.counting import MOST_WINDOWS
from qs.engine.measures.measure import MOST_SAMPLED
from qs.engine.outcome import Cause, Doubt, Ending, ErrorKind, Loss, Unread
from qs.engine.result import EngineCost, RunResult, WarmUpResult
from qs.engine.ruling import Caveat, Reason
from qs.engine.statistics.confidence import Evidence

# Of all nodes together: intervals, and filled counts in them.
OF_ALL_ROWS, OF_ALL_CELLS = 200_000, 8_000_000
LEAST_ROWS, LEAST_CELLS = 60, 4_000
MOST_SLICES = 1 << 20
MOST_RATES = 2 * Evidence.LIMIT
_DTYPES = ("<i8", "<i4", "|i1")

WARM_UP: dict[str, Shape] = {
    "completed": count,
    "errors": count,
    "wall_s": fraction,
    "mean_ns": fraction,
    "timed_out": count,
}
COST: dict[str, Shape] = {"ns_per_request": fraction, "service_ns": count, "requests": count}
LOSS: dict[str, Shape] = {
    "kind": word(ErrorKind),
    "process": count,
    "worker": optional(count),
    "exit": line,
    "status": optional(lambda value: whole(value, least=-(1 << 31))),
    "signal": optional(line),
}
CAVEAT: dict[str, Shape] = {"code": word(Doubt), "text": line, "advice": line}
REASON: dict[str, Shape] = {"code": word(Cause), "text": line, "advice": line}
# The fields of a result that are plain data by themselves, or nearly.
FIELDS: dict[str, Shape] = {
    "completed": count,
    "errors_by_kind": named(count),
    "wall_s": fraction,
    "planned": optional(count),
    "first_ns": count,
    "open_loop": flag,
    "pool": line,
    "workers": lambda value: whole(value, MOST_WORKERS),
    "clients": optional(count),
    "started_at": fraction,
    "start_ns": count,
    "interrupted": flag,
    "ended_by": word(Ending),
    "first_fault": optional(text),
    "worker_cpu_s": fraction,
    "batches": optional(count),
    "counts": named(count),
    "outcomes": named(count),
    "good": optional(count),
    "read": named(count),
    "unread": count,
    "unread_why": named(text),
    "written_bytes": count,
    "longest_write_ns": count,
    "misread": named(line),
    "collections": count,
    "longest_collection_ns": count,
    "rates": items(fraction, MOST_RATES),
    "evidence_s": fraction,
    "samples_per_query": count,
    "seed": optional(lambda value: whole(value, 1 << 128)),
    "offered_s": optional(fraction),
    "warnings": items(line, 1_000),
}
# Those that are objects of their own.
OBJECTS: dict[str, Shape] = {
    "warmup": fields(WarmUpResult, WARM_UP),
    "engine_cost": optional(fields(EngineCost, COST)),
    "losses": items(fields(Loss, LOSS), MOST_WORKERS),
    "caveats": items(fields(Caveat, CAVEAT), 10 * len(Doubt)),
    "causes": items(fields(Reason, REASON), 1_000),
    "good_per_s": optional(ESTIMATE),
}


def _fewer_rates(rates: list[float]) -> list[float]:
    """Neighbours, of equal intervals, together where there are too many: empty ones count too."""
    while len(rates) > MOST_RATES:
        rates = [(one + other) / 2 for one, other in zip(rates[::2], rates[1::2])]
    return rates


def plain_of(result: RunResult, of: int = 1) -> dict[str, Any]:
    """A result as plain data, as that of one of so many nodes. Its columns are only announced, by
    type and length: they go on their own, piece by piece.
    """
    most_rows = max(OF_ALL_ROWS // of, LEAST_ROWS)
    most_cells = max(OF_ALL_CELLS // of, LEAST_CELLS)
    rows = fewer(result.intervals, result.wall_s, most_rows)
    goods = (
        folded([result.good_by_interval], [result.intervals], alone(result.wall_s), rows)
        if result.good_by_interval
        else []
    )
    # The end of a traceback says what was raised.
    texts = {"first_fault": result.first_fault and result.first_fault[-MOST_TEXT:]}
    found = {
        **said(result, FIELDS),
        **texts,
        "rates": _fewer_rates(result.rates),
        "warnings": [note[:2_000] for note in result.warnings],
        "warmup": said(result.warmup, WARM_UP),
        "engine_cost": result.engine_cost and said(result.engine_cost, COST),
        "losses": [said(each, LOSS) for each in result.losses],
        "caveats": [said(each, CAVEAT) for each in result.caveats],
        "causes": [said(each, REASON) for each in result.causes],
        "good_per_s": result.good_per_s and vars(result.good_per_s).copy(),
        "cpu": result.cpu and plain_cpu(result.cpu),
        "confidence": result.confidence and plain_confidence(result.confidence),
        "response": plain_histogram(result.response),
        "service": None if not result.open_loop else plain_histogram(result.service),
        "lateness": plain_histogram(result.lateness),
        "pacing": _plain_pacing(result),
        "parts": {name: plain_histogram(each) for name, each in result.parts.items()},
        "intervals": plain_rows(rows, cells_of(rows) <= most_cells),
        "good_by_interval": packed(np.array(goods, np.int64)),
        "evidence": plain_evidence(result.evidence, most_cells),
        "good_evidence": plain_evidence(result.good_evidence, most_cells),
        "measures": [
            plain_measured(each, result.wall_s, most_rows, most_cells)
            for each in result.measures.values()
        ],
        "happened": {name: packed(each) for name, each in result.happened.items()},
        "sampled": {
            name: (each.dtype.str, each.tobytes()) for name, each in result.sampled.items()
        },
        "slices": packed(*(np.array(result.slices, np.int64).reshape(-1, 4).T)),
        "columns": {
            name: (each.dtype.str, int(each.size)) for name, each in (result.columns or {}).items()
        },
    }
    return plain(found)


def result_of(told_by_node: Any) -> RunResult:
    """The result that was told, without its columns. Raises ValueError for what makes no sense, and
    says what.
    """
    try:
        return _result_of(told_by_node)
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as fault:
        raise ValueError(f"{type(fault).__name__}: {fault}") from None


def _result_of(value: Any) -> RunResult:
    found = told(value, FIELDS | OBJECTS | _MORE)
    response, open_loop = found["response"], found["open_loop"]
    if (found["service"] is None) == open_loop:
        raise ValueError("service times in closed loop, or none in open loop")
    if not open_loop:
        found["service"] = response
    if found["pacing"] == "lateness":
        found["pacing"] = found["lateness"]
    if response.count + response.out_of_range > found["completed"]:
        raise ValueError("more response times than completed requests")
    for name in ("service", "lateness"):
        if found[name].count + found[name].out_of_range > found["completed"]:
            raise ValueError(f"more {name} times than completed requests")
    if len(found["good_by_interval"]) not in (0, len(found["intervals"])):
        raise ValueError("good requests in other intervals than the result has")
    for code in found["unread_why"]:
        Unread(code)
    return RunResult(**found)


def _plain_pacing(result: RunResult) -> Any:
    if result.pacing is None:
        return None
    return "lateness" if result.pacing is result.lateness else plain_histogram(result.pacing)


def _pacing_of(value: Any) -> Any:
    return value if value in (None, "lateness") else histogram_of(value)


def _happened_of(value: Any) -> dict[str, np.ndarray]:
    found = named(lambda each: unpacked(each, 1, MOST_WINDOWS)[0], MOST_NAMES)(value)
    if sum(each.size for each in found.values()) > 4 * MOST_WINDOWS:
        raise ValueError("more than can have happened")
    return found


def _column_of(value: Any) -> np.ndarray:
    dtype, data = value
    if dtype not in _DTYPES:
        raise ValueError(f"a column of {dtype!r:.20}")
    column = np.frombuffer(data, dtype).copy()
    if column.size > MOST_SAMPLED:
        raise ValueError(f"a sample of more than {MOST_SAMPLED:,} requests")
    return column


def _sampled_of(value: Any) -> dict[str, np.ndarray]:
    columns = named(_column_of)(value)
    if len({column.size for column in columns.values()}) > 1:
        raise ValueError("columns of different lengths")
    if columns and not {"completed_ns", "worker"} <= set(columns):
        raise ValueError("single requests without their time or worker")
    return columns


def _slices_of(value: Any) -> list[tuple[int, int, int, int]]:
    columns = unpacked(value, 4, 4 * MOST_SLICES)
    if len({column.size for column in columns}) > 1:
        raise ValueError("slices that are not whole")
    return list(zip(*(column.tolist() for column in columns)))


_MORE: dict[str, Shape] = {
    "cpu": optional(cpu_of),
    "confidence": optional(confidence_of),
    "response": histogram_of,
    "service": optional(histogram_of),
    "lateness": histogram_of,
    "pacing": _pacing_of,
    "parts": named(histogram_of),
    "intervals": told_rows,
    "good_by_interval": lambda value: unpacked(value, 1, MOST_ROWS)[0].tolist(),
    "evidence": optional(evidence_of),
    "good_evidence": optional(evidence_of),
    "measures": measures_of,
    "happened": _happened_of,
    "sampled": _sampled_of,
    "slices": _slices_of,
}
