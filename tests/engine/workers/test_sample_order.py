"""In open loop on event loops the samples belong to the due times: request i has sample i, over
several processes too, behind a warm-up, and where requests are dropped or processes are lost.
"""

from __future__ import annotations

import os
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import (
    ConstantRate,
    Factory,
    Gamma,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Sessions,
    Stop,
    Target,
    run,
)
from qs.engine.workers.queue import new_counter
from qs.engine.workers.share import PlanShare
from tests.fakes import StartedTarget

ASYNC = Pool("async")


class Tells(StartedTarget):
    """Says in its counts which samples it saw: "FIRST: n" is the n-th of the process whose first
    one was FIRST.
    """

    def counts(self):
        return {f"{self.seen[0]}: {at}": sample for at, sample in enumerate(self.seen)}


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize(
    "load", [Replay((0.02, 0.0, 0.01, 0.01, 0.01)), Gamma(2_000, 0.2), Poisson(3_000)], ids=repr
)
def test_request_i_has_sample_i(load, warmup):
    target = StartedTarget()
    plan = RunPlan(load, Stop(iterations=50), ASYNC, warmup_iterations=warmup, calibrate=False)
    completed = run(plan, target, list(range(40))).completed
    expected = [number % 40 for number in range(completed)]
    assert target.seen[warmup:] == expected
    assert target.seen[:warmup] == list(range(20, 20 + warmup))


def test_a_dropped_request_takes_its_sample_with_it():
    rate = 500
    plan = RunPlan(
        ConstantRate(rate),
        Stop(iterations=100),
        Pool("async", max_in_flight=1),
        max_backlog=2,
        calibrate=False,
    )
    target = StartedTarget(pause_s=0.007)
    result = run(plan, target, list(range(100)), keep_columns=True)
    assert result.dropped > 10
    due = np.sort(result.columns["due_ns"])
    assert target.seen == np.rint(due * rate / 1e9).astype(int).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("load", [Gamma(2_000, 0.3), Sessions(arrivals=Replay((0.0,) * 20))])
def test_processes_take_the_samples_in_turn(load):
    if isinstance(load, Sessions):
        target, samples = "TellsTalks", [Once(each) for each in range(20)]
    else:
        target, samples = "Tells", list(range(30))
    plan = RunPlan(load, Stop(iterations=20), Pool("async", workers=3), calibrate=False)
    counts = run(plan, Factory(f"{__name__}:{target}"), samples).counts
    seen = {name: value for name, value in counts.items() if name[0].isdigit()}
    assert seen == {f"{at % 3}: {at // 3}": at for at in range(20)}


class Once:
    """A conversation of one turn."""

    def __init__(self, number: int):
        self.number = number

    def turns(self):
        yield self.number, 0


TellsTalks = Tells


@given(
    st.integers(1, 5).flatmap(lambda of: st.tuples(st.integers(0, of - 1), st.just(of))),
    st.integers(0, 20),
    st.integers(1, 9),
    st.none() | st.integers(1, 4),
)
def test_who_takes_a_lost_process_s_place_goes_on_with_its_samples(turn, taken, many, per_query):
    """A query of several samples has consecutive ones."""
    counter = new_counter()
    try:
        for _ in range(taken):
            os.lseek(counter, 1, os.SEEK_CUR)
        plan = RunPlan(ConstantRate(1), samples_per_query=per_query)
        share = PlanShare(plan, 1, counter_fd=counter, turn=turn)
        found = list(islice(share.feed(Target(print, list(range(many)))), 12))
    finally:
        os.close(counter)
    index, of = turn
    queries = [index + of * (taken + number) for number in range(12)]
    each = per_query or 1
    expected = [[(query * each + at) % many for at in range(each)] for query in queries]
    assert found == (expected if per_query else [query[0] for query in expected])


@pytest.mark.parametrize("size", [1, 2, 7, 12])
@pytest.mark.parametrize("per_query", [None, 1, 3, 8])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("offset", [0, 1, 13])
def test_a_part_of_many_is_fed_every_so_manieth_sample(size, per_query, step, offset):
    """Found without stepping over those of the others: request k of a part is request
    offset + k * step of the whole, which cycles over all samples.
    """
    each, samples = per_query or 1, list(range(size))
    found = list(islice(Target(print, samples).feed(offset, per_query, step), 40))
    for number, sample in enumerate(found):
        first = (offset + number * step) * each
        query = [(first + more) % size for more in range(each)]
        assert sample == (query[0] if per_query is None else query)
