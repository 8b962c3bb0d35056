"""Closed loop: exact counts, whatever the target raises, on the real engine; times on a virtual
clock.
"""

from __future__ import annotations

import threading

import pytest

from qs.engine import ClosedLoop, Pool, RunPlan, Stop, Target, run
from tests.fakes import MS, Counter, Nth, S, Service, VirtualClock, nothing

NO_STOP = Stop()


def inline(load: ClosedLoop, stop: Stop = NO_STOP, **options) -> RunPlan:
    return RunPlan(load, stop, Pool("inline"), **options)


# -- counts


@pytest.mark.parametrize("clients", [1, 3])
@pytest.mark.parametrize("iterations", [1, 7, 20_000])
def test_every_client_makes_its_iterations(clients, iterations):
    target = Counter()
    result = run(RunPlan(ClosedLoop(clients, iterations)), target, samples=["a", "b", "c"])
    assert (result.completed, result.errors, result.planned) == (clients * iterations,) * 1 + (
        0,
        clients * iterations,
    )
    assert len(target.seen) == clients * iterations
    assert result.response.count == result.service.count == clients * iterations
    assert result.lateness.count == 0
    assert result.verdict == "VALID", result.reasons
    assert (result.clients, result.ended_by) == (clients, "plan")


@pytest.mark.parametrize(
    ("clients", "each", "total", "expected"),
    [(3, None, 10, 10), (3, 5, 10, 10), (3, 2, 10, 6), (4, None, 2, 2), (1, None, 5, 5)],
)
def test_a_total_is_split_over_the_clients(clients, each, total, expected):
    by_thread: dict[int, int] = {}

    def target(sample):
        me = threading.get_ident()
        by_thread[me] = by_thread.get(me, 0) + 1

    result = run(RunPlan(ClosedLoop(clients, each), Stop(iterations=total)), target)
    assert result.completed == expected
    shares = sorted(by_thread.values())
    assert sum(shares) == expected
    assert shares[-1] - shares[0] <= 1


def test_samples_are_cycled_and_workers_begin_at_different_ones():
    target = Counter()
    run(inline(ClosedLoop(iterations=7)), target, samples=["a", "b", "c"])
    assert target.seen == ["a", "b", "c", "a", "b", "c", "a"]
    first = Counter()
    run(RunPlan(ClosedLoop(clients=3, iterations=1)), first, samples=["a", "b", "c"])
    assert sorted(first.seen) == ["a", "b", "c"]


def test_samples_that_the_target_carries_and_none_at_all():
    target = Counter()
    target.samples = [1, 2]
    run(inline(ClosedLoop(iterations=3)), target)
    assert target.seen == [1, 2, 1]
    assert run(inline(ClosedLoop(iterations=3)), target, samples=["given"]).completed == 3
    assert target.seen[3:] == ["given"] * 3
    bare = Counter()
    run(inline(ClosedLoop(iterations=2)), bare)
    assert bare.seen == [None, None]


# -- faults


@pytest.mark.parametrize("kind", ["thread", "inline"])
@pytest.mark.parametrize("raised", ["StopIteration", "SystemExit", "ValueError", "GeneratorExit"])
def test_whatever_a_target_raises_is_counted_by_kind(kind, raised):
    result = run(RunPlan(ClosedLoop(iterations=50), pool=Pool(kind)), Nth(20, raised))
    assert (result.completed, result.errors_by_kind) == (49, {raised: 1})
    assert result.response.count == 49
    assert result.verdict == "INVALID"
    assert f"1 {raised}" in " ".join(result.reasons)


@pytest.mark.parametrize("raised", ["StopIteration", "RuntimeError"])
@pytest.mark.parametrize("nth", [1, 50])
def test_the_first_and_the_last_request_may_fail(raised, nth):
    result = run(inline(ClosedLoop(iterations=50)), Nth(nth, raised))
    assert (result.completed, result.errors_by_kind) == (49, {raised: 1})


def test_a_target_that_fails_from_its_seventh_call_on():
    result = run(inline(ClosedLoop(iterations=100)), Nth(7, "RuntimeError", onward=True))
    assert (result.completed, result.errors_by_kind) == (6, {"RuntimeError": 94})
    assert "RuntimeError: as asked" in result.first_fault
    assert "misbehave" in result.first_fault


