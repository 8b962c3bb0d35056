"""The figures of a language model that a condition may name, and how far each is known: ttft.p99,
itl.mean, output_tokens/s, goodput. Their intervals are those of the result; a mean's is that of its
log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qs.engine.statistics import samples_needed
from qs.gates.figures import Figure, Seen, Unit, mean_of
from qs.result.row import Row

Histogram = Callable[[str], "str | None"]
TIMES = ("ttft", "ttft_sent", "itl", "event_gap", "tpot", "normalised")
RATES = ("prefill_rate", "decode_rate")
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
NOT_MEASURED = "it was not measured"
EXAMPLES = "ttft.p99, itl.p95, tpot.mean and other figures of a language model's measures"


@dataclass(frozen=True)
class MeasureFigure(Figure):
    """A figure of one measure: a percentile, the mean, or an end."""

    measure: str = ""

    @property
    def shown_in(self) -> str:
        return "ms" if self.unit is Unit.TIME else "tokens/s"

    def value(self, row: Row) -> float | None:
        return getattr((row.measures or {}).get(self.measure), self.attribute, None)

    def of(self, row: Row, histogram: Histogram, share: bool) -> Seen:
        entry, value = (row.measures or {}).get(self.measure), self.value(row)
        if entry is None or not entry.count:
            return Seen(None, why=NOT_MEASURED)
        if self.attribute in ("min", "max"):
            return Seen(value, value, value)
        if self.attribute == "mean":
            scale = 1e6 if self.unit is Unit.TIME else 1e3
            return mean_of(value, entry.histogram, row.wall_s, histogram, scale)
        percentile = PERCENTILES[self.attribute.replace("_", ".")]
        part = min(percentile, 100.0 - percentile) / 100.0
        needed = max(samples_needed(percentile), math.ceil(round(10.0 / part, 6)))
        if value is None:
            return Seen(None, why=f"fewer than {needed} values", queries=needed)
        half = entry.half_widths.get(self.attribute)
        if half is None:
            return Seen(value, why="no interval could be computed", queries=needed)
        return Seen(value, max(value - half, 0.0), value + half)


@dataclass(frozen=True)
class TokenFigure(Figure):
    """Tokens, or good requests, a second."""

    half_width: str = ""

    @property
    def shown_in(self) -> str:
        return ""

    def value(self, row: Row) -> float | None:
        return getattr(self._part(row), self.attribute, None)

    def _part(self, row: Row) -> object:
        return row.good if self.name == "goodput" else row.tokens

    def of(self, row: Row, histogram: Histogram, share: bool) -> Seen:
        value, half = self.value(row), getattr(self._part(row), self.half_width, None)
        if value is None:
            why = "no bound of each request was given (--slo)" if self.name == "goodput" else ""
            return Seen(None, why=why or NOT_MEASURED)
        if half is None:
            return Seen(value, why="no interval could be computed")
        return Seen(value, max(value - half, 0.0), value + half)


def _named(measure: str, unit: Unit) -> tuple[MeasureFigure, ...]:
    """ttft.p99, which --slo calls ttft_p99."""
    return tuple(
        MeasureFigure(
            f"{measure}.{figure}",
            figure.replace(".", "_"),
            unit,
            (f"{measure}_{figure}",),
            measure,
        )
        for figure in (*PERCENTILES, "mean", "min", "max")
    )


MEASURED: tuple[Figure, ...] = (
    *(figure for name in TIMES for figure in _named(name, Unit.TIME)),
    *(figure for name in RATES for figure in _named(name, Unit.RATE)),
    TokenFigure(
        "output_tokens/s",
        "output_per_s",
        Unit.RATE,
        ("output_tokens_per_s", "tokens/s"),
        "output_per_s_half_width",
    ),
    TokenFigure("goodput", "good_per_s", Unit.RATE, ("good_per_s", "good/s"), "half_width"),
)
