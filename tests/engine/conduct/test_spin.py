"""Whether a worker may spin: the rule as a table over what was seen, and one real look at this
machine.
"""

from __future__ import annotations

import asyncio

import pytest

from qs.engine import ConstantRate, Pool, RunPlan
from qs.engine.conduct.spinning import (
    CoreView,
    look_at_cores,
    may_spin,
    seen_between,
)
from qs.engine.machine.cores import usable_cores, usable_cpus
from qs.engine.machine.times import HostTimes

QUIET = CoreView(cores=4, idle_cores=3.9, steal_share=0.0)


def plan_of(**pool: object) -> RunPlan:
    return RunPlan(load=ConstantRate(100), pool=Pool(**pool))


@pytest.mark.parametrize(
    ("pool", "view", "expected"),
    [
        ({}, QUIET, True),
        ({"workers": 3}, QUIET, True),
        ({"workers": 4}, QUIET, False),  # none would be left for the conductor
        ({"workers": 2, "intra_op_threads": 2}, QUIET, False),
        ({"workers": 1, "intra_op_threads": 3}, QUIET, True),
        ({"kind": "process", "workers": 2}, QUIET, True),
        ({"kind": "async"}, QUIET, False),
        ({"workers": 2, "affinity": ((0,), (1,))}, QUIET, True),
        ({"workers": 2, "affinity": ((0,),)}, QUIET, False),  # two workers on one CPU
        ({"workers": 2, "intra_op_threads": 1, "affinity": ((0, 1),)}, QUIET, True),
        ({}, CoreView(cores=1, idle_cores=1, steal_share=0), False),
        ({}, CoreView(cores=1.5, idle_cores=8, steal_share=0), True),  # a quota
        ({}, CoreView(cores=0.5, idle_cores=8, steal_share=0), False),
        ({}, CoreView(cores=4, idle_cores=0.2, steal_share=0), False),  # others keep them busy
        ({"workers": 3}, CoreView(cores=4, idle_cores=1.4, steal_share=0), False),
        ({}, CoreView(cores=4, idle_cores=3.5, steal_share=0.06), False),
        ({}, CoreView(cores=4, idle_cores=3.5, steal_share=0.04), True),
        ({}, CoreView(cores=4), True),  # what is not known does not forbid
        ({"spin": "never"}, QUIET, False),
        ({"spin": "always", "workers": 9}, CoreView(cores=1, idle_cores=0, steal_share=0.9), True),
    ],
)
def test_may_spin(pool, view, expected):
    assert may_spin(plan_of(**pool), view) is expected


def test_what_is_seen_between_two_readings():
    before = HostTimes(at_s=10.0, busy_s=100.0, idle_s=200.0, steal_s=5.0)
    after = HostTimes(at_s=12.0, busy_s=101.0, idle_s=204.0, steal_s=8.0)
    assert seen_between(4, before, after) == CoreView(cores=4, idle_cores=2.0, steal_share=3 / 8)


def test_no_time_between_two_readings_tells_nothing():
    reading = HostTimes(at_s=10.0, busy_s=100.0, idle_s=200.0, steal_s=5.0)
    assert seen_between(2, reading, reading) == CoreView(cores=2)


def test_a_look_that_cannot_change_the_answer_is_not_taken():
    view = asyncio.run(look_at_cores(plan_of(spin="never"), look_s=3600))
    assert view == CoreView(usable_cores())
    too_many = plan_of(workers=len(usable_cpus()))
    assert asyncio.run(look_at_cores(too_many, look_s=3600)).idle_cores is None


def test_a_real_look_is_within_what_the_machine_has():
    if usable_cores() <= 1:
        pytest.skip("needs two cores")
    view = asyncio.run(look_at_cores(plan_of(), look_s=0.1))
    assert 1 < view.cores <= len(usable_cpus())
    assert view.idle_cores is not None and view.idle_cores >= 0
    assert view.steal_share is not None and 0 <= view.steal_share <= 1
