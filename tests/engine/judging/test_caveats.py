"""Every caveat as a table of what was seen, with the rows beside the limit where it must keep
silent.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    ClosedLoop,
    Doubt,
    Histogram,
    IntervalRow,
    Poisson,
    Pool,
    RunPlan,
    RunResult,
    Server,
    Stop,
)
from qs.engine.judging.caveats import RULES, caveats_of
from qs.engine.judging.caveats.backlog import held_back
from qs.engine.machine.watch import CpuUse, GroupUse
from qs.engine.result import EngineCost, WarmUpResult

MS = 1_000_000
CLOSED = RunPlan(load=ClosedLoop(clients=1, iterations=1000))
OPEN = RunPlan(load=Poisson(100, seed=1), stop=Stop(duration_s=10))
QUIET = CpuUse(
    elapsed_s=10.0,
    cores=4.0,
    host_cpus=4,
    workers_s=9.0,
    conductor_s=0.05,
    run_s=9.2,
    host_busy_s=9.4,
    steal_s=0.0,
    involuntary_switches=20,
    quota_held_back_s=0.0,
    thermal_events=0,
    base_mhz=2400.0,
    seen_mhz=(3000.0, 2950.0, 3000.0, 2950.0),
    groups=(GroupUse("thread", 1, 9.0, 60_000),),
)


def histogram(values_ns: object) -> Histogram:
    found = Histogram()
    found.record(np.asarray(values_ns, np.int64))
    return found


def rows(completed: list[int], in_flight: list[int | None] | None = None) -> list[IntervalRow]:
    backlog = in_flight or [0] * len(completed)
    return [
        IntervalRow(float(number), 1.0, count, 0, MS, MS, waiting)
        for number, (count, waiting) in enumerate(zip(completed, backlog))
    ]


def result_of(open_loop: bool = False, **changes: object) -> RunResult:
    """A run of 10 s with 1,000 requests of 10 ms on a quiet machine: nothing is wrong with it."""
    service = histogram(np.full(1000, 10 * MS))
    plain = RunResult(
        completed=1000,
        errors_by_kind={},
        wall_s=10.0,
        response=service,
        service=service,
        lateness=histogram([]),
        intervals=rows([100] * 10),
        rates=[100.0] * 10,
        warmup=WarmUpResult(),
        planned=1000,
        first_ns=10 * MS,
        open_loop=open_loop,
        pool="thread",
        workers=1,
        clients=None if open_loop else 1,
        started_at=0.0,
        engine_cost=EngineCost(500.0, 80, 30_000),
        cpu=QUIET,
        pacing=histogram(np.full(400, 50_000)) if open_loop else None,
    )
    return replace(plain, **changes)


def codes(result: RunResult, plan: RunPlan | None = None) -> list[str]:
    return [
        caveat.code for caveat in caveats_of(result, plan or (OPEN if result.open_loop else CLOSED))
    ]


def cpu(**changes: object) -> CpuUse:
    return replace(QUIET, **changes)


@pytest.mark.parametrize("open_loop", [False, True])
def test_a_sound_run_has_none(open_loop):
    assert codes(result_of(open_loop)) == []


def test_what_is_not_known_is_not_judged():
    unknown = CpuUse(
        elapsed_s=10.0, cores=4.0, host_cpus=4, workers_s=9.0, conductor_s=0.1, groups=QUIET.groups
    )
    assert codes(result_of(cpu=unknown)) == []
    assert codes(result_of(cpu=None, engine_cost=None)) == []
    assert codes(result_of(open_loop=True, cpu=None, engine_cost=None, pacing=None)) == []


def test_a_run_that_completed_nothing_breaks_no_rule():
    empty = histogram([])
    nothing = result_of(
        completed=0, response=empty, service=empty, intervals=[], rates=[], wall_s=0.0
    )
    assert codes(nothing) == []
    assert codes(replace(nothing, open_loop=True, pacing=empty), OPEN) == []


@pytest.mark.parametrize(
    ("count", "percentiles", "expected"),
    [
        (299, (99.0,), []),
        (298, (99.0,), ["too_few_samples"]),
        (299, (99.0, 99.9), ["too_few_samples"]),
        (2995, (99.9,), []),
        (1, (50.0,), ["too_few_samples"]),
        (1, (), []),
    ],
)
def test_too_few_samples(count, percentiles, expected):
    result = result_of(response=histogram(np.full(count, 10 * MS)))
    assert codes(result, replace(CLOSED, percentiles=percentiles)) == expected


@pytest.mark.parametrize(("hours", "expected"), [(1.0, []), (1.3, ["out_of_range"])])
def test_response_times_that_no_percentile_holds_are_said(hours, expected):
    response = histogram([10 * MS] * 999 + [int(hours * 3.6e12)])
    assert codes(result_of(response=response)) == expected


def test_the_percentile_of_a_scenario_is_asked_for():
    plan = Server(rate_per_s=100, bound_s=0.1, percentile=99.9).plan()
    assert codes(result_of(open_loop=True), plan) == ["too_few_samples"]


def test_too_few_samples_says_how_many_it_takes():
    caveat = caveats_of(
        result_of(response=histogram([MS] * 100)), replace(CLOSED, percentiles=(50.0, 99.0, 99.9))
    )[0]
    assert "100 samples are too few for p99, p99.9" in caveat.text
    assert "2,995" in caveat.advice


def threads(
    workers: int, cores: float, wake_up_ns: int | None, kind: str = "thread"
) -> tuple[GroupUse, ...]:
    return (GroupUse(kind, workers, cores * 10.0, wake_up_ns),)


@pytest.mark.parametrize(
    ("groups", "changes", "expected"),
    [
        (threads(4, 1.0, 12 * MS), {}, ["gil_bound"]),
        (threads(4, 1.0, None), {}, ["gil_bound"]),
        (threads(4, 1.0, 300_000), {}, []),  # they wait for something else
        (threads(4, 1.9, 12 * MS), {}, []),  # they do run beside each other
        (threads(4, 0.5, 12 * MS), {}, []),
        (threads(1, 1.0, 12 * MS), {}, []),
        (threads(4, 1.0, 12 * MS, "process"), {}, []),
        (threads(4, 1.0, 12 * MS), {"cores": 1.0}, []),
        (threads(4, 1.0, 12 * MS), {"host_busy_s": 39.0, "run_s": 38.0}, []),  # no core was idle
        (threads(4, 1.0, 12 * MS), {"elapsed_s": 0.3}, []),
        (threads(1, 0.1, None) + threads(2, 1.1, 5 * MS), {}, ["gil_bound"]),
    ],
)
def test_gil_bound(groups, changes, expected):
    assert codes(result_of(cpu=cpu(groups=groups, **changes))) == expected


def test_gil_bound_advises_processes():
    caveat = caveats_of(result_of(cpu=cpu(groups=threads(4, 1.0, 12 * MS))), CLOSED)[0]
    assert "4 threads together used 1.0 cores" in str(caveat) and "process pool" in str(caveat)


@pytest.mark.parametrize(
    ("ns_per_request", "completed", "workers_s", "expected"),
    [
        (500, 17_000_000, 9.9, ["engine_bound"]),  # 85 % of a core
        (500, 15_000_000, 9.9, ["engine_cost"]),  # 75 % of a core
        (500, 6_000_000, 3.1, ["engine_bound"]),  # 30 %, but the worker got no more than that
        (500, 4_000_000, 2.1, ["engine_cost"]),  # a worker that mostly waits
    ],
)
def test_engine_bound(ns_per_request, completed, workers_s, expected):
    result = result_of(
        completed=completed,
        service=histogram(np.full(1000, 5_000)),
        engine_cost=EngineCost(ns_per_request, 80, 1),
        cpu=cpu(workers_s=workers_s),
    )
    assert codes(result) == expected


@pytest.mark.parametrize(
    ("service_ns", "cost", "open_loop", "expected"),
    [
        (20_000, EngineCost(500, 80, 1), False, []),
        (9_000, EngineCost(500, 80, 1), False, ["engine_cost"]),  # 5.3 % of the throughput
        (9_000, EngineCost(500, 80, 1), True, []),  # no throughput to lower
        (1_500, EngineCost(50, 80, 1), False, ["engine_cost"]),  # 5.3 % of the service time
        (1_500, EngineCost(50, 80, 1), True, ["engine_cost"]),
        (1_700, EngineCost(50, 80, 1), True, []),
    ],
)
def test_engine_cost(service_ns, cost, open_loop, expected):
    pacing = histogram(np.full(400, 10)) if open_loop else None
    result = result_of(
        open_loop, service=histogram(np.full(1000, service_ns)), engine_cost=cost, pacing=pacing
    )
    assert codes(result) == expected


@pytest.mark.parametrize(
    ("busy_s", "delayed_s", "expected"),
    [
        (7.9, 0.0, []),
        (8.1, 0.0, ["loop_bound"]),
        # others had the core for half of the time, in which the loop was busy too
        (4.1, 4.0, ["loop_bound"]),
        (4.0, 3.9, []),
    ],
)
def test_loop_bound(busy_s, delayed_s, expected):
    groups = (GroupUse("async", 1, 1.0), GroupUse("async", 1, busy_s, delayed_s=delayed_s))
    plan = replace(CLOSED, pool=Pool("async", workers=2))
    assert codes(result_of(cpu=cpu(groups=groups)), plan) == expected


@pytest.mark.parametrize(
    ("longest_ns", "service_ns", "expected"),
    [
        (999_999, 100_000, []),
        (MS, 100_000, ["collector"]),
        (5 * MS, 10 * MS, []),
        (6 * MS, 10 * MS, ["collector"]),
    ],
)
def test_collector(longest_ns, service_ns, expected):
    service = histogram(np.full(1000, service_ns))
    result = result_of(service=service, collections=2, longest_collection_ns=longest_ns)
    assert codes(result) == expected


@pytest.mark.parametrize(
    ("pacing", "expected"),
    [
        (np.full(400, 490_000), []),  # 4.9 % of 10 ms
        (np.full(400, 510_000), ["late_issue"]),
        (np.r_[np.full(397, 1_000), np.full(3, 9 * MS)], []),  # not the 99th percentile
        (np.r_[np.full(395, 1_000), np.full(5, 9 * MS)], ["late_issue"]),
        (
            np.r_[np.full(90, 1_000), np.full(10, 9 * MS)],
            ["late_issue"],
        ),  # too few for p99: p95 tells
        (np.full(20, 9 * MS), []),  # too few for any
    ],
)
def test_late_issue(pacing, expected):
    assert codes(result_of(open_loop=True, pacing=histogram(pacing))) == expected


def test_waiting_behind_others_is_load_and_not_lateness():
    result = result_of(open_loop=True, lateness=histogram(np.full(1000, 500 * MS)))
    assert codes(result) == []


@pytest.mark.parametrize(
    ("in_flight", "errors", "expected"),
    [
        ([12, 24, 36, 48, 60, 72, 84, 96, 108, 120], {}, ["overload"]),
        ([20, 40, 60, 80, 100, 120, 90, 60, 30, 0], {}, ["overload"]),  # then the drain
        ([9, 11, 8, 12, 10, 9, 11, 8, 12, 10], {}, []),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], {}, []),  # a handful
        ([4, 8, 12, 16, 20, 24, 28, 32, 36, 40], {}, ["behind"]),  # chance may do that
        ([0, 0, 0, 0, 0, 0, 0, 50, 100, 150], {}, ["overload"]),  # a last stage beyond the limit
        ([0, 0, 90, 40, 0, 0, 0, 0, 0, 0], {}, []),  # a stall that was made up for
        ([None] * 10, {}, []),
        ([0] * 10, {"not issued": 13}, []),
        ([0] * 10, {"not issued": 14}, ["overload"]),
        ([0] * 10, {"dropped": 400}, ["overload"]),
        ([0] * 10, {"cut off": 400}, ["overload"]),
        ([0] * 10, {"ValueError": 400}, []),
        ([50, 100], {}, []),  # two intervals cannot tell
    ],
)
def test_overload(in_flight, errors, expected):
    intervals = rows([100] * len(in_flight), in_flight)
    assert codes(result_of(open_loop=True, intervals=intervals, errors_by_kind=errors)) == expected


@pytest.mark.parametrize(
    ("in_flight", "wall_s", "expected"),
    [
        ([0, 0, 150, 300, 150, 0, 0, 0, 0, 0], 10.1, ["behind"]),  # a burst, made up for
        ([150] * 10, 10.5, ["behind"]),  # behind since its first second, and no further
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 200], 10.1, ["behind"]),  # a stall: 2,000/s worked it off
        ([0, 0, 0, 0, 0, 0, 0, 0, 100, 200], 12.0, ["overload"]),  # worked off as it came
    ],
)
def test_a_target_that_catches_up_was_behind(in_flight, wall_s, expected):
    found = result_of(True, intervals=rows([100] * 10, in_flight), offered_s=10.0, wall_s=wall_s)
    assert codes(found) == expected


def test_coroutines_that_wait_for_a_slow_service_are_no_backlog():
    """100 requests of 1.5 s fall due a second: 150 are in flight, however long it goes on."""
    plan = replace(OPEN, pool=Pool("async"))
    slow = histogram(np.full(1000, 1500 * MS))
    filling = rows([0, 50, 100, 100, 100, 100, 100, 100, 100, 100], [100, *[150] * 9])
    found = result_of(True, intervals=filling, service=slow, offered_s=10.0, wall_s=11.5)
    assert codes(found, plan) == []
    growing = rows([50] * 10, list(range(50, 550, 50)))
    found = result_of(True, intervals=growing, service=slow, offered_s=10.0, wall_s=20.0)
    assert "overload" in codes(found, plan)


def test_a_growing_backlog_is_nothing_in_closed_loop():
    assert codes(result_of(intervals=rows([100] * 10, list(range(10, 110, 10))))) == []


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 101, 99, 100, 100, 90, 91, 89, 90, 90], ["drift"]),
        ([90, 91, 89, 90, 90, 100, 101, 99, 100, 100], ["drift"]),
        ([100, 101, 99, 100, 100, 97, 98, 96, 97, 97], []),  # 3 %: real, and small
        ([100, 60, 140, 90, 110, 60, 130, 85, 95, 80], []),  # noise
        ([100, 100, 100, 90, 90, 90], []),  # too few to tell
    ],
)
def test_drift(rates, expected):
    assert codes(result_of(rates=rates)) == expected
    assert codes(result_of(open_loop=True, rates=rates)) == []


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (WarmUpResult(completed=3), []),
        (WarmUpResult(completed=2, errors=1), []),  # it raised, in time
        (WarmUpResult(completed=2, errors=2, timed_out=1), ["slow_warm_up"]),
    ],
)
def test_slow_warm_up(warmup, expected):
    assert codes(result_of(warmup=warmup)) == expected
    assert codes(result_of(open_loop=True, warmup=warmup)) == expected
    for caveat in caveats_of(result_of(warmup=warmup), replace(CLOSED, timeout_s=1.5)):
        assert "1 of 4 calls of the warm-up took longer than the timeout of 1.5 s" in caveat.text


def test_all_due_at_once_is_no_overload_and_may_drift():
    plan = RunPlan(load=AllAtOnce(1000))
    result = result_of(
        open_loop=True,
        intervals=rows([100] * 10, list(range(10, 110, 10))),
        errors_by_kind={"not issued": 500},
        rates=[100] * 5 + [80] * 5,
    )
    assert codes(result, plan) == ["drift"]


def test_drift_names_both_rates_and_the_direction():
    caveat = caveats_of(result_of(rates=[100] * 5 + [80] * 5), CLOSED)[0]
    assert "fell by 20%" in caveat.text and "100 to 80 queries/s" in caveat.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quota_held_back_s": 0.09}, []),
        ({"quota_held_back_s": 0.11}, ["throttled"]),
        ({"thermal_events": 1}, ["throttled"]),
        ({"seen_mhz": (3000.0, 2100.0)}, ["throttled"]),  # below nominal
        ({"seen_mhz": (3000.0, 2500.0)}, ["throttled"]),  # fell by more than a tenth
        ({"seen_mhz": (2500.0, 3000.0)}, []),  # woke up
        ({"seen_mhz": (2500.0,), "base_mhz": None}, []),
        ({"seen_mhz": (), "base_mhz": None}, []),
        ({"host_busy_s": 13.1}, []),  # 0.39 of 4 CPUs
        ({"host_busy_s": 13.4}, ["other_load"]),
        ({"host_busy_s": 8.0}, []),  # ticks that rounded the other way
        ({"host_busy_s": 30.0, "elapsed_s": 0.4}, []),
        ({"steal_s": 0.79}, []),
        ({"steal_s": 0.81}, ["steal"]),
        ({"involuntary_switches": 990}, []),
        ({"involuntary_switches": 1010}, ["preempted"]),
    ],
)
def test_the_machine(changes, expected):
    assert codes(result_of(cpu=cpu(**changes))) == expected


def test_every_caveat_has_words_and_advice_of_one_line():
    worst = result_of(
        open_loop=False,
        completed=17_000_000,
        response=histogram([5_000]),
        service=histogram(np.full(1000, 5_000)),
        rates=[100] * 5 + [50] * 5,
        cpu=cpu(
            groups=threads(4, 1.0, 12 * MS) + (GroupUse("async", 1, 9.0),),
            steal_s=4.0,
            host_busy_s=30.0,
            thermal_events=3,
            involuntary_switches=100_000,
        ),
    )
    found = caveats_of(worst, CLOSED)
    assert len(found) == 9 and len({caveat.code for caveat in found}) == 9
    for caveat in found:
        assert caveat.text and caveat.advice and "\n" not in str(caveat)
        assert str(caveat).startswith(caveat.text) and str(caveat).endswith(caveat.advice)


def test_codes_and_sentences_of_a_result_go_together():
    result = result_of(cpu=cpu(steal_s=4.0))
    result.caveats = caveats_of(result, CLOSED)
    assert result.warning_codes == result.to_dict()["warning_codes"] == ["steal"]
    assert len(RULES) == len(Doubt)


def test_a_cap_that_held_requests_back_is_said_with_how_many_and_how_long():
    plan = RunPlan(Poisson(100), Stop(duration_s=10), Pool("async", max_in_flight=4))
    result = result_of(completed=1_000, open_loop=True)
    result.counts = {"held back": 250, "ms held back in all": 1_000}
    found = held_back(result, plan)
    assert found is not None and found.code == "held_back"
    assert found.text.startswith(
        "250 of 1,000 requests waited for one of 4 places, 4 ms on average"
    )
    result.counts["held back"] = 9
    assert held_back(result, plan) is None
    result.counts = {}
    assert held_back(result, plan) is None
