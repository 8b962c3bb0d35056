"""What must hold under load: a bound on a percentile or the mean of the response time or of another
measure of requests, on the share of failed requests, or on each request and the share that must
keep it.

There are no bounds on throughput: that is what a search for a limit finds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.base.words import number, typed_number
from qs.engine import RESPONSE, Bound, Measure
from qs.llm.measures import BY_NAME

FLAG = "--slo"
ALLOWED = (
    "bounds such as p99=50ms, p99.9=80ms, mean=10ms, errors=0.1%, ttft_p99=200ms, tpot=50ms, "
    "decode_rate=20 or goodput=95%, separated by commas"
)
UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
ERRORS, GOODPUT, MEAN, E2E = "errors", "goodput", "mean", "e2e"
# Bounds on times say nothing about requests that never came back: no more than this share may fail.
MOST_FAILED = 0.01
# Where each request is bounded and nobody says how many must keep it: 95 in 100.
MOST_NOT_GOOD = 0.05
# The response time is a measure like others, by any of these names or by none: p99, e2e_p99.
_RESPONSE = Measure(RESPONSE)
_NAMES = {E2E: _RESPONSE, RESPONSE: _RESPONSE, "normalized": BY_NAME["normalised"], **BY_NAME}
_ALIASES = {"error_rate": ERRORS}
_STATISTIC = re.compile(r"(?:(.+)_)?(p(\d+(?:\.\d+)?)|mean)$")
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z/]*)$")


@dataclass(frozen=True)
class Goal:
    """One bound that holds or does not.

    A failed request misses every percentile's bound but that of a measure of which a request has
    many; a mean is that of the requests that have the measure.
    """

    name: str
    # The share of requests that may miss it: 0.01 for p99, the bound itself for errors; None for
    # a mean, and for a bound on each request.
    share: float | None = None
    # The longest response time allowed; None: something else is bounded.
    bound_ns: int | None = None
    # Not stated by the user: MOST_FAILED, MOST_NOT_GOOD.
    implied: bool = False
    # What is bounded beside the response time, by its name in qs.llm.measures, and the bound as
    # values are recorded; a measure of which more is better has at least that.
    measure: str = RESPONSE
    limit: int | None = None

    def __str__(self) -> str:
        """As it is typed: p99=50ms."""
        figure, unit = self._bound
        return f"{self.name}={typed_number(figure)}{unit if unit in (*UNITS_NS, '%') else ''}"

    @property
    def words(self) -> str:
        """As a sentence has it: p99 <= 50 ms."""
        figure, unit = self._bound
        if self.name == ERRORS and not unit:
            return "no errors"
        name = self.name.replace("_", " ") + (" of each request" if self.of_each else "")
        sign = ">=" if self.at_least else "<="
        return f"{name} {sign} {number(figure, 6)} {unit}"

    @property
    def _bound(self) -> tuple[float, str]:
        """In a suitable unit, and the unit; none for no errors at all."""
        measured = BY_NAME.get(self.measure, _RESPONSE)
        if self.name == GOODPUT:
            return round((1 - (self.share or 0.0)) * 100, 10), "%"
        if self.allowed is None:
            return ((self.share or 0.0) * 100, "%") if self.share else (0, "")
        if measured.unit != "ns":
            return self.allowed / measured.scale, measured.unit
        unit = next(
            unit for unit in ("s", "ms", "us") if self.allowed >= UNITS_NS[unit] or unit == "us"
        )
        return self.allowed / UNITS_NS[unit], unit

    @property
    def allowed(self) -> int | None:
        """The bound as values of the measure are recorded; None for errors and goodput."""
        return self.limit if self.bound_ns is None else self.bound_ns

    @property
    def time_ns(self) -> int | None:
        """The bound, if it is one on a time."""
        timed = BY_NAME.get(self.measure, _RESPONSE).unit == "ns"
        return self.allowed if timed else None

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.name == GOODPUT or more_is_better(self.measure)

    @property
    def many(self) -> bool:
        """Whether one request has any number of values."""
        return BY_NAME.get(self.measure, _RESPONSE).many

    @property
    def percentile(self) -> float | None:
        """None for means, for errors, for goodput and for bounds on each request."""
        found = _STATISTIC.match(self.name)
        return float(found[3]) if found and found[3] else None

    @property
    def of_each(self) -> bool:
        """Whether it bounds each request: that is not judged by itself, but makes requests good."""
        return self.share is None and self.allowed is not None and not _STATISTIC.match(self.name)


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
    goodput = next((goal for goal in goals if goal.name == GOODPUT), None)
    if goodput is not None and not of_each_request(goals) and not faults:
        allowed = "a bound that good requests keep as well, such as ttft=200ms"
        faults.append(Fault(FLAG, "slo", str(goodput), allowed))
    if faults:
        raise Faults(faults)
    return tuple(goals)


def with_implied(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """The goals, with what follows from them: where each request is bounded, how many must keep
    it, and if nothing stated bounds how many may fail, that.
    """
    stated = tuple(goals)
    names = [goal.name for goal in stated]
    if GOODPUT not in names and any(goal.of_each for goal in stated):
        return (*stated, Goal(GOODPUT, share=MOST_NOT_GOOD, implied=True))
    if ERRORS in names or GOODPUT in names:
        return stated
    return (*stated, Goal(ERRORS, share=MOST_FAILED, implied=True))


def of_the_run(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """Those that are judged by all requests together."""
    return tuple(goal for goal in goals if not goal.of_each)


def of_each_request(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """What a good request keeps, one goal for each measure: the bound on each request, or that of
    the highest percentile. Of a measure that a request has many of, and of means, no request is
    good or bad.
    """
    best: dict[str, Goal] = {}
    for goal in goals:
        if goal.allowed is None or goal.many or not (goal.of_each or goal.percentile):
            continue
        other = best.get(goal.measure)
        if other is None or (goal.percentile or math.inf) > (other.percentile or math.inf):
            best[goal.measure] = goal
    return tuple(best.values())


def bounds_of(goals: Iterable[Goal]) -> tuple[Bound, ...]:
    """The same as the engine's plan takes it."""
    return tuple(Bound(goal.measure, goal.allowed or 0) for goal in of_each_request(goals))


