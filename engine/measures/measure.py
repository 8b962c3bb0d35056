"""What a run measures of its requests beside their response times: the time to a first token, how
many tokens, anything that an answer tells.

A started target with `read` has the requests of a plan with `measures` kept as they came. It reads
them when nothing is measured any more, so that reading costs no request anything; what it found is
counted here as response times are. Left out: what an answer means, which is the target's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from qs.engine.checks import (
    Check,
    choice,
    count,
    faults_of,
    flag,
    instance,
    is_whole,
    items_of,
    sequence,
)
from qs.engine.measures.found import STAMPS
from qs.engine.record.parts import PARTS

# In place of a value that was not measured: no measure is below 0.
NOT_MEASURED = -1
# The windows that what happened is counted by.
HAPPENED_NS = 100_000_000
# The measure that every request has: its response time in ns.
RESPONSE = "response"
# Names that the columns of requests have already.
TAKEN = frozenset((RESPONSE, *STAMPS, "outcome", "worker", *(f"{part}_ns" for part in PARTS)))
# Requests of which all columns may be kept, and the length of a name.
MOST_SAMPLED = 100_000
MOST_CHARACTERS = 80


@dataclass(frozen=True)
class Measure:
    """One thing that is measured of a request. Values are whole numbers from 0."""

    name: str
    # what the values are in: ns, or what is counted ("tokens", "tokens/s")
    unit: str = "ns"
    # a value is so many times the figure in `unit`: 1000 keeps three decimals of a rate
    scale: int = 1
    # whether one request brings any number of values (the gaps between its tokens)
    many: bool = False
    # whether a higher value is the better one
    more_is_better: bool = False


@dataclass(frozen=True)
class Bound:
    """A good request has a value of this measure (RESPONSE is one) that is at most `limit`, or at
    least that where more is better. One that was not measured is not good.
    """

    measure: str
    limit: int


class Ended(NamedTuple):
    """A request that has ended, whatever became of it."""

    call: Any  # as the target gave it to `done`
    due_ns: int
    failure: str | None  # as the run counted it


@dataclass
class Reading:
    """What a reader made of some requests, in their order."""

    # by measure: int64, one for each request, or NOT_MEASURED
    values: dict[str, np.ndarray] = field(default_factory=dict)
    # by measure with `many`: the values, and the instant (perf_counter_ns) at which each was seen
    many: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    # what became of each request, a word to count by ("stop", "length"); "" counts as nothing
    outcomes: list[str] = field(default_factory=list)
    # by name, what happened at which instant (perf_counter_ns), and how much of it (int64): counted
    # by windows of time, over all requests
    happened: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    # whole numbers by name, summed over all requests
    counts: dict[str, int] = field(default_factory=dict)


Reader = Callable[[Sequence[Ended]], Reading]


def measuring_faults(measures: Any, bounds: Any, sample_requests: Any, started: bool) -> list[str]:
    """Why a plan cannot measure this, one sentence each. `started` is whether its target may be a
    started one.
    """
    found = faults_of(
        sequence("measures", measures, "a list of Measure"),
        *(instance("measures", each, Measure, "a Measure") for each in items_of(measures)),
        sequence("bounds", bounds, "a list of Bound"),
        *(instance("bounds", each, Bound, "a Bound") for each in items_of(bounds)),
        count("sample_requests", sample_requests, 0, MOST_SAMPLED),
    )
    if found:
        return found
    names = [each.name for each in measures]
    single = [RESPONSE, *(each.name for each in measures if not each.many)]
    checks: list[Check] = []
    for each in measures:
        what = f"measure {each.name!r:.40}" if isinstance(each.name, str) else "measure"
        named = isinstance(each.name, str) and 0 < len(each.name) <= MOST_CHARACTERS
        told = isinstance(each.unit, str) and len(each.unit) <= MOST_CHARACTERS
        checks += [
            (named, "measure name", each.name, f"a word of at most {MOST_CHARACTERS} characters"),
            (told, f"{what}: unit", each.unit, f"a word of at most {MOST_CHARACTERS} characters"),
            (each.name not in TAKEN, "measure name", each.name, "another: every request has that"),
            (names.count(each.name) == 1, "measure name", each.name, "that of one measure"),
            count(f"{what}: scale", each.scale),
            flag(f"{what}: many", each.many),
            flag(f"{what}: more_is_better", each.more_is_better),
        ]
    for bound in bounds:
        checks += [
            choice("bound measure", bound.measure, single),
            (is_whole(bound.limit), "bound limit", bound.limit, "a whole number"),
        ]
    found = list(dict.fromkeys(faults_of(*checks)))
    if not started and (len(measures) or len(bounds) or sample_requests):
        found.append(
            "measures, bounds, sample_requests: they are read from the calls of a started target; "
            'give it with Pool("async"), or leave them out'
        )
    return found
