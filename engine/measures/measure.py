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

# In place of a value that was not measured: no measure is below 0.
NOT_MEASURED = -1
# The windows that what happened is counted by.
HAPPENED_NS = 100_000_000
# The measure that every request has: its response time in ns.
RESPONSE = "response"


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
