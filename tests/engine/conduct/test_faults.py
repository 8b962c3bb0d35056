"""Runs in which something goes wrong: every fault is counted by kind, the run ends in bounded time
with what it measured.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from qs.engine import (
    ChildHost,
    ClosedLoop,
    ConstantRate,
    ErrorKind,
    Factory,
    HostDied,
    HostError,
    HostTimeout,
    LocalHost,
    Loss,
    PlanError,
    Pool,
    RunPlan,
    Stop,
    run,
    run_async,
)
from tests.engine.hosts.test_child_host import gone
from tests.fakes import Nth, nothing

PAUSE = {"pause_s": 0.001}


def nth(**options) -> Factory:
    return Factory("tests.fakes:make_nth", options)


def timed(*arguments, **options):
    """A run and how long it took, in seconds."""
    began = time.monotonic()
    result = run(*arguments, **options)
    return result, time.monotonic() - began


# -- a target that hangs


def test_a_hung_thread_is_abandoned_named_and_what_it_measured_stays():
    plan = RunPlan(ClosedLoop(iterations=100), timeout_s=0.2)
    result, took = timed(plan, Nth(50, "hang"))
    assert took < 20
    assert (result.completed, result.errors_by_kind) == (49, {"hung": 1, "not issued": 50})
    assert result.response.count == 49
    assert any("worker 0 " in warning for warning in result.warnings), result.warnings
    assert result.losses == [Loss(ErrorKind.HUNG, process=0, worker=0)]
    assert result.verdict == "INVALID"


def test_a_hung_thread_does_not_stop_the_others():
    """All were abandoned with it, and named as hung though they were not."""
    targets = iter([Nth(5, "hang"), Nth(0, "", **PAUSE), Nth(0, "", **PAUSE)])
    host = LocalHost(Factory("tests.fakes:Thing"))

    class Maker:
        def make(self, instance):
            return next(targets)

    host.object = Maker()

    async def inside():
        plan = RunPlan(ClosedLoop(clients=3, iterations=1_200), timeout_s=0.5)
        return await run_async(plan, host.target("make"))

    result = asyncio.run(inside())
    assert (result.completed, result.errors_by_kind) == (2_404, {"hung": 1, "not issued": 1_195})
    named = [warning for warning in result.warnings if "did not come back" in warning]
    assert len(named) == 1
    assert named[0].split(" did not")[0] in ("worker 0", "worker 1", "worker 2")


def test_a_hung_thread_of_an_open_loop_leaves_the_line_to_the_others():
    plan = RunPlan(
        ConstantRate(500), Stop(duration_s=1.0), Pool("thread", workers=2), timeout_s=0.5
    )
    result, took = timed(plan, Nth(50, "hang"))
    assert took < 20
    assert (result.completed, result.errors_by_kind) == (499, {"hung": 1})


@pytest.mark.parametrize(
    "what", ["hang", pytest.param("hang with the GIL", marks=pytest.mark.slow)]
)
def test_a_hung_process_is_ended_and_what_it_measured_stays(what):
    plan = RunPlan(
        ClosedLoop(clients=2, iterations=200), pool=Pool("process"), timeout_s=0.3, drain_s=1
    )
    result, took = timed(plan, nth(nth=150, what=what, **PAUSE))
    assert took < 30
    assert result.errors_by_kind["hung"] == 2
    assert result.completed >= 298
    assert result.completed == result.response.count


def test_a_hung_thread_in_a_child_leaves_the_other_threads_counts():
    async def inside():
        async with ChildHost(Factory("tests.fakes:Thing")) as host:
            plan = RunPlan(ClosedLoop(clients=2, iterations=30), timeout_s=0.3)
            result = await run_async(plan, host.target("make", nth=20, what="hang", **PAUSE))
            return result, host.pid

    result, pid = asyncio.run(inside())
    assert result.completed == 38
    assert result.errors_by_kind == {"hung": 2, "not issued": 20}
    assert gone(pid)


def test_a_hang_in_warm_up_is_a_timeout():
    plan = RunPlan(ClosedLoop(iterations=10), warmup_iterations=10, timeout_s=0.2)
    with pytest.raises(HostTimeout):
        timed(plan, Nth(3, "hang"))


@pytest.mark.parametrize("kind", ["thread", pytest.param("process", marks=pytest.mark.slow)])
def test_a_hang_in_building_is_a_timeout(kind):
    plan = RunPlan(ClosedLoop(iterations=10), pool=Pool(kind), build_timeout_s=1.0)
    began = time.monotonic()
    with pytest.raises(HostTimeout):
        run(plan, Factory("tests.fakes:Broken", {"what": "hang"}))
    assert time.monotonic() - began < 20


# -- a target that cannot be built


@pytest.mark.parametrize(
    ("kind", "what"), [("inline", "ValueError"), ("thread", "ValueError"), ("thread", "SystemExit")]
)
def test_a_target_that_cannot_be_built_is_a_host_error(kind, what):
    with pytest.raises(HostError) as caught:
        run(
            RunPlan(ClosedLoop(iterations=1), pool=Pool(kind)),
            Factory("tests.fakes:Broken", {"what": what}),
        )
    assert caught.value.kind == what
    assert "in misbehave" in caught.value.traceback


def test_an_interrupt_raised_while_building_is_a_host_error():
    """In a thread it passed for a target that was built."""
    with pytest.raises(HostError) as caught:
        run(
            RunPlan(ClosedLoop(iterations=1)),
            Factory("tests.fakes:Broken", {"what": "KeyboardInterrupt"}),
        )
    assert caught.value.kind == "KeyboardInterrupt"


@pytest.mark.parametrize("kind", ["inline", "thread"])
def test_what_is_no_target_is_a_fault_of_the_plan(kind):
    with pytest.raises(PlanError, match="cannot be called"):
        run(RunPlan(ClosedLoop(iterations=1), pool=Pool(kind)), 5)


def test_a_process_that_dies_while_building_is_a_host_died():
    with pytest.raises(HostDied, match="exit status 3"):
        run(
            RunPlan(ClosedLoop(clients=2, iterations=1), pool=Pool("process")),
            Factory("tests.fakes:Broken", {"what": "exit"}),
        )


# -- a process that dies


@pytest.mark.parametrize(
    "what", ["crash", *(pytest.param(what, marks=pytest.mark.slow) for what in ("exit", "kill"))]
)
def test_a_process_that_dies_in_mid_run_leaves_what_it_measured(what, tmp_path):
    """One of two dies at its 60th call, once: the other goes on, the lost one is replaced, one
    request is lost.
    """
    plan = RunPlan(ClosedLoop(clients=2, iterations=150), pool=Pool("process"))
    target = Factory(
        "tests.fakes:make_nth_in_one_instance",
        {"instance_file": str(tmp_path / "first"), "nth": 60, "what": what, **PAUSE},
    )
    result, took = timed(plan, target)
    assert took < 30
    assert (result.completed, result.errors_by_kind) == (299, {"died": 1})
    assert result.response.count == 299
    how, status, signal = {
        "exit": ("exit status 3", 3, None),
        "crash": ("signal SIGSEGV", None, "SIGSEGV"),
        "kill": ("signal SIGKILL", None, "SIGKILL"),
    }[what]
    assert any(how in warning for warning in result.warnings), result.warnings
    (loss,) = result.losses
    assert (loss.kind, loss.exit, loss.status, loss.signal) == (
        ErrorKind.DIED,
        how,
        status,
        signal,
    )
    assert result.verdict == "INVALID"


def test_a_process_that_dies_in_open_loop_leaves_every_due_time_accounted_for(tmp_path):
    plan = RunPlan(ConstantRate(200), Stop(iterations=200), Pool("process", workers=2))
    target = Factory(
        "tests.fakes:make_nth_in_one_instance",
        {"instance_file": str(tmp_path / "first"), "nth": 30, "what": "kill", **PAUSE},
    )
    result, took = timed(plan, target)
    assert took < 30
    assert (result.completed, result.errors_by_kind) == (199, {"died": 1})


@pytest.mark.slow
def test_a_target_that_always_kills_its_process_does_not_run_for_ever():
    plan = RunPlan(ClosedLoop(iterations=1_000), pool=Pool("process"))
    result, took = timed(plan, nth(nth=3, what="kill"))
    assert took < 40
    assert result.errors_by_kind["died"] >= 1
    assert result.completed == 2 * result.errors_by_kind["died"]


@pytest.mark.slow
def test_failures_before_a_death_are_not_counted_as_answers(tmp_path):
    """The rows of failed requests that a killed worker had not counted were taken for answers."""
    plan = RunPlan(ConstantRate(1_000), Stop(iterations=100), Pool("process", workers=1))
    result = run(plan, Factory("tests.engine.conduct.test_faults:fails_then_dies"))
    errors = result.errors_by_kind
    assert result.completed + result.errors == 100
    assert errors["died"] >= 1
    assert result.completed == result.response.count == 5 * errors["died"]


def fails_then_dies():
    """A target: five answers, five faults, then the end of the process."""
    raising, dying = Nth(6, "ValueError", onward=True), Nth(11, "kill")

    def target(sample):
        dying(sample)
        raising(sample)

    return target


@pytest.mark.slow
def test_a_child_host_that_dies_in_a_run_leaves_what_was_measured():
    async def inside():
        async with ChildHost(Factory("tests.fakes:Thing")) as host:
            plan = RunPlan(ClosedLoop(iterations=100))
            result = await run_async(plan, host.target("make", nth=40, what="kill", **PAUSE))
            with pytest.raises(HostDied):
                await host.call("say")
            return result

    result = asyncio.run(inside())
    assert (result.completed, result.errors_by_kind) == (39, {"died": 1, "not issued": 60})


# -- what works, in every place


@pytest.mark.parametrize("kind", ["inline", "thread"])
def test_a_host_s_target_runs_in_the_host(kind):
    async def inside():
        async with ChildHost(Factory("tests.fakes:Thing", {"word": "w"})) as host:
            plan = RunPlan(ClosedLoop(iterations=500), pool=Pool(kind), warmup_iterations=5)
            first = await run_async(plan, host.target("make"))
            assert await host.call("say") == "w"
            second = await run_async(
                plan, host.target("make", nth=7, what="RuntimeError", onward=True)
            )
            return first, second

    first, second = asyncio.run(inside())
    assert (first.completed, first.errors, first.warmup.completed) == (500, 0, 5)
    assert first.verdict == "VALID", first.reasons
    assert (second.completed, second.errors_by_kind) == (
        0,
        {"RuntimeError": 500},
    ) or second.completed <= 2
    assert "as asked" in second.first_fault


def test_a_host_s_target_over_processes_is_made_in_each():
    """The hosts of a process pool were started without their object."""

    async def inside():
        async with ChildHost(Factory("tests.fakes:Thing", {"word": "w"})) as host:
            plan = RunPlan(ClosedLoop(clients=2, iterations=50), pool=Pool("process"))
            return await run_async(plan, host.target("make"))

    result = asyncio.run(inside())
    assert (result.completed, result.errors) == (100, 0)


def test_samples_reach_processes_and_an_answer_may_be_anything():
    plan = RunPlan(ClosedLoop(clients=2, iterations=20), pool=Pool("process"))
    import numpy as np

    result = run(
        plan,
        Factory("tests.engine.conduct.test_faults:checks_samples"),
        samples=[{"x": np.arange(4)}, {"x": np.ones(4)}],
    )
    assert (result.completed, result.errors_by_kind) == (40, {})


def checks_samples():
    def target(sample):
        assert set(sample) == {"x"}
        assert len(sample["x"]) == 4
        return lambda: None

    return target


@pytest.mark.slow
def test_a_function_of_a_module_can_go_to_processes():
    result = run(RunPlan(ClosedLoop(clients=2, iterations=10), pool=Pool("process")), nothing)
    assert result.completed == 20


@pytest.mark.slow
def test_four_clients_in_two_processes():
    plan = RunPlan(ClosedLoop(clients=4, iterations=25), pool=Pool("process", workers=2))
    result = run(plan, Factory("tests.fakes:make_nothing"))
    assert (result.completed, result.errors, result.clients) == (100, 0, 4)
