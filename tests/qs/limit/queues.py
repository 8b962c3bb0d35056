"""An exact simulation of a first-come, first-served queue as the trial that a search for a limit
awaits, and its true limit.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from qs.engine import Histogram, IntervalRow
from qs.engine.record.histogram import indices_of
from qs.limit import Trial, TrialPlan
from qs.limit.counts import Recorded

Services = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def responses_of(due_s: np.ndarray, service_s: np.ndarray | float, servers: int) -> np.ndarray:
    """Response times of a FIFO queue before equal servers, exact for any arrivals and service
    times.

    One server: Lindley's recursion, solved by a running maximum. Constant service times let the
    servers take turns, so each serves every n-th request.
    """
    if np.ndim(service_s) == 0 or servers == 1:
        taken = (
            np.full(due_s.size, float(service_s))
            if np.ndim(service_s) == 0
            else np.asarray(service_s)
        )
        found = np.empty(due_s.size)
        for server in range(servers):
            due, took = due_s[server::servers], taken[server::servers]
            worked = np.cumsum(took)
            found[server::servers] = np.maximum.accumulate(due - (worked - took)) + worked - due
        return found
    free = [0.0] * servers
    found = np.empty(due_s.size)
    for at, (due, took) in enumerate(zip(due_s.tolist(), np.asarray(service_s).tolist())):
        end = max(due, free[0]) + took
        heapq.heapreplace(free, end)
        found[at] = end - due
    return found


def arrivals_of(rate: float, duration_s: float, random: np.random.Generator) -> np.ndarray:
    count = random.poisson(rate * duration_s)
    return np.sort(random.random(count)) * duration_s


class Queue:
    """A target in simulated time: `trial` is what a search awaits. `seconds` sums what its trials
    would have taken.

    `services` draws the service times of requests by their due times (a number is a constant one),
    `fails` gives the share of requests that fail at a rate.
    """

    def __init__(
        self,
        servers: int,
        services: Services | float,
        fails: Callable[[float], float] | None = None,
    ):
        self.servers = servers
        self.services = services
        self.fails = fails
        self.seconds = 0.0
        self.trials: list[tuple[float, float, int]] = []
        self.requests = 0

    async def trial(self, plan: TrialPlan) -> Trial:
        rate, random = plan.rate_per_s, np.random.default_rng(plan.seed)
        due = arrivals_of(rate, plan.duration_s, random)
        service = (
            self.services
            if isinstance(self.services, float)
            else self.services(random, due + self.seconds)
        )
        response = responses_of(due, service, self.servers)
        failed = random.random(due.size) < (self.fails(rate) if self.fails else 0.0)
        self.trials.append((rate, plan.duration_s, plan.seed))
        self.requests += due.size
        seen = recorded(plan, due, response, failed)
        self.seconds += seen.wall_s
        return seen


def recorded(
    plan: TrialPlan, due_s: np.ndarray, response_s: np.ndarray, failed: np.ndarray
) -> Trial:
    """The trial that the engine would have recorded of these requests."""
    response_ns = np.round(response_s * 1e9).astype(np.int64)
    end_s = due_s + response_s
    length_s = plan.interval_s
    number = (end_s / length_s).astype(np.int64)
    rows = int(number.max(initial=0)) + 1
    good = ~failed
    keys, counts = np.unique(number[good] << 20 | indices_of(response_ns[good]), return_counts=True)
    edges = np.searchsorted(keys >> 20, np.arange(rows + 1))
    failures = np.bincount(number[failed], minlength=rows)
    ends = (np.arange(rows) + 1) * length_s
    left = np.searchsorted(np.sort(due_s), ends) - np.searchsorted(np.sort(end_s), ends)
    intervals = [
        IntervalRow(
            at * length_s,
            length_s,
            int(counts[edges[at] : edges[at + 1]].sum()),
            int(failures[at]),
            None,
            None,
            int(left[at]),
            keys[edges[at] : edges[at + 1]] & ((1 << 20) - 1),
            counts[edges[at] : edges[at + 1]],
        )
        for at in range(rows)
    ]
    histogram = Histogram()
    histogram.record(response_ns[good])
    return Trial.counted(
        plan,
        wall_s=float(end_s.max(initial=plan.duration_s)),
        completed=int(good.sum()),
        failed=int(failed.sum()),
        backlog=int(due_s.size - np.searchsorted(np.sort(end_s), plan.duration_s)),
        response=histogram,
        recorded=Recorded(intervals),
    )


def true_limit(
    met: Callable[[np.ndarray], bool],
    servers: int,
    services: Services | float,
    capacity: float,
    requests: int = 400_000,
    seed: int = 12345,
) -> float:
    """The highest rate at which a very long simulation meets a bound: bisection, with the same
    arrivals stretched to each rate.
    """
    random = np.random.default_rng(seed)
    unit = np.cumsum(random.standard_exponential(requests))
    low, high = 0.0, capacity
    for _ in range(20):
        rate = (low + high) / 2
        due = unit / rate
        service = (
            services
            if isinstance(services, float)
            else services(np.random.default_rng(seed + 1), due)
        )
        low, high = (rate, high) if met(responses_of(due, service, servers)) else (low, rate)
    return (low + high) / 2
