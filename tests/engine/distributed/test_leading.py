from __future__ import annotations

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    Batching,
    Bound,
    ClosedLoop,
    ConstantRate,
    Doubt,
    Ending,
    Factory,
    Measure,
    Offline,
    PlanError,
    Poisson,
    Pool,
    RunPlan,
    Server,
    Sessions,
    SingleStream,
    Stop,
)
from tests.fakes import ThreeTurns
from tests.networks import shifted_s
from tests.nodes_here import NodesHere

NOTHING = Factory("tests.fakes:make_nothing")


@pytest.fixture(scope="module")
def two():
    with NodesHere(2) as nodes:
        yield nodes


def planned_of(result):
    """The due times of all requests as they were planned: without the moments by which nodes began
    beside the common start.
    """
    due, node = result.columns["due_ns"], result.columns["node"]
    beside = np.array([part.result.start_ns - result.start_ns for part in result.nodes])
    assert np.all(np.abs(beside) < 5_000_000)
    return np.sort(due - beside[node])


def test_clients_are_split_and_each_makes_its_iterations(two):
    plan = RunPlan(load=ClosedLoop(clients=3, iterations=50), pool=Pool("thread"))
    result = two.run(plan, NOTHING)
    assert (result.completed, result.planned, result.verdict) == (150, 150, "VALID")
    assert [part.result.completed for part in result.nodes] == [100, 50]
    assert [part.share for part in result.nodes] == ["clients 1 to 2 of 3", "client 3 of 3"]
    assert (result.clients, result.workers, result.ended_by) == (3, 3, Ending.PLAN)


def test_a_constant_rate_has_neither_a_gap_nor_a_double(two):
    plan = RunPlan(load=ConstantRate(500), stop=Stop(duration_s=0.6))
    result = two.run(plan, NOTHING, keep_columns=True)
    assert planned_of(result).tolist() == [2_000_000 * number for number in range(300)]
    assert sorted(set(result.columns["node"].tolist())) == [0, 1]
    assert result.completed == 300 and result.verdict == "VALID"
    assert {Doubt.NODES_TOGETHER} <= {caveat.code for caveat in result.caveats}


def test_every_node_begins_at_the_common_start(two):
    plan = RunPlan(load=ConstantRate(200), stop=Stop(duration_s=0.3))
    for _ in range(5):  # a busy machine lets processes wait
        result = two.run(plan, NOTHING)
        skews = [part.start_skew_ns for part in result.nodes]
        known = [part.clock.uncertainty_ns for part in result.nodes]
        # One clock: what is told of it is what it is, give or take what it says.
        assert all(abs(part.clock.offset_ns) <= part.clock.uncertainty_ns for part in result.nodes)
        if all(-bound <= skew <= 5_000_000 for skew, bound in zip(skews, known)):
            return
    pytest.fail(f"they began {skews} ns late")


def test_iterations_of_a_poisson_process_are_those_of_the_whole(two):
    plan = RunPlan(load=Poisson(2_000, seed=3), stop=Stop(iterations=400))
    result = two.run(plan, NOTHING, keep_columns=True)
    assert result.completed == 400
    expected = np.sort(
        np.concatenate(
            [
                np.concatenate([block for _, block in zip(range(3), shard.blocks())])
                for shard in (plan.load.shard(0, 2), plan.load.shard(1, 2))
            ]
        )
    )[:400]
    assert planned_of(result).tolist() == expected.tolist()


def test_the_error_budget_is_that_of_the_whole(two):
    target = Factory("tests.fakes:make_nth", {"nth": 1, "what": "ValueError", "onward": True})
    plan = RunPlan(load=ConstantRate(100), stop=Stop(duration_s=30, max_errors=10))
    led = []
    for _ in range(3):  # a busy machine lets processes wait
        result = two.run(plan, target, on_progress=lambda _: led.append(two.nodes._leading))
        assert result.ended_by is Ending.ERROR_BUDGET
        assert result.wall_s < 15 and result.errors > 10
        assert result.verdict == "INVALID"
        # What the driver decides reaches every node within half a second.
        ended = [part.result.start_ns + int(part.result.wall_s * 1e9) for part in result.nodes]
        late_s = max(ended) / 1e9 - led[-1].ended.at_ns / 1e9
        if late_s < 0.5:
            return
    pytest.fail(f"a node went on for {late_s} s")


def test_minimums_are_those_of_the_whole(two):
    plan = RunPlan(load=Poisson(500, seed=1), stop=Stop(min_duration_s=0.5, min_queries=300))
    result = two.run(plan, NOTHING)
    assert result.ended_by is Ending.MINIMUMS and result.verdict == "VALID"
    assert result.completed >= 300


def test_progress_is_that_of_the_whole(two):
    seen = []
    plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=2.5))
    two.run(plan, NOTHING, on_progress=seen.append)
    assert [len(each.nodes) for each in seen] == [2] * len(seen)
    last = seen[-1]
    assert last.completed == sum(each.completed for each in last.nodes) > 0
    assert last.planned is None and last.errors == 0
    rates = [each.queries_per_s for each in seen if each.elapsed_s > 1.5]
    assert rates and all(300 < rate < 450 for rate in rates)
    assert any(each.p99_ns for each in seen)


