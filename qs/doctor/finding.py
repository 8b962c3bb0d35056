"""What one look at the machine found: a plain value that the table, the JSON and the reports are
made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

OK, WARN, UNKNOWN = "ok", "warn", "unknown"


@dataclass(frozen=True)
class Finding:
    """One property of the machine.

    status   "ok"; "warn": it moves results; "unknown": this machine does not show it, which is no
             fault
    value    what was found, with its unit
    effect   what it does to a measurement, also where it is well
    fix      how to change it; empty where there is nothing to change
    figures  the same for programs, units in the names
    """

    name: str
    status: str
    value: str
    effect: str = ""
    fix: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What it does and what to change, in a sentence."""
        return "; ".join(filter(None, (self.effect, self.fix)))

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.name, self.value, self.advice)))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def warned(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.status == WARN]
