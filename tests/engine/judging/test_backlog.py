"""Overload against queues whose answer is known, on many seeds: how often a queue that keeps up is
called overloaded, and how often one that does not is missed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
import pytest

from qs.engine import Caveat, IntervalRow, Poisson, RunPlan, Stop
from qs.engine.judging.caveats.backlog import behind, overload
from tests.engine.judging.test_caveats import histogram, result_of

SEEDS = 40
Draw = Callable[[np.random.Generator, int], np.ndarray]


def exponential(random: np.random.Generator, count: int) -> np.ndarray:
    return random.standard_exponential(count)


def constant(random: np.random.Generator, count: int) -> np.ndarray:
    return np.ones(count)


def arrivals(random: np.random.Generator, stages: list[tuple[float, float]]) -> np.ndarray:
    """Poisson arrivals, (seconds, rate) after (seconds, rate)."""
    found, begun = [np.zeros(0)], 0.0
    for seconds, rate in stages:
        due = begun + np.cumsum(random.standard_exponential(int(2 * seconds * rate) + 50)) / rate
        found.append(due[due < begun + seconds])
        begun += seconds
    return np.concatenate(found)


def verdict(
    seed: int,
    stages: list[tuple[float, float]],
    per_s: float = 100.0,
    draw: Draw = exponential,
    workers: int = 1,
    stall: tuple[float, float] | None = None,
) -> str:
    """What is said of a queue with servers that answer `per_s` requests a second each; they stall
    at a time for a time.
    """
    random = np.random.default_rng(seed)
    due = arrivals(random, stages)
    takes = draw(random, due.size) / per_s
    free, done = [0.0] * workers, np.empty(due.size)
    for at in range(due.size):
        begins = max(heapq.heappop(free), due[at])
        if stall is not None and stall[0] <= begins < sum(stall):
            begins = sum(stall)
        done[at] = begins + takes[at]
        heapq.heappush(free, done[at])
    lasts_s = sum(seconds for seconds, _ in stages)
    wall_s, length_s = max(done.max(), lasts_s), min(max(lasts_s / 20, 0.05), 1.0)
    edges = np.arange(int(np.ceil(wall_s / length_s)) + 1) * length_s
    ended, came = np.histogram(done, edges)[0], np.histogram(due, edges)[0]
    waiting = np.cumsum(came - ended)
    rows = [
        IntervalRow(start, min(length_s, wall_s - start), int(count), 0, 1, 1, int(left))
        for start, count, left in zip(edges, ended, waiting)
    ]
    result = result_of(
        True,
        completed=due.size,
        wall_s=wall_s,
        intervals=rows,
        workers=workers,
        offered_s=lasts_s,
        response=histogram(np.maximum((done - due) * 1e9, 1)),
        service=histogram(np.maximum(takes * 1e9, 1)),
    )
    plan = RunPlan(load=Poisson(100, seed=1), stop=Stop(duration_s=lasts_s))
    for rule in (overload, behind):
        found: Caveat | None = rule(result, plan)
        if found is not None:
            return str(found.code)
    return "keeps up"


@pytest.mark.parametrize(
    ("stages", "options", "at_least", "at_most"),
    [
        # queues that keep up: hardly ever
        ([(1, 50)], {}, 0, 0),
        ([(1, 90)], {}, 0, 1),
        ([(3, 90)], {}, 0, 1),
        ([(10, 90)], {}, 0, 0),
        ([(3, 900)], {"per_s": 1000.0}, 0, 0),
        ([(3, 360)], {"workers": 4}, 0, 0),
        ([(10, 95)], {"draw": constant}, 0, 0),
        ([(3, 50), (3, 80), (3, 90)], {}, 0, 1),
        # a stall of a machine that is busy, and a burst that is made up for
        ([(3, 200)], {"per_s": 2000.0, "stall": (2.5, 0.5)}, 0, 0),
        ([(3, 400)], {"per_s": 2000.0, "stall": (0.1, 2.0)}, 0, 0),
        ([(3, 50), (3, 300), (9, 20)], {}, 0, 0),
        # at its limit: it may be said or not
        ([(10, 100)], {}, 0, 6),
        # queues that do not keep up
        ([(3, 130)], {}, 30, 40),
        ([(10, 130)], {}, 40, 40),
        ([(1, 200)], {}, 38, 40),
        ([(3, 1100)], {"per_s": 1000.0}, 30, 40),
        ([(5, 500)], {"workers": 4}, 40, 40),
        # in the last stage alone
        ([(5, 50), (5, 300)], {}, 40, 40),
        ([(9, 50), (1, 300)], {}, 40, 40),
    ],
)
def test_how_often_a_queue_is_called_overloaded(stages, options, at_least, at_most):
    said = [verdict(seed, stages, **options) for seed in range(SEEDS)]
    assert at_least <= said.count("overload") <= at_most, said


def test_a_burst_that_was_made_up_for_is_said():
    said = {verdict(seed, [(3, 50), (3, 300), (9, 20)]) for seed in range(SEEDS)}
    assert said == {"behind"}
