"""A model of a server of language models in place of a server: so many slots, a queue before them,
and answers of varying lengths, under Poisson arrivals or so many users. In simulated time, as the
trial that a search awaits; its true limit comes from a very long simulation.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np

from qs.base.scenarios import CONCURRENCY
from qs.engine import Histogram, IntervalRow
from qs.engine.record.histogram import indices_of
from qs.limit import Trial, TrialPlan
from qs.limit.counts import Recorded
from qs.limit.goals import of_each_request
from tests.qs.limit.queues import arrivals_of

NS = 1e9


class Model:
    """`first_s` to a first token in a slot, then `token_s` for each of `mean_tokens` tokens, whose
    number is log-normal. `slower` makes all of it so many times as slow, by the instant in the
    search.
    """

    def __init__(
        self,
        slots: int = 8,
        first_s: float = 0.05,
        token_s: float = 0.01,
        mean_tokens: float = 40.0,
        slower: Callable[[float], float] = lambda at_s: 1.0,
    ):
        self.slots, self.first_s, self.token_s = slots, first_s, token_s
        self.mean_tokens, self.slower = mean_tokens, slower
        self.seconds = 0.0
        self.most_in_queue = 0
        self.loads: list[tuple[float, float]] = []

    @property
    def request_s(self) -> float:
        return self.first_s + self.token_s * (self.mean_tokens - 1)

    @property
    def capacity(self) -> float:
        """Requests/s."""
        return self.slots / self.request_s

    def tokens(self, random: np.random.Generator, count: int) -> np.ndarray:
        drawn = random.lognormal(np.log(self.mean_tokens) - 0.045, 0.3, count)
        return np.maximum(drawn.round(), 2)

    async def trial(self, plan: TrialPlan) -> Trial:
        random = np.random.default_rng(plan.seed)
        slower = self.slower(self.seconds)
        if plan.over == CONCURRENCY:
            due, ttft, total = self.closed(plan.users, plan.duration_s, random, slower)
        else:
            due = arrivals_of(plan.rate_per_s, plan.duration_s, random)
            ttft, total = self.open(due, random, slower)
        cut_s = None if plan.over == CONCURRENCY else self._collapse_s(plan, due, due + total)
        if cut_s is not None:
            kept = due <= cut_s
            due, ttft, total = due[kept], ttft[kept], total[kept]
        made = self._recorded(plan, due, ttft, total, cut_s)
        self.seconds += made.took_s
        self.loads.append((plan.rate_per_s, made.measured_s))
        return made

    def open(
        self, due: np.ndarray, random: np.random.Generator, slower: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """TTFT and response time of each request, in s."""
        took = slower * (self.first_s + self.token_s * (self.tokens(random, due.size) - 1))
        free = [0.0] * self.slots
        ttft, total = np.empty(due.size), np.empty(due.size)
        for at, (when, each) in enumerate(zip(due.tolist(), took.tolist())):
            begins = max(when, free[0])
            heapq.heapreplace(free, begins + each)
            ttft[at], total[at] = begins + slower * self.first_s - when, begins + each - when
        return ttft, total

    def closed(
        self, users: int, duration_s: float, random: np.random.Generator, slower: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """When each request was sent, its TTFT and its response time, in s. Users begin one after
        the other within one request's time.
        """
        free = [0.0] * self.slots
        asking = [(self.request_s * at / users, at) for at in range(users)]
        heapq.heapify(asking)
        found: list[tuple[float, float, float]] = []
        while asking[0][0] < duration_s:
            when, user = heapq.heappop(asking)
            took = slower * (self.first_s + self.token_s * (float(self.tokens(random, 1)[0]) - 1))
            begins = max(when, free[0])
            heapq.heapreplace(free, begins + took)
            found.append((when, begins + slower * self.first_s - when, begins + took - when))
            heapq.heappush(asking, (begins + took, user))
        columns = np.array(found)
        return columns[:, 0], columns[:, 1], columns[:, 2]

    def _collapse_s(self, plan: TrialPlan, due: np.ndarray, ended: np.ndarray) -> float | None:
        """When more requests than the plan allows are in flight; None: never."""
        in_flight = np.arange(1, due.size + 1) - np.searchsorted(np.sort(ended), due)
        self.most_in_queue = max(
            self.most_in_queue,
            min(int(in_flight.max(initial=0)), plan.most_in_flight + 1) - self.slots,
        )
        over = np.flatnonzero(in_flight > plan.most_in_flight)
        return float(due[over[0]]) if over.size else None

    def _recorded(
        self,
        plan: TrialPlan,
        due: np.ndarray,
        ttft: np.ndarray,
        total: np.ndarray,
        cut_s: float | None,
    ) -> Trial:
        ended = due + total
        good = np.ones(due.size, bool)
        for goal in of_each_request(plan.goals):
            values = {"ttft": ttft, "response": total}[goal.measure]
            good &= values * NS <= (goal.allowed or 0)
        length_s = plan.interval_s
        number = (ended / length_s).astype(np.int64)
        rows = int(number.max(initial=0)) + 1
        left = [
            int((due < (at + 1) * length_s).sum() - (ended < (at + 1) * length_s).sum())
            for at in range(rows)
        ]
        response, first = (_intervals(each, number, left, length_s) for each in (total, ttft))
        until_s = plan.duration_s if cut_s is None else cut_s
        return Trial.counted(
            plan,
            wall_s=float(ended.max(initial=until_s)),
            completed=due.size,
            failed=0,
            backlog=0 if plan.over == CONCURRENCY else int((ended > until_s).sum()),
            response=_histogram(total),
            recorded=Recorded(
                response, {"ttft": first}, np.bincount(number[good], minlength=rows).tolist()
            ),
            histograms={"ttft": _histogram(ttft)},
            figures={
                "output_per_s": due.size * self.mean_tokens / until_s,
                "user_per_s": 1 / self.token_s,
            },
            cut_s=cut_s,
            collapse="" if cut_s is None else "too many in flight",
        )

    def true_rate(self, bound_s: float, share: float) -> float:
        """The highest rate at which this share of TTFTs is at most over the bound."""
        low, high = 0.0, self.capacity
        for _ in range(16):
            rate = (low + high) / 2
            random = np.random.default_rng(7)
            due = np.cumsum(random.exponential(1 / rate, 60_000))
            ttft, _ = self.open(due, random)
            low, high = (rate, high) if (ttft > bound_s).mean() <= share else (low, rate)
        return (low + high) / 2

    def true_users(self, bound_s: float, share: float) -> int:
        """The most users, likewise."""
        users = 1
        while True:
            random = np.random.default_rng(7)
            _, ttft, _ = self.closed(users + 1, 20_000 / self.capacity, random)
            if (ttft > bound_s).mean() > share:
                return users
            users += 1


def _histogram(values_s: np.ndarray) -> Histogram:
    made = Histogram()
    made.record((values_s * NS).astype(np.int64))
    return made


def _intervals(
    values_s: np.ndarray, number: np.ndarray, left: Sequence[int], length_s: float
) -> list[IntervalRow]:
    found = []
    for at, in_flight in enumerate(left):
        index, counts = np.unique(
            indices_of((values_s[number == at] * NS).astype(np.int64)), return_counts=True
        )
        found.append(
            IntervalRow(
                at * length_s, length_s, int(counts.sum()), 0, None, None, in_flight, index, counts
            )
        )
    return found
