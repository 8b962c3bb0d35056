"""What must hold under load: a bound on a percentile or on the mean of the response time, or on the
share of failed requests.

Bounds on throughput are left out: the search for a limit is one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from qs.base.errors import Fault, Faults
from qs.base.names import nearest

FLAG = "--slo"
ALLOWED = "bounds such as p99=50ms, p99.9=80ms, p50=10ms, mean=10ms or errors=0.1%, with commas between several"
UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
# A goal of times says nothing of requests that never came back; of these no more than this share
# may be.
MOST_FAILED = 0.01
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)$")
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)$")


@dataclass(frozen=True)
class Goal:
    """One bound that holds or does not.

    share     how many of the requests may miss it: 0.01 for p99, the bound itself for errors; None
              for the mean
    bound_ns  what the response time may be at most; None for errors

    A failed request misses every percentile's bound; the mean is that of the answered ones.
    """

    name: str
    share: float | None = None
    bound_ns: int | None = None
    implied: bool = False  # not the user's: MOST_FAILED

    def __str__(self) -> str:
        if self.bound_ns is None:
            return f"{self.name}={self.share * 100:g}%" if self.share else f"{self.name}=0"
        unit = next(
            unit for unit in ("s", "ms", "us") if self.bound_ns >= UNITS_NS[unit] or unit == "us"
        )
        return f"{self.name}={self.bound_ns / UNITS_NS[unit]:g}{unit}"

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
    """Several bounds, one a text or with commas between them. Raises Faults with all that is wrong
    with them.
    """
    goals: list[Goal] = []
    faults: list[Fault] = []
    for part in (part for text in texts for part in text.split(",")):
        found = _goal(part)
        if isinstance(found, Fault):
            faults.append(found)
        elif found.name in [goal.name for goal in goals]:
            faults.append(
                Fault(
                    FLAG,
                    "slo",
                    part.strip(),
                    "each name once",
                    hint=f"{found.name} is bounded twice",
                )
            )
        else:
            goals.append(found)
    if faults:
        raise Faults(faults)
    return tuple(goals)


def with_implied(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """The goals, and a bound on failed requests where none is stated."""
    stated = tuple(goals)
    if any(goal.name == "errors" for goal in stated):
        return stated
    return (*stated, Goal("errors", share=MOST_FAILED, implied=True))


def _goal(text: str) -> Goal | Fault:
    name, equals, bound = (piece.strip().lower() for piece in text.partition("="))
    percentile = _PERCENTILE.match(name)
    if percentile and 0 < float(percentile[1]) < 100 and equals:
        value = float(percentile[1])
        ns = _time_ns(bound)
        # A share as it is meant: 1 - 0.999 is 0.0010000000000000009.
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
    return Fault(
        FLAG,
        "slo",
        text.strip(),
        f"a time above 0 with its unit (us, ms, s or m), such as {name}=50ms",
    )


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
