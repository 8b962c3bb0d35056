"""The table of cases as people read it, in every view: which columns, and how their figures are
written.

A column has one unit and one number of decimals, so that its figures can be compared at a glance;
files for programs keep every digit (qs.render.table).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qs.base.words import MOST, NOTHING, completed, half_width, number, span
from qs.result.columns import columns
from qs.result.row import Row
from qs.result.story import NamedCase

Value = float | int | None
TTFT_P50, TTFT_P99, ITL_P99, TPOT_P50, OUTPUT_PER_S, GOOD_PER_S = columns(
    "ttft_p50_ms",
    "ttft_p99_ms",
    "itl_p99_ms",
    "tpot_p50_ms",
    "output_tokens_per_s",
    "good_per_s",
)
DIGITS, MOST_DIGITS = 3, 5  # of the smallest figure, of the largest one
US_PER_MS = 1e3


@dataclass(frozen=True)
class Shown:
    """A column. Views with little room leave out those that are not `vital`."""

    name: str
    heading: str
    values: tuple[Value, ...]  # to sort by
    texts: tuple[str, ...]
    vital: bool = True


def columns_of(cases: Sequence[NamedCase]) -> list[Shown]:
    """What there is to show of these cases, without their names and verdicts."""
    rows = [case.row for case in cases]
    scheduled = any(row.offered_per_s for row in rows)
    # The schedule sets the throughput of an open loop: what is to be known there is the p99.
    sure = [
        _shares("p99_interval", "±", rows, lambda row: row.p99_interval)
        if scheduled
        else _shares("throughput_interval", "±", rows, lambda row: row.throughput_interval)
    ]
    times = [
        _times("mean_ms", "avg", rows, lambda row: row.mean_ms, vital=False),
        _times("p50_ms", "p50", rows, lambda row: row.p50_ms, vital=not scheduled),
        _times("p90_ms", "p90", rows, lambda row: row.p90_ms, vital=False),
        _times("p99_ms", "p99", rows, lambda row: row.p99_ms),
        *(sure if scheduled else []),
        _times("p99_9_ms", "p99.9", rows, lambda row: row.p99_9_ms, vital=False),
        _times("max_ms", "max", rows, lambda row: row.max_ms, vital=False),
    ]
    of_models = any(row.tokens for row in rows)
    if of_models:  # what their users feel has a table of its own
        left_out = ("mean_ms", "p90_ms", "p99_9_ms", "max_ms")
        times = [each for each in times if each.name not in left_out]
    opened = [
        _rates("offered_per_s", "offered/s", rows, lambda row: row.offered_per_s),
        _rates("queries_per_s", "served/s", rows, lambda row: row.queries_per_s),
        _times("service_p99_ms", "service p99", rows, _service_p99, vital=False),
    ]
    tokens = [
        _times("ttft_p50_ms", "TTFT p50", rows, TTFT_P50.of, vital=False),
        _times("ttft_p99_ms", "TTFT p99", rows, TTFT_P99.of),
        _times("itl_p99_ms", "ITL p99", rows, ITL_P99.of, vital=False),
        _times("tpot_p50_ms", "TPOT p50", rows, TPOT_P50.of, vital=False),
        _rates("output_tokens_per_s", "tokens/s", rows, OUTPUT_PER_S.of),
        _rates("good_per_s", "good/s", rows, GOOD_PER_S.of, vital=False),
    ]
    drawn = [
        _rates("mean_power_w", "W", rows, lambda row: row.mean_power_w, vital=False),
        _energies(rows),
    ]
    return [
        *(opened[:2] if scheduled else []),
        _rates("items_per_s", "items/s", rows, lambda row: row.items_per_s, not scheduled),
        *([] if scheduled else sure),
        *times,
        *(opened[2:] if scheduled and not of_models else []),
        *(each for each in (*tokens, *drawn) if any(value is not None for value in each.values)),
        Shown(
            "completed",
            "completed",
            tuple(row.completed for row in rows),
            tuple(completed(row.planned, row.completed) for row in rows),
            vital=False,
        ),
        Shown(
            "errors",
            "errors",
            tuple(row.errors for row in rows),
            tuple(number(row.errors) for row in rows),
        ),
        Shown(
            "measured_s",
            "measured",
            tuple(row.measured_s for row in rows),
            tuple(NOTHING if row.measured_s is None else span(row.measured_s) for row in rows),
        ),
    ]


def _service_p99(row: Row) -> float | None:
    ns = row.service.p99_ns if row.service else None
    return None if ns is None else ns / 1e6


def _times(
    name: str, heading: str, rows: Sequence[Row], of: Callable[[Row], Any], vital: bool = True
) -> Shown:
    """Response times: in ms, or in us where all of the column are below 1 ms."""
    values = [of(row) for row in rows]
    unit, texts = in_one_unit(values)
    return Shown(name, f"{heading} {unit}", tuple(values), tuple(texts), vital)


def _energies(rows: Sequence[Row]) -> Shown:
    """Energy per item: in J, or in mJ or uJ where all of the column are below 1 of the larger."""
    values = [row.energy_per_item_j for row in rows]
    most = max((float(value) for value in values if value is not None), default=1.0)
    factor, unit = next(
        (factor, unit)
        for factor, unit in ((1.0, "J"), (1e3, "mJ"), (1e6, "uJ"))
        if most * factor >= 1.0 or unit == "uJ"
    )
    texts = alike([None if value is None else float(value) * factor for value in values])
    return Shown("energy_per_item_j", f"{unit}/item", tuple(values), tuple(texts))


def _rates(
    name: str, heading: str, rows: Sequence[Row], of: Callable[[Row], Any], vital: bool = True
) -> Shown:
    values = [of(row) for row in rows]
    return Shown(name, heading, tuple(values), tuple(alike(values)), vital)


def _shares(name: str, heading: str, rows: Sequence[Row], of: Callable[[Row], Any]) -> Shown:
    """Half widths of intervals: "7 % ?" where another run may differ by more than they say."""
    values = [of(row) for row in rows]
    texts = tuple(
        half_width(value) + (" ?" if row.disturbed and value is not None else "")
        for row, value in zip(rows, values)
    )
    return Shown(name, heading, tuple(values), texts)


def in_one_unit(values_ms: Sequence[Value]) -> tuple[str, list[str]]:
    """The unit of these times, and each as its text in it."""
    known = [value for value in values_ms if value is not None]
    if known and max(known) < 1.0:
        return "us", alike([None if each is None else each * US_PER_MS for each in values_ms])
    return "ms", alike(values_ms)


def alike(values: Sequence[Value]) -> list[str]:
    """Figures with the same number of decimals: three digits of the smallest one, as long as the
    largest has no more than five.

    >>> alike([40.383, 186.0, None]), alike([0.0404, 21.5]), alike([3184.9, 102043.2])
    (['40.4', '186.0', 'n/a'], ['0.040', '21.500'], ['3,185', '102,043'])
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes or max(sizes) >= MOST:
        return [number(value) for value in values]
    decimals = max(min(DIGITS - _whole(min(sizes)), MOST_DIGITS - _whole(max(sizes))), 0)
    return [
        number(value)
        if value is None or not math.isfinite(value)
        else f"{float(value):,.{decimals}f}"
        for value in values
    ]


def _whole(size: float) -> int:
    """The digits before the decimal point; below 1 the zeros after it, negative."""
    return math.floor(math.log10(size)) + 1
