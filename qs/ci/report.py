"""What a gate came to, as data: for JSON, for people, and for CI servers (qs.ci.writing)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.result.gate import GateEntry, GateOutcome, overall

INTERLEAVED = "old and new measured in turn, round by round, in random order"


@dataclass(frozen=True)
class CiFigure:
    """One figure of a case: old and new, and the change in percent with its interval."""

    case: str
    name: str
    unit: str
    old: float | None
    new: float | None
    change: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        interval = None if self.low is None else [self.low, self.high]
        return {
            "case": self.case,
            "figure": self.name,
            "unit": self.unit,
            "old": self.old,
            "new": self.new,
            "change_percent": self.change,
            "interval_percent": interval,
        }


@dataclass
class CiReport:
    """What is known so far; complete when the command ends, however it ends."""

    title: str
    old: str
    new: str
    interleaved: bool
    how: str
    conditions: Sequence[str]
    budget_s: float
    seed: int | None = None
    rounds: int = 0
    spent_s: float = 0.0
    interrupted: bool = False
    figures: list[CiFigure] = field(default_factory=list)
    gates: list[GateEntry] = field(default_factory=list)
    # Why the measurement itself does not count: a side that failed.
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decide: str | None = None

    @property
    def outcome(self) -> GateOutcome:
        """A condition that holds, or a side that failed; then what cannot be told."""
        if self.reasons:
            return GateOutcome.HOLDS
        return overall(self.gates) if self.gates else GateOutcome.UNCLEAR

    @property
    def headline(self) -> str:
        if self.interrupted:
            return "interrupted: what was measured until then"
        if self.reasons:
            return f"failed: {self.reasons[0]}"
        return {
            GateOutcome.HOLDS: "failed: a condition holds",
            GateOutcome.UNCLEAR: "cannot tell",
            GateOutcome.NOT: "passed: no condition holds",
        }[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "outcome": self.outcome,
            "headline": self.headline,
            "old": self.old,
            "new": self.new,
            "interleaved": self.interleaved,
            "how": self.how,
            "fail_if": list(self.conditions),
            "gates": [entry.to_dict() for entry in self.gates],
            "figures": [figure.to_dict() for figure in self.figures],
            "rounds": self.rounds,
            "budget_s": self.budget_s,
            "spent_s": self.spent_s,
            "seed": self.seed,
            "interrupted": self.interrupted,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "decide": self.decide,
        }
