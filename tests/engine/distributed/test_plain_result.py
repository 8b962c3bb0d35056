"""A node's own result crosses as plain data and comes back as it was; whatever else comes is
refused and named.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import time
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.engine import (
    Batching,
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    Histogram,
    Loss,
    Poisson,
    Pool,
    RunPlan,
    RunResult,
    Server,
    Sessions,
    Stop,
    run,
)
from qs.engine.distributed.results.merging import merged_result
from qs.engine.distributed.results.plain_parts import evidence_of, plain_evidence
from qs.engine.distributed.results.plain_result import plain_of, result_of
from qs.engine.distributed.results.shapes import MOST_TEXT
from qs.engine.hosts.channel import PlainUnpickler
from qs.engine.machine.watch import CpuUse, GroupUse
from qs.engine.outcome import ErrorKind
from qs.engine.record.intervals import Interval
from qs.engine.statistics.confidence import Evidence
from tests.engine.distributed.test_merging import parts_of, same_histogram
from tests.engine.measures.test_reading import OPEN as READ
from tests.engine.workers.test_sample_order import Once
from tests.fakes import MS, Nth, ReadTarget, Service, StartedTarget, VirtualClock

QUICK = {"calibrate": False}


def there_and_back(result: RunResult, of: int = 1) -> RunResult:
    data = pickle.dumps(plain_of(result, of), 4)
    return result_of(PlainUnpickler(io.BytesIO(data)).load())


def same(one, other, where="result") -> None:
    """Every part of the one is that of the other."""
    if isinstance(one, Histogram):
        assert same_histogram(one, other), where
    elif isinstance(one, Evidence):
        assert (one.interval_s, one.length_s, one.percentiles) == (
            other.interval_s,
            other.length_s,
            other.percentiles,
        ), where
        same(one.found(), other.found(), where)
    elif isinstance(one, np.ndarray):
        assert np.array_equal(one, other), where
    elif is_dataclass(one):
        assert type(one) is type(other), where
        for each in fields(one):
            same(getattr(one, each.name), getattr(other, each.name), f"{where}.{each.name}")
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            same(one[name], other[name], f"{where}[{name!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for at, (each, its) in enumerate(zip(one, other)):
            same(each, its, f"{where}[{at}]")
    else:
        assert one == other and type(one) is type(other), where


def virtual(plan, takes_ns=MS, **options):
    clock = VirtualClock()
    target = Service(clock, takes_ns)
    return run(replace(plan, pool=Pool("inline")), target, clock=clock, **options)


async def awaited(sample):
    await asyncio.sleep(0.001)


def batch(rows):
    time.sleep(0.001)


def results():
    yield "closed", virtual(RunPlan(ClosedLoop(), Stop(duration_s=30.0)))
    use = CpuUse(20.0, 2.0, 4, 1.0, 0.1, seen_mhz=(2e3,), groups=(GroupUse("inline", 1, 1.0),))
    yield "open", replace(virtual(RunPlan(Poisson(500, seed=2), Stop(duration_s=20.0))), cpu=use)
    yield "behind", virtual(RunPlan(ConstantRate(900), Stop(duration_s=5.0)), 2 * MS)
    yield "long", virtual(RunPlan(ConstantRate(1), Stop(duration_s=20_000.0)))
    yield "nothing", virtual(RunPlan(ConstantRate(0.1), Stop(duration_s=1e-6)))
    yield "slices", virtual(RunPlan(ClosedLoop(iterations=50)), keep_slices=True)
    yield "calibrated", run(RunPlan(ClosedLoop(2, 50)), batch)
    failing = Nth(3, "ValueError", onward=True)
    yield "errors", run(RunPlan(ClosedLoop(iterations=9), pool=Pool("inline"), **QUICK), failing)
    yield "coroutines", run(RunPlan(ClosedLoop(2, 20), pool=Pool("async"), **QUICK), awaited)
    parts = RunPlan(
        Poisson(500, seed=1),
        Stop(iterations=50),
        Pool("async"),
        parts=("wait", "transfer"),
        **QUICK,
    )
    yield "parts", run(parts, StartedTarget())
    yield "measures", run(READ, ReadTarget())
    talks = RunPlan(Sessions(users=2), Stop(iterations=10), Pool("async"), **QUICK)
    yield "sessions", run(talks, StartedTarget(), [Once(1), Once(2)])
    batches = RunPlan(
        ConstantRate(500), Stop(iterations=50), batching=Batching(8, 2_000), warmup_iterations=2,
        **QUICK,
    )  # fmt: skip
    yield "batching", run(batches, batch, [np.zeros((1, 2))])
    server = Server(rate_per_s=100, bound_s=0.25, min_duration_s=1, min_queries=10).plan()
    yield "scenario", replace(virtual(server), scenario=None, metric=None, rules=[])


@pytest.fixture(scope="module")
def real():
    return dict(results())


KINDS = [
    "closed",
    "open",
    "behind",
    "long",
    "nothing",
    "slices",
    "calibrated",
    "errors",
    "coroutines",
    "parts",
    "measures",
    "sessions",
    "batching",
    "scenario",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_result_comes_back_as_it_was(real, kind):
    same(real[kind], there_and_back(real[kind]))
    assert real[kind].to_dict() == there_and_back(real[kind]).to_dict()


@pytest.mark.slow
def test_one_with_losses_comes_back():
    kwargs = {"nth": 5, "what": "kill"}
    plan = RunPlan(ClosedLoop(2, 20), pool=Pool("process"), **QUICK)
    result = run(plan, Factory("tests.fakes:make_nth", kwargs))
    assert result.losses and result.ended_by
    same(result, there_and_back(result))


def test_columns_are_announced_and_go_on_their_own():
    result = virtual(RunPlan(ClosedLoop(iterations=50)), keep_columns=True)
    plain = plain_of(result)
    assert plain["columns"]["completed_ns"] == ["<i8", 50]
    assert there_and_back(result).columns is None


def test_the_more_nodes_the_fewer_intervals_of_each():
    times = 2_000
    result = virtual(RunPlan(Poisson(5, seed=1), Stop(duration_s=float(times))))
    assert len(result.intervals) >= times
    alone, of_many = there_and_back(result), there_and_back(result, of=1_000)
    assert len(alone.intervals) == len(result.intervals)
    assert len(of_many.intervals) <= 200
    for name in ("completed", "errors"):
        whole, few = (
            sum(getattr(row, name) for row in each.intervals) for each in (result, of_many)
        )
        assert whole == few
    assert of_many.response.count == result.response.count
    assert len(pickle.dumps(plain_of(result, 1_000))) < 30_000
    measured = run(READ, ReadTarget())
    small = there_and_back(measured, of=100_000)
    assert small.measures["took"].histogram.count == 100


def lie(path, value):
    def change(plain):
        *steps, last = path
        at = plain
        for step in steps:
            at = at[step]
        at[last] = value

    return change


LIES = [
    (lie(["completed"], -1), "completed"),
    (lie(["completed"], 3), "more response times than completed"),
    (lie(["completed"], 1.0), "completed"),
    (lie(["completed"], True), "completed"),
    (lie(["completed"], 1 << 70), "completed"),
    (lie(["errors_by_kind"], {"x": -2}), "errors_by_kind"),
    (lie(["errors_by_kind"], [1]), "errors_by_kind"),
    (lie(["errors_by_kind"], {str(n): 1 for n in range(10_000)}), "errors_by_kind"),
    (lie(["wall_s"], float("nan")), "wall_s"),
    (lie(["wall_s"], float("inf")), "wall_s"),
    (lie(["wall_s"], "9"), "wall_s"),
    (lie(["wall_s"], -1.0), "wall_s"),
    (lie(["first_fault"], 7), "first_fault"),
    (lie(["first_fault"], "x" * 100_000), "first_fault"),
    (lie(["ended_by"], "boredom"), "ended_by"),
    (lie(["ended_by"], ["plan"]), "ended_by"),
    (lie(["open_loop"], False), "service"),
    (lie(["service"], None), "service"),
    (lie(["response"], ()), "response"),
    (lie(["response", 1], 5), "response"),
    (lie(["response", 0], b"x"), "response"),
    (lie(["lateness", 4], 1 << 120), "lateness"),
    (lie(["pacing"], "response"), "pacing"),
    (lie(["intervals"], None), "intervals"),
    (lie(["intervals", 0], b""), "intervals"),
    (lie(["intervals", 0], np.full(42, 1e300).tobytes()), "intervals"),
    (lie(["intervals", 0], np.full(42, np.nan).tobytes()), "intervals"),
    (lie(["warmup"], {}), "warmup: completed is missing"),
    (lie(["warmup", "mean_ns"], float("nan")), "warmup: mean_ns"),
    (lie(["cpu", "workers_s"], -1.0), "cpu: workers_s"),
    (lie(["cpu", "groups"], [{}]), "cpu: groups"),
    (lie(["cpu", "seen_mhz"], np.array([np.inf]).tobytes()), "cpu: seen_mhz"),
    (lie(["cpu", "seen_mhz"], b"123"), "cpu: seen_mhz"),
    (lie(["caveats"], [{"code": "evil", "text": "", "advice": ""}]), "caveats"),
    (lie(["caveats"], [{"code": "steal"}] * 10_000), "caveats"),
    (lie(["causes"], "no"), "causes"),
    (lie(["rates"], [1.0] * 10_000), "rates"),
    (lie(["rates"], [None]), "rates"),
    (lie(["workers"], 10**9), "workers"),
    (lie(["seed"], -1), "seed"),
    (lie(["losses"], [{"kind": "eaten"}]), "losses"),
    (lie(["confidence"], (1, 2)), "confidence"),
    (lie(["confidence", 0, "value"], "many"), "confidence"),
    (lie(["confidence", 1], [(200.0, {})]), "confidence"),
    (lie(["evidence", 1], 3), "evidence"),
    (lie(["evidence", 0], 0.0), "evidence"),
    (lie(["good_by_interval"], b"x"), "good_by_interval"),
    (lie(["happened"], {"tokens": b"x"}), "happened"),
    (lie(["sampled"], {"worker": ("<i8", b"1234")}), "sampled"),
    (lie(["sampled"], {"worker": ("O", b"12345678")}), "sampled"),
    (lie(["sampled"], {"worker": ("<i8", bytes(8))}), "sampled"),
    (lie(["measures"], [{}]), "measures"),
    (lie(["measures"], 5), "measures"),
    (lie(["slices"], b""), "slices"),
    (lie(["unread_why"], {"whim": ""}), "whim"),
    (lambda plain: plain.clear(), "missing"),
]


@pytest.mark.parametrize(("change", "why"), LIES, ids=[why for _, why in LIES])
def test_a_result_that_cannot_be_is_refused_and_the_reason_named(real, change, why):
    plain = plain_of(real["open"])
    change(plain)
    with pytest.raises(ValueError, match=why) as refused:
        result_of(plain)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("plain", [None, 5, "result", [], b"", {"completed": 1}, [[]] * 9])
def test_something_else_is_no_result(plain):
    with pytest.raises(ValueError):  # noqa: PT011
        result_of(plain)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
junk = st.recursive(
    leaves | st.binary(max_size=30),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), junk)
def test_whatever_a_node_tells_is_a_result_that_can_be_merged_or_is_refused(real, data, told):
    """One field of a real result is anything."""
    kind = data.draw(st.sampled_from(["open", "measures", "errors"]))
    plain = plain_of(real[kind])
    plain[data.draw(st.sampled_from(sorted(plain)))] = told
    try:
        found = result_of(plain)
    except ValueError:
        return
    plan = {"open": RunPlan(Poisson(500, seed=2), Stop(duration_s=20.0)), "measures": READ}.get(
        kind, RunPlan(ClosedLoop(2, 9))
    )
    whole = merged_result(plan, parts_of([found, real[kind]]))
    assert whole.to_dict()


def test_texts_of_a_node_are_one_line_that_can_be_printed(real):
    plain = plain_of(real["open"])
    plain["warnings"] = ["a\nb\x1b[31m\tc"]
    assert result_of(plain).warnings == ["a b[31m c"]


def test_of_a_long_fault_the_end_is_kept_which_says_what_was_raised(real):
    result = replace(real["errors"], first_fault="x" * 50_000 + "ValueError: as asked")
    fault = there_and_back(result).first_fault
    assert len(fault) == MOST_TEXT and fault.endswith("ValueError: as asked")


def test_losses_keep_their_words():
    loss = Loss(ErrorKind.DIED, 3, None, "signal SIGKILL", None, "SIGKILL")
    result = virtual(RunPlan(ClosedLoop(iterations=3)))
    result.losses.append(loss)
    result.ended_by = Ending.LOST
    back = there_and_back(result)
    assert back.losses == [loss] and back.ended_by is Ending.LOST


@pytest.mark.parametrize("first, step", [(0, 5), (300, 1)], ids=["few", "late"])
def test_evidence_of_a_load_with_empty_intervals_crosses(first, step):
    """Its intervals are numbered above how many are kept, as few of them have something in them."""
    evidence = Evidence(0.2)
    each = Interval(0, np.array([5]), np.array([3]), 0)
    numbers = range(first, first + 100 * step, step)
    evidence.add((0, replace(each, number=number)) for number in numbers)
    there = evidence_of(plain_evidence(evidence, 1_000_000))
    assert sum(int(one.counts.sum()) for one in there.found()) == 3 * len(numbers)
    assert there.found()[-1].number < Evidence.LIMIT <= evidence.found()[-1].number
    assert there.found()[-1].number == int(numbers[-1] * 0.2 / there.length_s + 1e-9)


def test_rates_of_more_intervals_than_are_told_are_those_of_neighbours_together():
    result = run(RunPlan(ClosedLoop(iterations=9), pool=Pool("inline"), **QUICK), lambda _: None)
    told = there_and_back(replace(result, rates=[0.0, 0.0, 0.0, 4.0] * 150)).rates
    assert told == [1.0] * 150