def test_what_means_one_stream_is_refused_with_the_reason(two):
    with pytest.raises(PlanError, match="SingleStream is not allowed over 2 nodes"):
        two.run(SingleStream(), NOTHING)
    with pytest.raises(PlanError, match="on_loss: 'perhaps' is not allowed"):
        two.run(RunPlan(load=ClosedLoop(2, 10)), NOTHING, on_loss="perhaps")


def test_a_fault_of_a_node_names_it(two):
    from qs.engine import HostError

    plan = RunPlan(load=ClosedLoop(2, 10))
    with pytest.raises(HostError, match=r"ValueError: on node .*as asked"):
        two.run(plan, Factory("tests.fakes:Broken", {"what": "ValueError"}), on_loss="stop")
    # And the nodes are there for the next run.
    assert two.run(plan, NOTHING).verdict == "VALID"


@pytest.mark.slow
def test_server_and_offline_are_judged_on_the_whole(two):
    served = two.run(Server(rate_per_s=200, bound_s=0.5, min_duration_s=2, seed=1), NOTHING)
    assert served.scenario == "Server"
    assert {rule.name for rule in served.rules if not rule.passed} <= {"early stopping"}
    assert served.metric.value == pytest.approx(200, rel=0.25)
    offline = two.run(Offline(min_samples=5_000, min_duration_s=0.01), NOTHING)
    assert (offline.scenario, offline.completed) == ("Offline", 5_000)
    assert offline.metric.unit == "samples/s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "target", "samples"),
    [
        (
            RunPlan(
                load=Poisson(1_000, seed=2),
                stop=Stop(duration_s=1),
                batching=Batching(8, max_delay_us=2_000),
            ),
            Factory("tests.fakes:make_nothing"),
            [np.ones((1, 4))],
        ),
        (
            RunPlan(load=ClosedLoop(clients=4, iterations=100), pool=Pool("async")),
            Factory("tests.fakes:StartedTarget", {"pause_s": 0.001}),
            [1, 2, 3],
        ),
        (
            RunPlan(load=ClosedLoop(clients=4, iterations=50), pool=Pool("process")),
            NOTHING,
            [1, 2],
        ),
        (RunPlan(load=AllAtOnce(1_000)), NOTHING, [1]),
        (
            RunPlan(load=Sessions(users=4), stop=Stop(iterations=101), pool=Pool("async")),
            Factory("tests.fakes:StartedTarget", {"pause_s": 0.001}),
            [ThreeTurns()],
        ),
    ],
)
def test_other_kinds_of_plans(two, plan, target, samples):
    result = two.run(plan, target, samples)
    assert result.verdict == "VALID", result.reasons
    assert result.completed == sum(part.result.completed for part in result.nodes) > 0
    if plan.planned is not None:
        assert result.completed == plan.planned


@pytest.mark.slow
def test_measures_are_those_of_the_whole(two):
    plan = RunPlan(
        load=Poisson(400, seed=5),
        stop=Stop(duration_s=1),
        pool=Pool("async"),
        measures=(Measure("took"), Measure("number", unit=""), Measure("gap", many=True)),
        bounds=(Bound("response", 1_000_000_000),),
        sample_requests=50,
    )
    result = two.run(plan, Factory("tests.fakes:ReadTarget", {"pause_s": 0.001}))
    assert result.verdict == "VALID", result.reasons
    assert result.measures["took"].histogram.count == result.completed == result.good > 200
    assert result.measures["gap"].histogram.count == 3 * result.completed
    assert result.outcomes == {"stop": result.completed} and result.unread == 0
    assert set(result.sampled["node"].tolist()) == {0, 1}


@pytest.mark.slow
def test_until_stable_looks_at_the_whole(two):
    target = Factory("tests.fakes:make_nth", {"nth": 0, "what": "", "pause_s": 0.002})
    stop = Stop(until_known=0.2, max_duration_s=60)
    result = two.run(RunPlan(load=ClosedLoop(clients=2), stop=stop), target)
    assert result.ended_by is Ending.STABLE
    assert result.confidence.throughput.relative <= 0.2


@pytest.mark.slow
def test_a_clock_that_is_far_off_is_found_and_the_start_is_common():
    off_s = 3_000
    with NodesHere(2, prefixes=[(), shifted_s(off_s)]) as here:
        plan = RunPlan(load=ConstantRate(200), stop=Stop(duration_s=1.5))
        for _ in range(3):  # a busy machine delays round trips, and starts
            result = here.run(plan, NOTHING, keep_columns=True)
            assert result.verdict == "VALID" and result.completed == 300
            near, far = result.nodes
            error_ns = abs(far.clock.offset_ns - off_s * 1_000_000_000)
            assert error_ns <= far.clock.uncertainty_ns and error_ns < 1_000_000
            due = np.sort(result.columns["due_ns"])
            assert np.all(np.abs(due - 5_000_000 * np.arange(300)) < 2_000_000)
            apart = abs(near.start_skew_ns - far.start_skew_ns)
            if apart <= near.clock.uncertainty_ns + far.clock.uncertainty_ns:
                return
        pytest.fail(f"they began {apart} ns apart")
