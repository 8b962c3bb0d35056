"""What a result is judged by: rules (what was needed, what was measured, what to change where it
failed) and the number it counts by.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """`measured` must be at least (or at most) `needed`; None: it could not be measured, and the
    rule failed.

    Both are numbers in `unit`. `advice` says what to change; it stands also where the rule passed.
    """

    name: str
    needed: float
    measured: float | None
    passed: bool
    advice: str = ""
    unit: str = ""
    bound: str = "at least"

    def sentence(self) -> str:
        """The rule in plain words, with the advice where it failed."""
        text = f"{self.name}: {_said(self.measured, self.unit)}, needed {self.bound} {_said(self.needed, self.unit)}"
        return text if self.passed or not self.advice else f"{text}; {self.advice}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Metric:
    """The one number that results of a scenario are compared by. None: the run was too short to
    give it.

    `unit`: ns, queries/s or samples/s.
    """

    name: str
    value: float | None
    unit: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def at_least(name: str, needed: float, measured: float | None, unit: str, advice: str) -> Rule:
    return Rule(name, needed, measured, measured is not None and measured >= needed, advice, unit)


def at_most(name: str, needed: float, measured: float | None, unit: str, advice: str) -> Rule:
    return Rule(
        name, needed, measured, measured is not None and measured <= needed, advice, unit, "at most"
    )


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "n/a"
    if unit == "ns":
        return f"{value / 1e6:.6g} ms"
    number = str(value) if isinstance(value, int) else f"{value:.6g}"
    return f"{number} {unit}".rstrip()
