"""The figures that a condition may name, and how far each is known in a measured case.

Throughput and percentiles have the intervals of the result. The mean has one of its log, by the
estimator of throughput: the ratio of two sums over batches of neighbouring intervals (see
qs.engine.statistics). Counts, memory, power and the first inference are facts of this run and have
none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from qs.base.errors import UserError
from qs.engine.statistics import samples_needed, share_interval, spread_of, student_t
from qs.result.columns import BY_SHORT
from qs.result.logs import read_log
from qs.result.row import Mode, Row

LEVEL = 0.95
NS_PER_MS = 1e6
FEWEST_BATCHES = 10  # as for the intervals of a result
Histogram = Callable[[str], "str | None"]  # the text of the log that a row names


class Unit(Enum):
    """What the bound of a figure may be written in: suffix -> factor to the figure's own unit."""

    TIME = "ms"
    RATE = "/s"
    COUNT = ""
    BYTES = "bytes"
    SCORE = " "
    POWER = "W"
    ENERGY = "J"

    @property
    def factors(self) -> dict[str, float]:
        return _FACTORS[self]

    @property
    def allowed(self) -> str:
        return _ALLOWED[self]


_FACTORS = {
    Unit.TIME: {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "min": 6e4},
    Unit.RATE: {"": 1.0, "/s": 1.0, "k": 1e3, "m": 1e6, "k/s": 1e3, "m/s": 1e6},
    Unit.COUNT: {"": 1.0, "%": 0.01},
    Unit.BYTES: {
        "b": 1.0,
        **{f"{letter}b": 1e3**power for power, letter in enumerate("kmgt", start=1)},
        **{f"{letter}ib": 1024.0**power for power, letter in enumerate("kmgt", start=1)},
    },
    Unit.SCORE: {"": 1.0, "%": 0.01},
    Unit.POWER: {"mw": 1e-3, "w": 1.0, "kw": 1e3},
    Unit.ENERGY: {"uj": 1e-6, "µj": 1e-6, "mj": 1e-3, "j": 1.0, "kj": 1e3},
}
_ALLOWED = {
    Unit.TIME: "a time with its unit, such as 50ms",
    Unit.RATE: "a number a second, such as 200 or 10k",
    Unit.COUNT: "a count, or a share such as 0.1%",
    Unit.BYTES: "a size with its unit, such as 500MB or 2GB",
    Unit.SCORE: "a number, such as 0.97 or 97%",
    Unit.POWER: "a power with its unit, such as 65W",
    Unit.ENERGY: "an energy with its unit, such as 120mJ or 2.5J",
}


