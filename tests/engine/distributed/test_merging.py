"""Parts as a whole: what one recorder of all requests would have held, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qs.engine import (
    Cause,
    ClosedLoop,
    ConstantRate,
    Doubt,
    Ending,
    ErrorKind,
    Histogram,
    Loss,
    Pool,
    RunPlan,
    RunResult,
    Server,
    Stop,
    joined,
    run,
)
from qs.engine.distributed.results.merging import Union, merged_result
from qs.engine.machine.watch import CpuUse, GroupUse
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.record.memory import Field, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.result import ClockReading, EngineCost, NodePart, WarmUpResult
from qs.engine.statistics.confidence import PERCENTILES, Evidence
from tests.engine.measures.test_reading import OPEN as READ
from tests.engine.measures.test_reading import agrees
from tests.fakes import MS, ReadTarget, S, Service, VirtualClock

START = 7 * S
OPEN = RunPlan(ConstantRate(100), Stop(duration_s=10.0), Pool("thread", workers=4))
KINDS = ("ValueError", str(ErrorKind.TIMEOUT), str(ErrorKind.CUT_OFF))
Request = tuple[int, int, int, int]  # due from the start, issued after, took, 0 or a kind from 1


def recorded(plan: RunPlan, requests: list[Request]) -> tuple[RunResult, list[Interval]]:
    """What one recorder of these requests holds, as a result, and the intervals that it closed."""
    memory = local_memory(1, 64)[0]
    memory.header[Field.START_NS] = START
    recorder = Recorder(memory, interval_ns=plan.recorded_ns, timeout_ns=60 * S, open_loop=True)
    ordered = sorted(requests, key=lambda each: sum(each[:3]))
    closed: list[Interval] = []
    for first in range(0, len(ordered), 64):
        batch = ordered[first : first + 64]
        recorder.begin(START)
        for row, (due, late, took, kind) in enumerate(batch):
            memory.due[row] = START + due
            memory.issued[row] = START + due + late
            memory.completed[row] = START + due + late + took
            if kind:
                recorder.fail(KINDS[kind - 1], START + due + late + took, row=row)
        recorder.flush(len(batch))
        closed += recorder.take_intervals()
    recorder.finish()
    closed += recorder.take_intervals()
    log = IntervalLog(plan.recorded_ns / 1e9, plan.recorded_per_interval)
    evidence = Evidence(plan.recorded_ns / 1e9, (*PERCENTILES, plan.stop.stable_percentile))
    log.add((0, one) for one in closed)
    evidence.add((0, one) for one in closed)
    wall_s = max([sum(each[:3]) for each in requests] + [10 * S]) / 1e9
    arrivals = recorder.arrivals
    histograms = []
    for name, at in (
        ("response", Field.RESPONSE),
        ("service", Field.SERVICE),
        ("lateness", Field.LATENESS),
    ):
        one = Histogram(getattr(memory, name).copy())
        one.count, one.min_ns, one.max_ns, one.sum_ns, one.out_of_range = memory.published(at)
        histograms.append(one)
    return RunResult(
        completed=int(memory.header[Field.COMPLETED]),
        errors_by_kind={str(kind): many for kind, many in recorder.errors.items()},
        wall_s=wall_s,
        response=histograms[0],
        service=histograms[1],
        lateness=histograms[2],
        intervals=log.rows(arrivals, wall_s, lost=False),
        warmup=WarmUpResult(),
        planned=None,
        first_ns=1,
        open_loop=True,
        pool="thread",
        workers=1,
        clients=None,
        started_at=0.0,
        start_ns=START,
        confidence=evidence.confidence(10.0),
        evidence=evidence,
        offered_s=10.0,
    ), closed


def parts_of(results, **more):
    return [
        NodePart(f"n{number}", "", f"part {number + 1}", result, **more)
        for number, result in enumerate(results)
    ]


def same_histogram(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.counts, other.counts) and all(
        getattr(one, name) == getattr(other, name)
        for name in ("count", "min_ns", "max_ns", "sum_ns", "out_of_range")
    )


def same_rows(one, other) -> bool:
    names = ("start_s", "length_s", "completed", "errors", "p50_ns", "p99_ns", "in_flight")
    return len(one) == len(other) and all(
        [getattr(a, name) for name in names] == [getattr(b, name) for name in names]
        and np.array_equal(a.index, b.index)
        and np.array_equal(a.counts, b.counts)
        for a, b in zip(one, other)
    )


times = st.one_of(
    st.integers(0, 5 * MS), st.integers(0, 2 * S), st.integers(0, 3), st.integers(0, 90 * S)
)
one_request = st.tuples(
    st.integers(0, 10 * S - 1), st.integers(0, 50 * MS), times, st.sampled_from([0, 0, 0, 1, 2, 3])
)


LONG = [((0, 0, MS, 0), 0), ((0, 0, 8_192 * S + 1, 0), 1), ((0, 0, 10**13, 1), 2)]


@settings(max_examples=60, deadline=None)
@example(LONG, True, False)
@example(LONG, False, True)
@given(
    st.lists(st.tuples(one_request, st.integers(0, 3)), max_size=200), st.booleans(), st.booleans()
)
def test_the_whole_is_what_one_recorder_of_all_requests_would_hold(dealt, streamed, rows_too):
    plan = OPEN
    by_node = [[request for request, node in dealt if node == each] for each in range(4)]
    one, _ = recorded(plan, [request for request, _ in dealt])
    union = Union(plan)
    results = []
    for requests in by_node:
        result, closed = recorded(plan, requests)
        union.add(closed)
        if streamed and not rows_too:
            result.intervals = [
                replace(row, index=np.zeros(0, np.int64), counts=np.zeros(0, np.int64))
                for row in result.intervals
            ]
        results.append(result)
    whole = merged_result(plan, parts_of(results), union=union if streamed else None)
    for name in ("response", "service", "lateness"):
        assert same_histogram(getattr(whole, name), getattr(one, name)), name
    assert (whole.completed, whole.errors_by_kind) == (one.completed, one.errors_by_kind)
    assert whole.wall_s == one.wall_s
    assert same_rows(whole.intervals, one.intervals)
    assert whole.confidence == one.confidence
    assert whole.rates == one.evidence.rates(10.0)
    assert whole.queries_per_s == one.queries_per_s
    assert whole.planned is None and whole.offered_s == 10.0


def test_merging_changes_no_part_and_may_be_repeated():
    results = [recorded(OPEN, [(S * each, 0, MS, 0) for each in range(5)])[0] for _ in range(3)]
    parts = parts_of(results)
    first, second = (merged_result(OPEN, parts) for _ in range(2))
    assert first.completed == second.completed == 15
    assert same_rows(first.intervals, second.intervals)
    assert [part.result.completed for part in parts] == [5, 5, 5]
    assert parts[0].result is results[0] and results[0].evidence is not None


def clock(offset_ns=0, uncertainty_ns=100_000):
    return ClockReading(offset_ns, uncertainty_ns, 0.0, 10, 50_000)


def some(*requests, plan=OPEN, **changes):
    return replace(recorded(plan, list(requests))[0], **changes)


def test_a_node_whose_clock_is_three_seconds_ahead_began_with_the_others():
    ahead = some((0, 0, MS, 0), start_ns=START + 3 * S, started_at=1_003.0)
    parts = parts_of([some((0, 0, MS, 0)), ahead])
    parts[1].clock = clock(3 * S - 20_000, 10_000)
    whole = merged_result(OPEN, parts, start_ns=START, started_at=1_000.0)
    assert (whole.start_ns, whole.started_at) == (START, 1_000.0)
    assert [part.result.start_ns - START for part in whole.nodes] == [0, 20_000]
    assert whole.nodes[1].result.started_at == pytest.approx(1_000.0, abs=1e-4)
    assert whole.wall_s == pytest.approx(10.00002, abs=1e-9)


def test_a_clock_that_is_known_badly_makes_no_run_shorter():
    parts = parts_of([some((0, 0, MS, 0), start_ns=START - 30_000)])
    assert merged_result(OPEN, parts, start_ns=START).wall_s == 10.0


def test_a_node_that_tells_of_another_start_is_not_believed():
    parts = parts_of([some((0, 0, MS, 0)), some((0, 0, MS, 0), start_ns=10**18)])
    assert merged_result(OPEN, parts, start_ns=START).wall_s == 10.0


def test_nothing_was_measured_after_the_driver_s_own_time():
    """A node tells of thirty years, and of a measure that nobody asked for."""
    liar = some((0, 0, MS, 0), wall_s=1e9, offered_s=1e9)
    liar.measures = {"evil": None}
    parts = parts_of([some((0, 0, MS, 0)), liar])
    whole = merged_result(OPEN, parts, start_ns=START, now_ns=START + 11 * S)
    assert (whole.wall_s, whole.offered_s, whole.measures) == (11.0, 11.0, {})
    assert len(whole.intervals) == 11


def test_single_requests_are_on_one_timeline_with_their_node():
    def with_columns(at_ns, worker):
        stamps = {name: np.array([at_ns]) for name in ("due_ns", "issued_ns", "completed_ns")}
        columns = {**stamps, "wait_ns": np.array([-1]), "worker": np.array([worker], np.int32)}
        return some((0, 0, MS, 0), columns=columns, workers=2, slices=[(worker, 1, 2, 3)])

    parts = parts_of([with_columns(2_000, 1), with_columns(1_000, 0)])
    parts[1].result.start_ns += 5_000
    parts[1].clock = clock(4_900, 50)
    whole = merged_result(OPEN, parts, start_ns=START)
    assert whole.columns["completed_ns"].tolist() == [1_100, 2_000]
    assert whole.columns["node"].tolist() == [1, 0]
    assert whole.columns["worker"].tolist() == [2, 1]
    assert whole.columns["wait_ns"].tolist() == [-1, -1]
    assert whole.slices == [(1, 1, 2, 3), (2, 101, 102, 3)]
    assert [part.result.columns for part in whole.nodes] == [None, None]


@pytest.mark.parametrize(
    ("endings", "told", "expected"),
    [
        ([Ending.DURATION, Ending.DURATION], None, Ending.DURATION),
        ([Ending.PLAN, Ending.DURATION], None, Ending.DURATION),
        ([Ending.PLAN, Ending.LOST], None, Ending.PLAN),
        ([Ending.LOST, Ending.LOST], None, Ending.LOST),
        ([Ending.DURATION, Ending.INTERRUPT], None, Ending.INTERRUPT),
        ([Ending.PLAN, Ending.PLAN], Ending.NODE_LOST, Ending.NODE_LOST),
    ],
)
def test_what_ended_the_whole(endings, told, expected):
    interrupted = [each is Ending.INTERRUPT for each in endings]
    parts = parts_of(
        some((0, 0, MS, 0), ended_by=each, interrupted=cut)
        for each, cut in zip(endings, interrupted)
    )
    whole = merged_result(OPEN, parts, ended_by=told)
    assert whole.ended_by is expected
    assert whole.interrupted == (expected is Ending.INTERRUPT)


def test_sums_and_what_is_not_known():
    use = CpuUse(10.0, 2.0, 4, 1.0, 0.1, 1.5, 8.0, 0.0, groups=(GroupUse("thread", 1, 1.0),))
    results = [
        some(
            (0, 0, MS, 0),
            cpu=use,
            engine_cost=EngineCost(100.0 * each, 80, 10),
            warmup=WarmUpResult(2, 1, 0.5 * each, 100.0, 1),
            losses=[Loss(ErrorKind.HUNG, 0, 1)],
            counts={"opened": each},
            batches=each,
            first_fault="ValueError: no" if each == 2 else None,
            warnings=["worker 1 did not come back"],
            first_ns=each,
        )
        for each in (1, 2, 3)
    ]
    parts = parts_of(results)
    for part, machine in zip(parts, "xxy"):
        part.facts = {"machine": machine}
    whole = merged_result(OPEN, parts)
    assert whole.cpu.workers_s == pytest.approx(3.0) and whole.cpu.run_s == pytest.approx(4.5)
    assert (whole.cpu.cores, whole.cpu.host_cpus, whole.cpu.host_busy_s) == (4.0, 8, 16.0)
    assert (whole.cpu.elapsed_s, len(whole.cpu.groups)) == (10.0, 3)
    assert whole.engine_cost == EngineCost(200.0, 80, 30)
    assert whole.warmup == WarmUpResult(6, 3, 1.5, 100.0, 3)
    assert [loss.node for loss in whole.losses] == ["n0", "n1", "n2"]
    assert (whole.counts, whole.batches, whole.workers, whole.first_ns) == ({"opened": 6}, 6, 3, 1)
    assert whole.first_fault == "n1: ValueError: no"
    assert whole.warnings[0] == "n0: worker 1 did not come back"
    results[1].cpu = None
    assert merged_result(OPEN, parts_of(results)).cpu is None


def test_the_whole_is_judged_by_the_whole_plan_and_its_parts_are_not():
    plan = Server(rate_per_s=100, bound_s=0.25, min_duration_s=10, min_queries=200).plan()
    requests = [(n * 10 * MS, 0, MS, 0) for n in range(1000)]
    halves = [some(*requests[at::2]) for at in range(2)]
    whole = merged_result(plan, parts_of(halves))
    assert whole.scenario == "Server" and whole.metric is not None
    assert all(rule.passed for rule in whole.rules if rule.code is Cause.MINIMUM_QUERIES)
    least = replace(OPEN, stop=Stop(duration_s=10.0, min_queries=900, max_errors=1))
    assert merged_result(least, parts_of(halves)).verdict == "VALID"
    bad = [some((0, 0, MS, 1), (1, 0, MS, 0)) for _ in range(2)]
    found = merged_result(least, parts_of(bad))
    assert {reason.code for reason in found.causes} >= {Cause.FAILED, Cause.ERROR_BUDGET}


def test_doubts_about_numbers_are_those_of_the_whole():
    parts = parts_of([some(*[(n * MS, 0, MS, 0) for n in range(200)]) for _ in range(2)])
    whole = merged_result(replace(OPEN, percentiles=(99.0,)), parts)  # 400 requests
    assert Doubt.TOO_FEW_SAMPLES not in whole.warning_codes
    assert whole.warnings == [str(each) for each in whole.caveats]


def test_where_nothing_was_measured_there_is_a_result_all_the_same():
    parts = [NodePart("a", "", "part 1 of 1", lost="it could not be built")]
    whole = merged_result(OPEN, parts, start_ns=START, started_at=5.0)
    assert (whole.completed, whole.verdict, whole.ended_by) == (0, "INVALID", Ending.LOST)
    assert [each.code for each in whole.causes] == [Cause.NOTHING, Cause.NODE_LOST]
    assert whole.to_dict()
    assert merged_result(OPEN, []).completed == 0


def parallel(plan, nodes, **options):
    """Real runs of the same plan, each on a virtual clock of its own, that began at once."""
    results = []
    for takes_ns in nodes:
        clock = VirtualClock()
        target = Service(clock, takes_ns)
        results.append(run(replace(plan, pool=Pool("inline")), target, clock=clock, **options))
    return results


def test_of_real_runs_everything_adds_up():
    plan = RunPlan(ClosedLoop(), Stop(duration_s=2.0))
    results = parallel(plan, [MS, 2 * MS, 4 * MS], keep_columns=True)
    whole = merged_result(replace(plan, load=ClosedLoop(clients=3)), parts_of(results))
    assert whole.completed == sum(each.completed for each in results) == 3_500
    assert whole.queries_per_s == pytest.approx(1_750)
    assert [row.completed for row in whole.intervals] == [
        sum(each) for each in zip(*([row.completed for row in one.intervals] for one in results))
    ]
    assert (whole.clients, whole.workers) == (3, 3)
    assert whole.columns["completed_ns"].size == 3_500
    assert whole.service is whole.response
    assert whole.verdict == "VALID" and whole.to_dict()
    assert Doubt.SLOW_NODE in whole.warning_codes


def test_a_node_that_ended_early_has_nothing_in_flight_afterwards():
    plan = RunPlan(ConstantRate(1_000), Stop(iterations=1_000), interval_s=0.5)
    slow, fast = parallel(plan, [2 * MS, MS])
    assert [row.in_flight for row in slow.intervals][:2] == [251, 501]
    whole = merged_result(plan, parts_of([slow, fast]))
    assert [row.in_flight for row in whole.intervals][:2] == [
        251 + fast.intervals[0].in_flight,
        501 + fast.intervals[1].in_flight,
    ]
    assert [row.in_flight for row in whole.intervals][2:] == [
        row.in_flight for row in slow.intervals
    ][2:]


def test_what_answers_tell_is_merged_too():
    results = [
        replace(run(READ, ReadTarget(), keep_columns=True), start_ns=START) for _ in range(3)
    ]
    whole = merged_result(READ, parts_of(results))
    agrees(whole, 300)
    assert whole.good == sum(each.good for each in results)
    assert whole.sampled["node"].size == whole.sampled["due_ns"].size == 60
    assert set(whole.sampled["worker"]) == {0, 1, 2}
    assert (np.diff(whole.sampled["completed_ns"]) >= 0).all()
    assert whole.columns["took"].size == 300
    several = joined([whole, merged_result(READ, parts_of(results))])  # and again, in turn
    assert several.completed == 600
    assert [part.result.completed for part in several.nodes] == [200] * 3
    assert joined([whole, results[0]]).nodes == []


def test_what_lies_within_the_uncertainty_of_a_clock_is_no_difference():
    parts = parts_of([some((0, 0, MS, 0)), some((0, 0, MS, 0), start_ns=START + 3 * S)])
    parts[1].clock = clock(3 * S - 20_000, 30_000)
    whole = merged_result(OPEN, parts, start_ns=START)
    assert [part.result.start_ns - START for part in whole.nodes] == [0, 0]
