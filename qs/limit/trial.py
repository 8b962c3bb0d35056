"""One trial as it is kept: all that the search needs of it again, so that a search that was
interrupted goes on from its trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qs.limit.goals import Goal
from qs.limit.observation import Observation
from qs.limit.tally import Tally, Waits, tallies_of

if TYPE_CHECKING:
    from qs.engine import Histogram

SEARCH, CONFIRM, CURVE = "search", "confirm", "curve"


@dataclass(frozen=True)
class Trial:
    """A trial by its number in the search, which with the search's seed makes its own seed.

    took_s  what it cost of the budget: until the last request was due and answered, or all of its
            time where that was longer
    """

    number: int
    phase: str
    rate_per_s: float
    duration_s: float
    seed: int
    wall_s: float
    took_s: float
    completed: int
    failed: int
    backlog: int
    mean_ns: float
    valid: bool
    reasons: tuple[str, ...]
    tallies: dict[str, Tally] = field(repr=False, compare=False)
    waits: Waits = field(repr=False, compare=False)
    response: Histogram = field(repr=False, compare=False)

    @property
    def requests(self) -> int:
        return self.completed + self.failed

    @property
    def answered_per_s(self) -> float:
        return self.completed / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def due_per_s(self) -> float:
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    @staticmethod
    def of(
        observation: Observation,
        goals: Sequence[Goal],
        number: int,
        phase: str,
        seed: int,
        took_s: float,
    ) -> Trial:
        tallies, waits = tallies_of(observation, goals)
        return Trial(
            number=number,
            phase=phase,
            rate_per_s=observation.rate_per_s,
            duration_s=observation.duration_s,
            seed=seed,
            wall_s=observation.wall_s,
            took_s=max(took_s, observation.wall_s, observation.duration_s),
            completed=observation.completed,
            failed=observation.failed,
            backlog=observation.backlog,
            mean_ns=observation.response.mean_ns,
            valid=observation.valid,
            reasons=tuple(observation.reasons),
            tallies=tallies,
            waits=waits,
            response=observation.response,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data. The response times' counts are a compressed HdrHistogram in base64, which any
        of its tools reads.
        """
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "reasons": list(self.reasons),
            "tallies": {name: tally.to_dict() for name, tally in self.tallies.items()},
            "waits": self.waits.to_dict(),
            "response": _encoded(self.response),
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Trial:
        """ValueError or KeyError where it is not what `to_dict` made."""
        return Trial(
            **{name: plain[name] for name in _PLAIN},
            reasons=tuple(plain["reasons"]),
            tallies={name: Tally.from_dict(tally) for name, tally in plain["tallies"].items()},
            waits=Waits.from_dict(plain["waits"]),
            response=_decoded(plain["response"]),
        )


_PLAIN = (
    "number",
    "phase",
    "rate_per_s",
    "duration_s",
    "seed",
    "wall_s",
    "took_s",
    "completed",
    "failed",
    "backlog",
    "mean_ns",
    "valid",
)


# What a histogram knows more exactly than its counts.
_EXACT = ("count", "min_ns", "max_ns", "sum_ns", "out_of_range")


def _encoded(histogram: Histogram) -> dict[str, Any]:
    return {name: getattr(histogram, name) for name in _EXACT} | {
        "hdr": histogram.to_hdr().encode().decode("ascii")
    }


def _decoded(plain: dict[str, Any]) -> Histogram:
    """The very histogram that was encoded: what a search makes of it again is then the same."""
    import numpy as np
    from hdrh.histogram import HdrHistogram

    from qs.engine import Histogram

    hdr = HdrHistogram.decode(plain["hdr"].encode("ascii"))
    histogram = Histogram()
    histogram.counts[: hdr.counts_len] = np.array(hdr.counts[: hdr.counts_len], np.int64)
    for name in _EXACT:
        setattr(histogram, name, plain[name])
    return histogram