def test_a_target_that_always_fails():
    result = run(RunPlan(ClosedLoop(clients=2, iterations=10)), Nth(1, "ValueError", onward=True))
    assert (result.completed, result.errors_by_kind) == (0, {"ValueError": 20})
    assert result.response.count == 0
    assert "no request completed" in result.reasons
    assert result.to_dict()["response"]["p50_ns"] is None


def test_an_interrupt_that_a_target_raises_in_its_thread_is_a_failed_request():
    """It ended the worker without a word: half the requests were never made and the verdict was
    VALID.
    """
    result = run(RunPlan(ClosedLoop(clients=2, iterations=10)), Nth(3, "KeyboardInterrupt"))
    assert (result.completed, result.errors_by_kind) == (19, {"KeyboardInterrupt": 1})


def test_every_request_is_in_the_intervals_failed_or_not():
    clock = VirtualClock()
    service = Service(clock, 30 * MS)
    faulty = Nth(40, "ValueError", onward=True)

    def target(sample):
        service(sample)
        faulty(sample)

    result = run(inline(ClosedLoop(iterations=200)), target, clock=clock)
    assert sum(row.completed for row in result.intervals) == result.completed == 39
    assert sum(row.errors for row in result.intervals) == 161
    assert [row.completed + row.errors for row in result.intervals[:5]] == [33, 33, 33, 34, 33]


# -- time


def test_service_times_are_exact_on_a_virtual_clock():
    clock = VirtualClock()
    result = run(inline(ClosedLoop(iterations=1_000)), Service(clock, 3 * MS), clock=clock)
    assert (result.service.min_ns, result.service.max_ns, result.service.sum_ns) == (
        3 * MS,
        3 * MS,
        3 * S,
    )
    assert result.response.percentile_ns(99) == 3 * MS
    assert result.wall_s == 3.0
    assert result.queries_per_s == pytest.approx(1_000 / 3)


def test_duration_ends_the_run_and_the_last_request_may_end_after_it():
    clock = VirtualClock()
    result = run(inline(ClosedLoop(), Stop(duration_s=1.0)), Service(clock, 300 * MS), clock=clock)
    assert result.completed == 4
    assert result.wall_s == pytest.approx(1.2)
    assert result.ended_by == "duration"


def test_a_time_limit_ends_the_run_with_what_it_has_and_says_so():
    clock = VirtualClock()
    plan = inline(ClosedLoop(iterations=1_000_000), Stop(duration_s=20, max_duration_s=2))
    result = run(plan, Service(clock, MS), clock=clock)
    assert (result.completed, result.ended_by) == (2_000, "time limit")


def test_a_run_that_ends_by_its_iterations_was_not_ended_by_time():
    clock = VirtualClock()
    plan = inline(ClosedLoop(iterations=10), Stop(max_duration_s=2))
    assert run(plan, Service(clock, MS), clock=clock).ended_by == "plan"


def test_a_time_limit_is_named_though_the_last_requests_failed():
    clock = VirtualClock()
    service = Service(clock, 100 * MS)
    faulty = Nth(3, "ValueError", onward=True)

    def target(sample):
        service(sample)
        faulty(sample)

    result = run(inline(ClosedLoop(iterations=1_000), Stop(max_duration_s=1)), target, clock=clock)
    assert (result.completed, result.errors, result.ended_by) == (2, 8, "time limit")


def test_think_time_is_between_requests_and_in_none():
    clock = VirtualClock()
    target = Service(clock, 10 * MS)
    result = run(inline(ClosedLoop(iterations=5, think_time_s=0.09)), target, clock=clock)
    assert (result.completed, result.service.max_ns, result.wall_s) == (5, 10 * MS, 0.5)


def test_a_client_that_thinks_past_the_end_makes_no_more_requests():
    """It slept on and then issued one more, after the duration."""
    clock = VirtualClock()
    plan = inline(ClosedLoop(think_time_s=0.4), Stop(duration_s=1.0))
    target = Service(clock, 10 * MS)
    result = run(plan, target, clock=clock)
    assert (result.completed, target.calls) == (2, 2)
    assert clock.now_ns() - target.began_ns <= S


