"""The three or four figures that a result is read for, as large as a view can show them.

All of one case: the best throughput beside another case's best response time would be a setting
that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qs.base.words import NOTHING, NS_PER_MS, NS_PER_US, half_width, number, percent
from qs.render.answers import COSINE
from qs.result.measure_entry import MeasureEntry
from qs.result.power import joules
from qs.result.result import Kind
from qs.result.row import Row
from qs.result.story import NamedCase, Score, Story
from qs.result.sweep import SweepEntry
from qs.result.tokens_words import NAMES, measured_of

DIGITS = 3


@dataclass(frozen=True)
class Tile:
    """One figure: `value` with `unit`, and what belongs to it in small print."""

    name: str
    value: str
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        """p99 16.4 ms (± 3.1 %)."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {self.value}{unit}" + (f" ({self.note})" if self.note else "")


def tiles_of(story: Story) -> tuple[str, tuple[Tile, ...]]:
    """Which case they are of ("" where there is only one), and the tiles."""
    if story.result.kind is Kind.NUMERIC:
        return "", tuple(_agreement(story.answers.agreement))
    if story.result.sweep:
        return "", tuple(_chosen(story.result.sweep))
    case = best(story.measured)
    if case is None:
        return "", ()
    row = case.row
    if row.tokens is not None and row.measures:
        return case.name if len(story.cases) > 1 else "", tuple(_language_model(row))
    figures = _open_loop(row) if row.offered_per_s else _closed_loop(row)
    # Beside four figures of an open loop a score would be one too many.
    scores = [] if row.offered_per_s else [_score(each) for each in story.answers.metrics[:1]]
    return case.name if len(story.cases) > 1 else "", (*figures, *_energy(row), *scores)


def _chosen(sweep: SweepEntry) -> Iterator[Tile]:
    """Of the setting that a sweep comes to: that of the limit, else that within the bounds, else
    that with the most throughput.
    """
    purposes = {each.purpose: each.name for each in sweep.recommendations}
    name = (sweep.limit and sweep.limit.setting) or purposes.get("slo", purposes.get("throughput"))
    line = next((each for each in sweep.table if each.name == name), None)
    if line is None:
        return
    yield Tile("setting", line.name)
    near = _interval(line.uncertain)
    yield Tile("throughput", number(line.items_per_s, DIGITS), "items/s", near)
    yield _time("p99", line.p99_ms, "")
    limit = sweep.limit
    if limit is not None and limit.rate_per_s is not None:
        sure = percent(limit.confidence or 0.0)
        how = sure if limit.confirmed else f"{sure}, not confirmed"
        note = f"within {', '.join(limit.goals)}, {how}"
        if limit.users is not None:
            yield Tile("most users", number(limit.users), "users", note)
        else:
            yield Tile("highest rate", number(limit.rate_per_s, DIGITS), "requests/s", note)


def best(cases: Sequence[NamedCase]) -> NamedCase | None:
    """The case with the most throughput, of those that count if there are any."""
    counted = [case for case in cases if case.row.valid] or cases
    return max(counted, key=lambda case: case.row.items_per_s or 0.0, default=None)


def _closed_loop(row: Row) -> Iterator[Tile]:
    yield Tile(
        "throughput",
        number(row.items_per_s, DIGITS),
        "items/s",
        _interval(row.throughput_interval),
    )
    yield _time("p50", row.p50_ms, "")
    yield _time("p99", row.p99_ms, _interval(row.p99_interval))


def _open_loop(row: Row) -> Iterator[Tile]:
    share = row.served_share
    yield Tile("offered", number(row.offered_per_s, DIGITS), "queries/s")
    yield Tile(
        "served",
        number(row.queries_per_s, DIGITS),
        "queries/s",
        "" if share is None else f"{percent(min(share, 1.0))} of it",
    )
    yield _time("response p99", row.p99_ms, _interval(row.p99_interval))
    service_ns = row.service.p99_ns if row.service else None
    yield _time("service p99", None if service_ns is None else service_ns / NS_PER_MS, "")


def _language_model(row: Row) -> Iterator[Tile]:
    """What its users feel, and what all of them get together."""
    found = measured_of(row)
    for name, at in (("ttft", "p50"), ("ttft", "p99"), ("itl", "p99"), ("tpot", "p50")):
        if name in found:
            yield _measure(f"{NAMES[name]} {at}", found[name], at)
    if "ttft" not in found and "response" in found:  # answers come whole
        for at in ("p50", "p99"):
            yield _measure(f"E2E {at}", found["response"], at)
    tokens = row.tokens
    if tokens is not None and tokens.output_per_s is not None:
        half, value = tokens.output_per_s_half_width, tokens.output_per_s
        near = "" if half is None or not value else f"± {half_width(half / value)}"
        yield Tile("output", number(value, DIGITS), "tokens/s", near)
    elif tokens is not None and tokens.input_per_s is not None:
        yield Tile("input", number(tokens.input_per_s, DIGITS), "tokens/s")
    if row.good is not None and row.good.good_per_s is not None:
        kept = ", ".join(row.good.goals)
        yield Tile("goodput", number(row.good.good_per_s, DIGITS), "requests/s", kept)


def _measure(name: str, entry: MeasureEntry, at: str) -> Tile:
    value, half = getattr(entry, at), entry.half_widths.get(at)
    return _time(name, value, _interval(half / value if half is not None and value else None))


def _energy(row: Row) -> Iterator[Tile]:
    """Only of a machine that tells it."""
    if row.energy_per_item_j:
        value, unit = joules(float(row.energy_per_item_j))
        yield Tile("energy", value, f"{unit}/item", f"{number(row.mean_power_w, DIGITS)} W")


def _time(name: str, ms: float | None, note: str) -> Tile:
    if ms is None:
        return Tile(name, NOTHING, "", "too few queries")
    if ms < 1.0:
        return Tile(name, number(ms * NS_PER_MS / NS_PER_US, DIGITS), "us", note)
    return Tile(name, number(ms, DIGITS), "ms", note)


def _interval(share: float | None) -> str:
    return "" if share is None else f"± {half_width(share)}"


def _score(score: Score) -> Tile:
    ends = score.interval and " to ".join(number(end, DIGITS) for end in score.interval)
    return Tile(score.name, number(score.value, 4), "", ends or "")


def _agreement(scores: Sequence[Score]) -> Iterator[Tile]:
    """Of a comparison with the reference alone."""
    named = {COSINE: "cosine", "Max Diff": "largest difference", "Mean Diff": "mean difference"}
    for each in scores:
        if each.name in named:
            yield Tile(named[each.name], number(each.value, 7 if each.name == COSINE else DIGITS))
