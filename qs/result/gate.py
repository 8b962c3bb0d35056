"""What became of a condition of `--fail_if` in one case, as results carry it.

qs.gates reads and judges conditions; every view shows them with the words made here.
"""

from __future__ import annotations

from collections.abc import Iterable

from qs.base.words import data_size, number
from qs.result.part import Number, Part, Word, key


class GateOutcome(Word):
    """Whether a condition holds."""

    HOLDS = "holds"
    NOT = "does not hold"
    UNCLEAR = "cannot tell"


class GateEntry(Part):
    """A condition in one case, or in the run as a whole. The figure is in `unit`, with its interval
    at 95 %; `decide` is the command that would tell.
    """

    condition: str = key("Condition")
    outcome: GateOutcome = key("Outcome")
    case: str | None = key("Case", None)
    figure: str = key("Figure", "")
    value: Number = key("Value", None)
    low: Number = key("Low", None)
    high: Number = key("High", None)
    unit: str = key("Unit", "")
    why: str | None = key("Why", None)
    decide: str | None = key("Decide", None)

    @property
    def seen(self) -> str:
        """The figure with its interval: p99 41.2 ms (39 .. 44)."""
        if self.value is None:
            return ""
        if self.unit == "bytes":
            return f"{self.figure} {data_size(self.value)}"
        unit = f" {self.unit}" if self.unit else ""
        known = self.low is not None and self.high is not None and self.low < self.high
        within = f" ({number(self.low)} .. {number(self.high)})" if known else ""
        return f"{self.figure} {number(self.value)}{unit}{within}"

    @property
    def sentence(self) -> str:
        """One line: p99>50ms does not hold: BS 8: p99 41.2 ms (39 .. 44)."""
        said = [part for part in (self.case, self.seen, self.why) if part]
        return f"{self.condition} {self.outcome}" + (f": {': '.join(said)}" if said else "")


def overall(entries: Iterable[GateEntry]) -> GateOutcome:
    """Of all conditions together: one that holds decides, then one that cannot be told."""
    found = {entry.outcome for entry in entries}
    for outcome in (GateOutcome.HOLDS, GateOutcome.UNCLEAR):
        if outcome in found:
            return outcome
    return GateOutcome.NOT