def test_thinking_is_not_hanging():
    plan = RunPlan(ClosedLoop(iterations=2, think_time_s=0.8), timeout_s=0.3)
    result = run(plan, nothing)
    assert (result.completed, result.errors_by_kind) == (2, {})


def test_a_thinking_client_can_be_stopped():
    plan = RunPlan(ClosedLoop(clients=2, think_time_s=1_000), Stop(duration_s=0.3))
    assert run(plan, nothing).completed == 0


def test_warm_up_is_apart():
    clock = VirtualClock()
    target = Service(clock, 10 * MS, stall_at_ns=0, stall_ns=5 * S)
    result = run(inline(ClosedLoop(iterations=10), warmup_iterations=4), target, clock=clock)
    assert target.calls == 14
    assert (result.completed, result.service.max_ns, result.wall_s) == (10, 10 * MS, 0.1)
    assert (result.warmup.completed, result.warmup.errors) == (4, 0)
    assert result.warmup.wall_s == pytest.approx(5.04)
    assert result.first_ns == 5 * S + 10 * MS


def test_warm_up_goes_on_until_its_time():
    clock = VirtualClock()
    result = run(
        inline(ClosedLoop(iterations=1), warmup_s=1.0), Service(clock, 100 * MS), clock=clock
    )
    assert result.warmup.completed == 10


def test_what_fails_in_warm_up_is_counted_there():
    result = run(inline(ClosedLoop(iterations=5), warmup_iterations=3), Nth(1, "ValueError"))
    assert (result.completed, result.errors) == (5, 0)
    assert (result.warmup.completed, result.warmup.errors) == (2, 1)


@pytest.mark.parametrize(("stall_ns", "late"), [(4 * S, 0), (5 * S, 1)])
def test_a_warm_up_call_over_the_timeout_is_a_doubt(stall_ns, late):
    clock = VirtualClock()
    target = Service(clock, 10 * MS, stall_at_ns=0, stall_ns=stall_ns)
    plan = inline(ClosedLoop(iterations=10), warmup_iterations=4, timeout_s=4.5)
    result = run(plan, target, clock=clock)
    assert (result.completed, result.errors, result.verdict) == (10, 0, "VALID")
    assert (result.warmup.errors, result.warmup.timed_out) == (late, late)
    assert ("slow_warm_up" in result.warning_codes) is bool(late)


def test_columns_are_every_request():
    clock = VirtualClock()
    result = run(
        inline(ClosedLoop(iterations=40_000)), Service(clock, 1_000), clock=clock, keep_columns=True
    )
    columns = result.columns
    assert len(columns["issued_ns"]) == 40_000
    assert ((columns["completed_ns"] - columns["issued_ns"]) == 1_000).all()


def test_minimums_end_a_run_that_has_no_other_end():
    plan = RunPlan(ClosedLoop(clients=2), Stop(min_duration_s=0.2, min_queries=50))
    result = run(plan, Nth(0, "", pause_s=0.001))
    assert result.completed >= 50
    assert result.wall_s >= 0.15
    assert result.verdict == "VALID", result.reasons


def test_a_target_may_be_an_object_of_our_own():
    told, seen = [], Counter()
    target = Target(seen, ["a", "b"], lambda: told.append("begin"), lambda: told.append("end"))
    assert run(inline(ClosedLoop(iterations=3)), target).completed == 3
    assert (seen.seen, told) == (["a", "b", "a"], ["begin", "end"])
    assert run(inline(ClosedLoop(iterations=1)), target, samples=["given"]).completed == 1
    assert seen.seen[3:] == ["given"]


def test_a_target_of_our_own_may_be_a_coroutine_function():
    async def call(sample):
        return sample

    result = run(RunPlan(ClosedLoop(2, 5), pool=Pool("async")), Target(call, [1, 2]))
    assert (result.completed, result.errors) == (10, 0)


@pytest.mark.parametrize("kind", ["inline", "thread"])
def test_a_target_is_told_when_measuring_begins_and_ends(kind):
    told = []

    def target(sample):
        told.append("call")

    target.begin_measuring = lambda: told.append("begin")
    target.end_measuring = lambda: told.append("end")
    run(RunPlan(load=ClosedLoop(1, 3), pool=Pool(kind), warmup_iterations=2), target)
    assert told == ["call", "call", "begin", "call", "call", "call", "end"]
