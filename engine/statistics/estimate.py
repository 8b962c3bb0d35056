"""A measured value with its confidence interval, as results carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and the half-width of its confidence interval, both in the value's unit."""

    # None: nothing was measured
    value: float | None
    # None: no interval could be computed, and `why` says so
    half_width: float | None
    batches: int = 0
    why: str = ""
    # how many times as long a run might tell; None: it is not known, or an interval was computed
    longer: float | None = None

    @property
    def relative(self) -> float | None:
        """Half-width as a share of the value."""
        return self.half_width / self.value if self.half_width is not None and self.value else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "half_width": self.half_width,
            "relative": self.relative,
            "batches": self.batches,
            "why": self.why or None,
        }


@dataclass(frozen=True)
class Confidence:
    """Intervals at `level`: throughput in requests/s, response time in ns by percentile."""

    throughput: Estimate
    response: dict[float, Estimate]
    level: float = LEVEL

    def to_dict(self) -> dict[str, Any]:
        plain = {"level": self.level, "queries_per_s": self.throughput.to_dict()}
        return plain | {
            f"p{percentile:g}_ns": estimate.to_dict()
            for percentile, estimate in self.response.items()
        }
