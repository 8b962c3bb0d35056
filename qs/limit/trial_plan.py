"""What a search asks to have measured: one trial at one load, how long it may take, and when it is
no use to go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from qs.base.scenarios import CONCURRENCY, RATE
from qs.base.words import counted, number
from qs.engine.statistics import at_least
from qs.limit.goals import ERRORS, GOODPUT, Goal, longest_bound_s

SEARCH, CONFIRM, CURVE = "search", "confirm", "curve"
# A trial is recorded in this many intervals, which the batches are made of.
INTERVALS = 40
# A trial begins with so many times a request's usual length that do not count.
WARM_REQUESTS = 2
# How often a request of its usual length fits into the drain.
LONGEST_REQUEST = 4
# A trial beyond what the target can do ends when so many more requests are in flight than are
# served and may wait: this many standard deviations of the arrivals, but not more than the target
# works off in so long.
FAR_BEHIND, FEWEST_BEHIND, MOST_WAIT_S = 6.0, 8, 5.0
# A trial ends when so many requests failed as one whose share is allowed shows once in a thousand,
# and FEWEST_FAILED at least.
SURELY, FEWEST_FAILED = 0.001, 10


def load_words(over: str, load: float, digits: int = 4) -> str:
    """8 requests/s, 8 users."""
    if over == CONCURRENCY:
        return counted(round(load), "user")
    return f"{number(load, digits)} requests/s"


@dataclass(frozen=True)
class TrialPlan:
    """What the search asks to have measured.

    It is run as RunPlan(load=Poisson(rate_per_s, seed), stop=Stop(duration_s=duration_s),
    drain_s=drain_s, interval_s=interval_s), over concurrency with ClosedLoop(users).
    """

    # Its number in the search, which together with the search's seed makes its own seed.
    number: int
    phase: str
    # The load: requests/s, or over concurrency the users.
    rate_per_s: float
    duration_s: float
    seed: int
    goals: tuple[Goal, ...] = field(repr=False)
    over: str = RATE
    # How long a request takes at ease, and how many a second the target is known to serve; 0.0:
    # nobody knows.
    request_s: float = 0.0
    served_per_s: float = 0.0

    @property
    def drain_s(self) -> float:
        """How long requests may still come back after the last one was due.

        A request that waits for twice the longest bound has missed it. Half of the trial's own time
        is enough to answer what half as much again as the target's capacity leaves undone, so that
        throughput beyond the limit can be seen. What is cut off there counts as failed.
        """
        return max(
            1.0,
            2 * longest_bound_s(self.goals),
            self.duration_s / 2,
            LONGEST_REQUEST * self.request_s,
        )

    @property
    def warm_s(self) -> float:
        """How long nothing counts: a load that has just begun finds the target at ease. Users wait
        as long as they will once each has asked twice, near the limit for the bound each time.
        """
        asked_s = self.request_s
        if self.over == CONCURRENCY and asked_s:
            asked_s += longest_bound_s(self.goals)
        return min(WARM_REQUESTS * asked_s, self.duration_s / 3)

    @property
    def users(self) -> int:
        return round(self.rate_per_s)

    @property
    def planned(self) -> float:
        """About how many requests the trial makes."""
        if self.over == RATE:
            return self.rate_per_s * self.duration_s
        return self.rate_per_s * self.duration_s / self.request_s if self.request_s else math.inf

    @property
    def most_in_flight(self) -> int:
        """With more requests than this in flight the target does not keep up, and the trial is
        over: nobody learns anything from a server that works off its queue for minutes.
        """
        served = min(self.rate_per_s, self.served_per_s or math.inf)
        own = 2 * served * (self.request_s + longest_bound_s(self.goals))
        behind = FAR_BEHIND * math.sqrt(max(self.planned, 1.0))
        if self.served_per_s:
            behind = min(behind, self.served_per_s * MOST_WAIT_S)
        return math.ceil(own + max(behind, FEWEST_BEHIND))

    @property
    def most_failed(self) -> int:
        """With more failures than this no bound on them can hold, and the trial is over."""
        shares = [goal.share for goal in self.goals if goal.name in (ERRORS, GOODPUT)]
        share = min((each for each in shares if each is not None), default=0.0)
        planned, most = math.ceil(min(self.planned, 1e9)), FEWEST_FAILED
        if not share:
            return FEWEST_FAILED
        while most < planned and at_least(most, planned, share) > SURELY:
            most = max(most + 1, math.ceil(most * 1.05))
        return most

    @property
    def interval_s(self) -> float:
        return self.duration_s / INTERVALS
