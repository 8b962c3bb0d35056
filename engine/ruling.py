"""What a result is judged by: rules, reasons, caveats, and the number that it is compared by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qs.engine.outcome import Cause, Doubt
from qs.engine.words import number


@dataclass(frozen=True)
class Caveat:
    """A reason to trust a result less."""

    code: Doubt  # for programs
    text: str  # what was seen, and what it does to the result
    advice: str  # what to change

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"


@dataclass(frozen=True)
class Reason:
    """Why a result is INVALID."""

    code: Cause  # for programs
    text: str
    advice: str = ""  # what to change; empty where the text says all

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}" if self.advice else self.text


@dataclass(frozen=True)
class Rule:
    """`measured` must be at least (or at most) `needed`; both are numbers in `unit`."""

    name: str
    needed: float
    # None: it could not be measured, and the rule failed
    measured: float | None
    passed: bool
    # what to change; also set if the rule passed
    advice: str = ""
    unit: str = ""
    bound: str = "at least"
    # what it is about, for programs; None: a scenario of somebody else's
    code: Cause | None = None

    @property
    def error_budget(self) -> bool:
        """Whether it bounds the failed requests: failures within that budget do not make the
        result INVALID.
        """
        return self.code is Cause.ERROR_BUDGET

    @property
    def text(self) -> str:
        """The rule in plain words, without advice."""
        measured, needed = _with_unit(self.measured, self.unit), _with_unit(self.needed, self.unit)
        return f"{self.name}: {measured}, needed {self.bound} {needed}"

    def sentence(self) -> str:
        """The rule in plain words, with the advice if it failed."""
        return self.text if self.passed or not self.advice else f"{self.text}; {self.advice}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it is written to files."""
        plain = asdict(self)
        plain["code"] = None if self.code is None else str(self.code)
        return plain


@dataclass(frozen=True)
class Metric:
    """The one number that results of a scenario are compared by."""

    name: str
    value: float | None  # None: the run was too short for it
    unit: str  # ns, queries/s or samples/s

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "n/a"
    if unit == "ns":
        return f"{number(value / 1e6)} ms"
    return f"{number(value)} {unit}".rstrip()