def unmeasured(goals: Iterable[Goal], measured: Collection[str], of: str) -> list[Fault]:
    """A fault for each goal on a measure that is not among the measured ones; `of` says what is
    measured: "a model that runs here".
    """
    known = [name for name in measured if name != RESPONSE]
    allowed = (
        f"bounds of what is measured of {of}: the response time (p99, mean, e2e), errors, goodput"
        + "".join(f", {name}" for name in known)
    )
    return [
        Fault(FLAG, "slo", str(goal), allowed)
        for goal in goals
        if goal.measure not in (RESPONSE, *known)
    ]


def longest_bound_s(goals: Iterable[Goal]) -> float:
    return max((goal.time_ns or 0 for goal in goals), default=0) / 1e9


def more_is_better(measure: str) -> bool:
    return BY_NAME.get(measure, _RESPONSE).more_is_better


def _goal(text: str) -> Goal | Fault:
    name, equals, bound = (piece.strip().lower() for piece in text.partition("="))
    name = _ALIASES.get(name, name)
    if not equals:
        return _unknown(text, name)
    if name in (ERRORS, GOODPUT):
        return _shared(text, name, bound)
    found = _STATISTIC.match(name)
    measured = _NAMES.get((found[1] or RESPONSE) if found else name)
    if measured is None:
        return _unknown(text, name)
    value = _quantity(bound, measured)
    if value is None:
        return _no_quantity(text, measured)
    own = "" if measured is _RESPONSE else f"{measured.name}_"
    if found is None:
        if measured.many:
            allowed = f"a percentile of it, such as {name}_p99={bound}: a request has many of them"
            return Fault(FLAG, "slo", text.strip(), allowed)
        return _bounded(E2E if measured is _RESPONSE else measured.name, None, value, measured)
    if found[3] is None:
        return _bounded(f"{own}{MEAN}", None, value, measured)
    percentile = float(found[3])
    if not 0 < percentile < 100:
        return _unknown(text, name)
    # The share that is meant: 1 - 0.999 is 0.0010000000000000009.
    share = round(1.0 - percentile / 100.0, 12)
    return _bounded(f"{own}p{percentile:g}", share, value, measured)


def _bounded(name: str, share: float | None, value: int, measured: Measure) -> Goal:
    if measured is _RESPONSE:
        return Goal(name, share, value)
    return Goal(name, share, measure=measured.name, limit=value)


def _shared(text: str, name: str, bound: str) -> Goal | Fault:
    part = _share(bound)
    if name == ERRORS and part is not None and part < 1.0:
        return Goal(ERRORS, share=part)
    if name == GOODPUT and part:
        return Goal(GOODPUT, share=round(1.0 - part, 12))
    allowed = (
        "a share from 0 up to below 100 %, such as errors=0.1%"
        if name == ERRORS
        else "a share above 0 up to 100 %, such as goodput=95%"
    )
    return Fault(FLAG, "slo", text.strip(), allowed)


def _unknown(text: str, name: str) -> Fault:
    statistics = ("p50", "p90", "p95", "p99", "p99.9", MEAN)
    known = [*statistics, ERRORS, "error_rate", GOODPUT]
    for each, measured in _NAMES.items():
        known += [] if measured.many else [each]
        known += [f"{each}_{statistic}" for statistic in statistics]
    near = nearest(name, known) if name else None
    return Fault(FLAG, "slo", text.strip(), ALLOWED, nearest=None if near == name else near)


def _no_quantity(text: str, measured: Measure) -> Fault:
    name = text.partition("=")[0].strip()
    if measured.unit == "ns":
        allowed = f"a time above 0 with its unit (us, ms, s or m), such as {name}=50ms"
    else:
        allowed = f"a number of {measured.unit} above 0, such as {name}=20"
    return Fault(FLAG, "slo", text.strip(), allowed)


def _quantity(text: str, measured: Measure) -> int | None:
    """As values of the measure are recorded."""
    matched = _QUANTITY.match(text)
    if not matched:
        return None
    units = UNITS_NS if measured.unit == "ns" else {"": measured.scale}
    if measured.unit != "ns":
        units |= {measured.unit: measured.scale}
    if matched[2] not in units:
        return None
    value = float(matched[1]) * units[matched[2]]
    return round(value) if math.isfinite(value) and round(value) > 0 else None


def _share(text: str) -> float | None:
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0.0 <= value <= 1.0 else None
