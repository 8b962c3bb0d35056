"""How a search for a limit proceeds: where it begins, which rates it may try, how long its trials
are, when it has seen enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.base.errors import Fault, Faults
from qs.base.scenarios import CONCURRENCY, RATE
from qs.base.words import span
from qs.limit.goals import Goal, longest_bound_s
from qs.limit.trial_plan import WARM_REQUESTS

# How many requests may miss the strictest goal in the first look at a rate: with 150 for p99 the
# tail of the response times can be seen.
FIRST_LOOK = 1.5
# A queue whose waits come near a bound has a memory of that length; a trial lasts at least this
# many times the longest bound.
BOUNDS_A_TRIAL = 20
# Users wait for each other and make no queue longer than they are.
BOUNDS_OF_USERS = 5
# A trial lasts at least this long, unless the budget has no room for so many of them: shorter ones
# show caches that fill and a scheduler at work.
LEAST_S, LEAST_TRIALS = 1.0, 20
SEARCH = "the search for a limit"
# Of several loads one is clearly shown to hold if chance makes it so many times less often.
TELLING = 10
# Where the search begins: at this share of what the target does in closed loop.
FIRST = 0.7
NO_HINT_PER_S = 10.0
# Over concurrency: the first number of users, and the most that are tried where nobody says.
NO_HINT_USERS, MOST_USERS = 1.0, 4096.0
# A trial lasts as long as this many requests one after the other: what is in flight, and who waits
# for whom, is settled by then.
REQUESTS_A_TRIAL = 5


@dataclass(frozen=True)
class Ladder:
    """The rates that a search tries. They lie a resolution apart, so that trials come together on
    few of them.
    """

    lowest: float
    start: float
    highest: float
    step: float  # between neighbouring rungs, as a logarithm
    whole: bool = False  # users are whole

    def rung(self, rate: float) -> float:
        """The rung nearest to a rate."""
        lowest = math.ceil(math.log(self.lowest / self.start) / self.step - 1e-9)
        highest = math.floor(math.log(self.highest / self.start) / self.step + 1e-9)
        number = max(min(round(math.log(rate / self.start) / self.step), highest), lowest)
        found = self.start * math.exp(number * self.step)
        # Four digits, so that the same rate is the same number.
        return max(float(round(found)), 1.0) if self.whole else float(f"{found:.4g}")

    def below(self, rate: float) -> float:
        """The next one below a rate, not yet on a rung."""
        found = rate / math.exp(self.step)
        return max(min(math.floor(found), rate - 1), 1.0) if self.whole else found

    def highest_that(self, promises: Callable[[float], bool], floor: float, top: float) -> float:
        """The highest rate from `floor` to `top`, a whole number of steps up, that promises to
        hold; `floor` if none does. By bisection: what promises to hold does so at lower rates too,
        nearly always.
        """
        low, high = 0, math.floor(math.log(top / floor) / self.step + 0.5)
        while high > low:
            middle = (low + high + 1) // 2
            if promises(self.rung(floor * math.exp(middle * self.step))):
                low = middle
            else:
                high = middle - 1
        return floor * math.exp(low * self.step)


@dataclass(frozen=True)
class LimitSettings:
    """Everything a search depends on besides what its trials show: with the same settings and the
    same trials it does the same.
    """

    # Roughly what the target can do: its throughput in closed loop. None: the search begins at 10
    # requests a second. Over concurrency the users to begin with; None: one.
    hint_per_s: float | None = None
    over: str = RATE
    # How long a request takes at ease; None: nobody knows, and no trial allows for it.
    request_s: float | None = None
    # The rates that the search stays between. None: from a fiftieth of where it begins, or the rate
    # at which 20 requests fall due in point_s, to a hundred times where it begins, or without a
    # hint a hundred thousand times.
    lowest_per_s: float | None = None
    highest_per_s: float | None = None
    # What all trials together may take, from the start of each until its last answer.
    budget_s: float = 300.0
    # The shortest trial, what one rate may take before it is given up as unclear, and the
    # confirmation. None: a share of the budget.
    trial_s: float | None = None
    point_s: float | None = None
    confirm_s: float | None = None
    # Of "holds" and of "fails", each.
    confidence: float = 0.95
    # How far below the likely limit the search goes to find a rate that it can show to hold; if the
    # budget is too short for that, the limit is stated with less confidence.
    slack: float = 0.05
    # The search ends when the rate that holds and the next one that does not are this close.
    resolution: float = 0.02
    most_trials: int = 80
    seed: int = 0
    # Whether to measure below and above the limit as well, for the curve.
    curve: bool = True

    def check(self) -> None:
        """Raises Faults with every setting that is invalid."""
        faults = []
        for name in (
            "hint_per_s",
            "request_s",
            "lowest_per_s",
            "highest_per_s",
            "budget_s",
            "trial_s",
            "point_s",
            "confirm_s",
            "most_trials",
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                faults.append(Fault(SEARCH, name, value, "above 0"))
        if not 0.5 < self.confidence < 1:
            faults.append(Fault(SEARCH, "confidence", self.confidence, "above 0.5 and below 1"))
        for name in ("resolution", "slack"):
            if not 0 < getattr(self, name) < 1:
                faults.append(Fault(SEARCH, name, getattr(self, name), "above 0 and below 1"))
        if self.over not in (RATE, CONCURRENCY):
            faults.append(Fault(SEARCH, "over", self.over, f"{RATE} or {CONCURRENCY}"))
        if self.seed < 0:
            faults.append(Fault(SEARCH, "seed", self.seed, "0 or above"))
        lowest, highest = self.lowest_per_s, self.highest_per_s
        if lowest is not None and highest is not None and not lowest < highest:
            faults.append(Fault(SEARCH, "highest_per_s", highest, "above lowest_per_s"))
        if faults:
            raise Faults(faults)

    @property
    def shortest_s(self) -> float:
        least = min(LEAST_S, self.budget_s / LEAST_TRIALS)
        return self.trial_s or max(least, self.budget_s / 150, self._settled_s)

    @property
    def _settled_s(self) -> float:
        """What a trial needs to be more than its beginning, as far as the budget has it."""
        return min(REQUESTS_A_TRIAL * (self.request_s or 0.0), self.budget_s / 10)

    @property
    def hurried(self) -> str:
        """What is said of trials that the budget makes shorter than LEAST_S; empty if it does
        not.
        """
        if self.trial_s or self.shortest_s >= LEAST_S:
            return ""
        return (
            f"{span(self.budget_s)} of search make trials of {span(self.shortest_s)}; "
            f"{span(LEAST_S * LEAST_TRIALS)} allow {span(LEAST_S)} each"
        )

    @property
    def longest_point_s(self) -> float:
        return self.point_s or max(self.budget_s / 12, self._settled_s)

    @property
    def confirmation_s(self) -> float:
        return self.confirm_s or self.budget_s * 0.4

    def ladder(self) -> Ladder:
        if self.over == CONCURRENCY:
            most = float(math.floor(self.highest_per_s or MOST_USERS))
            least = float(math.ceil(self.lowest_per_s or 1.0))
            first = min(max(float(round(self.hint_per_s or NO_HINT_USERS)), least), most)
            return Ladder(least, first, most, math.log1p(self.resolution), True)
        start = self.hint_per_s * FIRST if self.hint_per_s else NO_HINT_PER_S
        start = min(max(start, self.lowest_per_s or 0.0), self.highest_per_s or math.inf)
        lowest = self.lowest_per_s or min(max(start / 50, 20 / self.longest_point_s), start)
        highest = self.highest_per_s or start * (100 if self.hint_per_s else 100_000)
        return Ladder(lowest, start, highest, math.log1p(self.resolution))

    def first_look_s(self, goals: Iterable[Goal], rate: float, telling: bool = False) -> float:
        """How long the first trial at a rate lasts; one that is `telling`, where requests are few
        and long, as long as it takes to show clearly that the goals hold.
        """
        goals = tuple(goals)
        shares = [goal.share for goal in goals if goal.share and not (goal.many or goal.implied)]
        per_s, memory = rate, BOUNDS_A_TRIAL
        if self.over == CONCURRENCY:
            per_s, memory = rate / (self.request_s or 1.0), BOUNDS_OF_USERS
        enough = FIRST_LOOK / min(shares, default=0.01) / per_s
        if telling and self.request_s is not None:
            needed = math.log((1 - self.confidence) / TELLING) / math.log1p(
                -min(shares, default=0.01)
            )
            enough = max(enough, needed / per_s)
        seconds = max(self.shortest_s, memory * longest_bound_s(goals), enough)
        return min(seconds + WARM_REQUESTS * (self.request_s or 0.0), self.longest_point_s)

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial: no two trials of a search see the same arrivals."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
