"""What must hold under load: a bound on a percentile or the mean of the response time, or on the
share of failed requests.

There are no bounds on throughput: that is what a search for a limit finds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.base.words import number, typed_number

FLAG = "--slo"
ALLOWED = (
    "bounds such as p99=50ms, p99.9=80ms, p50=10ms, mean=10ms or errors=0.1%, separated by commas"
)
UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
# Bounds on times say nothing about requests that never came back: no more than this share may fail.
MOST_FAILED = 0.01
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)$")
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)$")


@dataclass(frozen=True)
class Goal:
    """One bound that holds or does not.

    A failed request misses every percentile's bound; the mean is that of the answered requests.
    """

    name: str
    # The share of requests that may miss it: 0.01 for p99, the bound itself for errors; None for
    # the mean.
    share: float | None = None
    # The longest response time allowed; None for errors.
    bound_ns: int | None = None
    # Not stated by the user: MOST_FAILED.
    implied: bool = False

    def __str__(self) -> str:
        """As it is typed: p99=50ms."""
        figure, unit = self._bound
        return f"{self.name}={typed_number(figure)}{unit}"

    @property
    def words(self) -> str:
        """As a sentence has it: p99 <= 50 ms."""
        figure, unit = self._bound
        return f"{self.name} <= {number(figure, 6)} {unit}" if unit else "no errors"

    @property
    def _bound(self) -> tuple[float, str]:
        """In a suitable unit, and the unit; none for 0."""
        if self.bound_ns is None:
            return ((self.share or 0.0) * 100, "%") if self.share else (0, "")
        unit = next(
            unit for unit in ("s", "ms", "us") if self.bound_ns >= UNITS_NS[unit] or unit == "us"
        )
        return self.bound_ns / UNITS_NS[unit], unit

    @property
    def percentile(self) -> float | None:
        """None for the mean and for errors."""
        return float(self.name[1:]) if self.name.startswith("p") else None


def parse_goal(text: str) -> Goal:
    """One bound: p99=50ms. Raises Faults."""
    goals = parse_goals([text])
    if len(goals) != 1:
        raise Faults([Fault(FLAG, "slo", text, "one bound, such as p99=50ms")])
    return goals[0]


def parse_goals(texts: Iterable[str]) -> tuple[Goal, ...]:
    """Several bounds, one in each text or separated by commas. Raises Faults with everything that
    is wrong with them.
    """
    goals: list[Goal] = []
    faults: list[Fault] = []
    for part in (part for text in texts for part in text.split(",")):
        goal = _goal(part)
        if isinstance(goal, Fault):
            faults.append(goal)
        elif goal.name in [other.name for other in goals]:
            hint = f"{goal.name} is bounded twice"
            faults.append(Fault(FLAG, "slo", part.strip(), "each name once", hint=hint))
        else:
            goals.append(goal)
    if faults:
        raise Faults(faults)
    return tuple(goals)


def with_implied(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """The goals, with a bound on failed requests added if none is stated."""
    stated = tuple(goals)
    if any(goal.name == "errors" for goal in stated):
        return stated
    return (*stated, Goal("errors", share=MOST_FAILED, implied=True))


def longest_bound_s(goals: Iterable[Goal]) -> float:
    return max((goal.bound_ns or 0 for goal in goals), default=0) / 1e9


def _goal(text: str) -> Goal | Fault:
    name, equals, bound = (piece.strip().lower() for piece in text.partition("="))
    percentile = _PERCENTILE.match(name)
    if percentile and 0 < float(percentile[1]) < 100 and equals:
        value = float(percentile[1])
        ns = _time_ns(bound)
        # The share that is meant: 1 - 0.999 is 0.0010000000000000009.
        share = round(1.0 - value / 100.0, 12)
        return _time_fault(text) if ns is None else Goal(f"p{value:g}", share, ns)
    if name == "mean" and equals:
        ns = _time_ns(bound)
        return _time_fault(text) if ns is None else Goal("mean", bound_ns=ns)
    if name == "errors" and equals:
        part = _share(bound)
        if part is None:
            allowed = "a share from 0 up to below 100 %, such as errors=0.1%"
            return Fault(FLAG, "slo", text.strip(), allowed)
        return Goal("errors", share=part)
    near = nearest(name, ("p50", "p90", "p95", "p99", "p99.9", "mean", "errors")) if name else None
    return Fault(FLAG, "slo", text.strip(), ALLOWED, nearest=None if near == name else near)


def _time_fault(text: str) -> Fault:
    name = text.partition("=")[0].strip()
    allowed = f"a time above 0 with its unit (us, ms, s or m), such as {name}=50ms"
    return Fault(FLAG, "slo", text.strip(), allowed)


def _time_ns(text: str) -> int | None:
    matched = _TIME.match(text)
    if not matched or matched[2] not in UNITS_NS:
        return None
    ns = round(float(matched[1]) * UNITS_NS[matched[2]])
    return ns if ns > 0 else None


def _share(text: str) -> float | None:
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0.0 <= value < 1.0 else None