@dataclass(frozen=True)
class Seen:
    """A figure as far as it is known; all None where it is not, and `why` says so. A figure whose
    ends are its value is a fact of this run.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""
    # How many queries a figure of this kind takes, where too few were made.
    queries: int = 0


@dataclass(frozen=True)
class Figure:
    """One figure of a measured case."""

    name: str
    # The row's attribute.
    attribute: str
    unit: Unit
    aliases: tuple[str, ...] = ()

    @property
    def shown_in(self) -> str:
        return {"items/s": "", "queries/s": ""}.get(self.name, self.unit.value.strip())

    def value(self, row: Row) -> float | None:
        """The figure in a row."""
        found: float | None = getattr(row, self.attribute)
        return found

    def of(self, row: Row, histogram: Histogram, share: bool) -> Seen:
        """The figure in a row, as far as it is known; `share`: of all queries, for a count."""
        if row.mode is Mode.VENDOR and self.unit in (Unit.TIME, Unit.RATE):
            value = getattr(row, self.attribute)
            return Seen(value, why="the backend timed itself, so no interval is known")
        if self.unit is Unit.RATE:
            return _rate(self, row)
        if self.name == "mean":
            return mean_of(row.mean_ms, row.histogram, row.wall_s, histogram)
        if self.name in _PERCENTILES:
            return _percentile(self, row, _PERCENTILES[self.name])
        value = getattr(row, self.attribute)
        if value is None:
            unread = row.telemetry if self.unit in (Unit.POWER, Unit.ENERGY) else None
            why = unread.power_not_readable if unread else ""
            return Seen(None, why=why or "it was not measured")
        return _share(value, row.completed or 0) if share else Seen(value, value, value)


_PERCENTILES = {
    name: column.percentile for name, column in BY_SHORT.items() if column.percentile is not None
}
FIGURES = (
    Figure("items/s", "items_per_s", Unit.RATE, ("throughput", "qps", "items_per_s")),
    Figure("queries/s", "queries_per_s", Unit.RATE, ("queries_per_s",)),
    Figure("mean", "mean_ms", Unit.TIME, ("avg", "average")),
    Figure("min", "min_ms", Unit.TIME),
    Figure("p50", "p50_ms", Unit.TIME, ("median",)),
    *(Figure(name, BY_SHORT[name].name, Unit.TIME) for name in _PERCENTILES if name != "p50"),
    Figure("max", "max_ms", Unit.TIME),
    Figure("errors", "errors", Unit.COUNT),
    Figure("completed", "completed", Unit.COUNT),
    Figure("first_inference", "first_inference_ms", Unit.TIME),
    Figure("peak_memory", "peak_memory_bytes", Unit.BYTES, ("memory",)),
    Figure("power", "mean_power_w", Unit.POWER),
    Figure("peak_power", "peak_power_w", Unit.POWER),
    Figure("energy", "energy_per_item_j", Unit.ENERGY, ("energy_per_item",)),
)
BY_NAME = {name: figure for figure in FIGURES for name in (figure.name, *figure.aliases)}


def _rate(figure: Figure, row: Row) -> Seen:
    value, queries_per_s = getattr(row, figure.attribute), row.queries_per_s
    found = row.confidence and row.confidence.queries_per_s
    if value is None or not queries_per_s:
        return Seen(None, why="it was not measured")
    if not found or found.half_width is None:
        return Seen(value, why=(found and found.why) or "no interval could be computed")
    half = float(value) * found.half_width / queries_per_s
    return Seen(value, value - half, value + half)


def _percentile(figure: Figure, row: Row, percentile: float) -> Seen:
    value = getattr(row, figure.attribute)
    found = getattr(row.confidence, figure.attribute, None) if row.confidence else None
    share = min(percentile, 100.0 - percentile) / 100.0
    needed = max(samples_needed(percentile), math.ceil(round(10.0 / share, 6)))
    if value is None:
        return Seen(None, why=f"fewer than {needed} queries", queries=needed)
    if not found or found.half_width is None:
        why = (found and found.why) or "no interval could be computed"
        return Seen(value, why=why, queries=needed)
    return Seen(value, max(value - found.half_width, 0.0), value + found.half_width)


def _share(count: float, completed: int) -> Seen:
    """Of failed queries, with the interval of C. J. Clopper and E. S. Pearson (Biometrika 26,
    1934).
    """
    queries = completed + count
    if not queries:
        return Seen(None, why="no query was made")
    low, high = share_interval(count / queries, queries, (1.0 - LEVEL) / 2.0)
    return Seen(count / queries, low, high)


def mean_of(
    mean: float | None,
    log: str | None,
    wall_s: float | None,
    histogram: Histogram,
    scale: float = NS_PER_MS,
) -> Seen:
    """A mean with the interval that follows from its log. `scale`: so many of the log's values make
    one of the mean's unit.
    """
    if mean is None:
        return Seen(None, why="it was not measured")
    text = histogram(log) if log else None
    if text is None:
        return Seen(mean, why="its histogram is not there, so no interval is known")
    try:
        series = read_log(text, wall_s, log or "")
    except UserError as error:
        return Seen(mean, why=str(error))
    of = series.counts.sum(axis=1)
    if series.cells < FEWEST_BATCHES or not of.sum():
        return Seen(mean, why="the run was too short for an interval")
    spread = spread_of([[(series.counts @ series.middles_ns, of)]])
    if spread.batches < 2 or spread.correlated:
        return Seen(mean, why="the run was too short for an interval")
    half = student_t(LEVEL, spread.batches - 1) * math.sqrt(spread.variance) / float(of.sum())
    return Seen(mean, max(mean - half / scale, 0.0), mean + half / scale)
