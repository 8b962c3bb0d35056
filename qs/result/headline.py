"""What came out, in a sentence or two: in closed loop what the target gives at most, in open loop
what was asked of it and what came of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import half_width, number, percent
from qs.result.cases import short_name
from qs.result.result import Result
from qs.result.row import Row
from qs.result.tokens_words import tokens_said
from qs.result.verdict import Verdict

NS_PER_MS = 1e6


def performance(result: Result) -> Iterator[str]:
    """The performance in a few phrases; one phrase that says so if nothing was measured."""
    measured = [row for row in result.performance if row.items_per_s]
    if not measured:
        yield "compiled, not measured" if result.status == "compiled" else "nothing was measured"
    scheduled = [row for row in measured if row.scheduled]
    if scheduled:
        yield _open(scheduled)
        yield from _tokens(scheduled)
    others = [row for row in measured if not row.scheduled]
    if others:
        yield from _closed(others)
        yield from _tokens(others)


def _tokens(rows: Sequence[Row]) -> Iterator[str]:
    """Of a language model, in the case with the most tokens a second."""
    of_models = [row for row in rows if row.tokens is not None]
    if of_models:
        most = max(of_models, key=lambda row: (row.tokens and row.tokens.output_per_s) or 0.0)
        said = ", ".join(tokens_said(most))
        if said:
            yield said


def _closed(rows: Sequence[Row]) -> Iterator[str]:
    most = max(rows, key=lambda row: row.items_per_s or 0.0)
    known = ""
    if most.throughput_interval:
        at_best = "at best " if most.disturbed else ""
        known = f" ({at_best}± {half_width(most.throughput_interval)})"
    figure = f"{number(_float(most.items_per_s))} items/s{known} at batch size {most.batch_size}"
    yield f"up to {figure}" if len(rows) > 1 else figure
    tails = [row for row in rows if row.p99_ms]
    if tails:
        least = min(tails, key=lambda row: row.p99_ms or 0.0)
        where = f" at batch size {least.batch_size}" if len(rows) > 1 else ""
        lowest = "lowest p99" if len(rows) > 1 else "p99"
        yield f"{lowest} {number(_float(least.p99_ms))} ms{where}"


def _open(rows: Sequence[Row]) -> str:
    """Of the case that was served least."""
    row = min(rows, key=lambda each: (each.verdict is Verdict.VALID, each.served_share or 1.0))
    where = f"{short_name(row)}: " if len(rows) > 1 else ""
    served = f"served {number(_float(row.queries_per_s))}/s"
    if row.offered_per_s and row.served_share is not None:
        share = percent(min(row.served_share, 1.0))
        served = f"offered {number(_float(row.offered_per_s))} queries/s, {served} ({share})"
    times = []
    overloaded = row.verdict is Verdict.OVERLOADED
    response, service = _p99_ms(row, "response"), _p99_ms(row, "service")
    if response is not None and not overloaded:
        times.append(f"response p99 {number(response)} ms")
    if service is not None:
        times.append(f"service p99 {number(service)} ms")
    said = f"{where}{served}" + (": the target is saturated" if overloaded else "")
    return "; ".join([said, ", ".join(times)]) if times else said


def _p99_ms(row: Row, kind: str) -> float | None:
    """Of the response or the service time; None if the queries were too few to tell."""
    times = getattr(row, kind)
    if times is None:
        return _float(row.p99_ms) if kind == "response" and row.p99_ms is not None else None
    return None if times.p99_ns is None else times.p99_ns / NS_PER_MS


def _float(value: float | None) -> float:
    return float(value or 0.0)
