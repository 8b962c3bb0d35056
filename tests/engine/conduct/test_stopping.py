"""The stop rules one by one, and in real runs: what ended the run, and what the result says."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from qs.engine import (
    ClosedLoop,
    Factory,
    MultiStream,
    PlanError,
    Poisson,
    Pool,
    RunPlan,
    SingleStream,
    Stop,
    run,
)
from qs.engine.conduct.stopping import Seen, StopRules
from qs.engine.load import ConstantRate
from qs.engine.statistics.budget import budget_spent
from qs.engine.statistics.estimate import Confidence, Estimate
from tests.fakes import MS, Service, VirtualClock, nothing

WIDE = Confidence(Estimate(100.0, 5.0, 20), {99.0: Estimate(1e6, 1e3, 20)})
NARROW = Confidence(Estimate(100.0, 0.5, 20), {99.0: Estimate(1e6, 1e3, 20)})
UNKNOWN = Confidence(Estimate(100.0, 0.5, 20), {99.0: Estimate(1e6, None, 0, "too few")})


def ended(
    stop: Stop, elapsed_s=10.0, answered_s=10.0, completed=1_000, failed=0, confidence=NARROW
):
    return StopRules(stop).ended_by(
        Seen(elapsed_s, answered_s, completed, failed), lambda: confidence
    )


@pytest.mark.parametrize(
    ("stop", "seen", "by"),
    [
        (Stop(), {}, None),
        (
            Stop(duration_s=1, iterations=1, max_duration_s=1),
            {},
            None,
        ),  # these cut the schedule itself
        (Stop(min_duration_s=10), {}, "minimums reached"),
        (Stop(min_duration_s=11), {}, None),
        (Stop(min_queries=1_000), {}, "minimums reached"),
        (Stop(min_queries=1_001), {}, None),
        # A failed query counts, unless a budget says how many may fail: a dead target must not be
        # called for ever.
        (Stop(min_queries=10), {"completed": 0, "failed": 10}, "minimums reached"),
        (Stop(min_queries=10), {"completed": 0, "failed": 9}, None),
        (Stop(min_queries=10, max_errors=50), {"completed": 0, "failed": 10}, None),
        (Stop(min_queries=10, max_errors=50), {"completed": 0, "failed": 51}, "error budget"),
        (Stop(min_duration_s=5, min_queries=1_001), {}, None),
        (Stop(min_duration_s=11, min_queries=5), {}, None),
        (Stop(min_duration_s=5, min_queries=5), {}, "minimums reached"),
        (
            Stop(min_duration_s=10),
            {"answered_s": 9.99},
            None,
        ),  # the last answer is what the result's duration ends with
        (
            Stop(min_duration_s=10),
            {"answered_s": 3.0, "elapsed_s": 11.1},
            "minimums reached",
        ),  # nothing is answered any more
        (Stop(until_stable=0.01), {}, "stable"),
        (Stop(until_stable=0.01), {"confidence": WIDE}, None),
        (Stop(until_stable=0.05), {"confidence": WIDE}, "stable"),
        (Stop(until_stable=0.01), {"confidence": UNKNOWN}, None),
        (Stop(until_stable=0.01, min_queries=2_000), {}, None),
        (Stop(until_stable=0.01, min_duration_s=20), {}, None),
        (Stop(max_errors=3), {"failed": 3}, None),
        (Stop(max_errors=3), {"failed": 4}, "error budget"),
        (Stop(max_errors=0), {"failed": 1}, "error budget"),
        (Stop(max_errors=3, min_queries=10), {"failed": 4}, "error budget"),
    ],
)
def test_rules(stop, seen, by):
    assert ended(stop, **seen) == by


@pytest.mark.parametrize(
    ("rate", "completed", "failed", "spent"),
    [
        (0.0, 1_000, 0, False),
        (0.0, 1_000, 1, True),
        (0.01, 0, 1, True),  # the very first: one in a hundred within the budget
        (0.02, 0, 1, False),
        (0.01, 50, 1, False),
        (0.01, 990, 10, False),  # the budget itself
        (0.01, 985, 15, False),  # above it, but by chance one time in thirty
        (0.01, 975, 25, True),
        (0.5, 40, 60, False),
        (0.5, 400, 600, True),
    ],
)
def test_a_rate_is_over_budget_when_that_is_sure(rate, completed, failed, spent):
    assert budget_spent(Stop(max_error_rate=rate), completed, failed) is spent


def test_stability_is_looked_at_ever_more_seldom():
    rules, looks = StopRules(Stop(until_stable=0.01)), []
    for tick in range(1, 601):
        rules.ended_by(Seen(tick * 0.2, tick * 0.2, tick, 0), lambda: looks.append(1) or WIDE)
    assert 30 < len(looks) < 60


@pytest.mark.parametrize(
    ("elapsed_s", "throughput", "ended"),
    [
        (5.0, Estimate(100.0, 4.0), "stable"),  # whatever p99 is
        (5.0, Estimate(100.0, 6.0), None),
        (5.0, Estimate(100.0, None, why="too short"), None),
        (0.9, Estimate(100.0, 0.0), None),  # less than a second
    ],
)
def test_a_throughput_is_known(elapsed_s, throughput, ended):
    found = replace(WIDE, throughput=throughput)
    rules = StopRules(Stop(until_known=0.05, max_duration_s=10))
    assert rules.ended_by(Seen(elapsed_s, elapsed_s, 100, 0), lambda: found) == ended


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        (Stop(until_known=0.05), "max_duration_s"),
        (Stop(until_known=-1, duration_s=1), "until_known"),
        (Stop(until_stable=0, duration_s=1), "until_stable"),
        (Stop(until_stable=0.01), "max_duration_s"),
        (Stop(until_stable=0.01, min_duration_s=1), "max_duration_s"),
        (Stop(duration_s=1, stable_percentile=100), "stable_percentile"),
        (Stop(duration_s=1, max_errors=-1), "max_errors"),
        (Stop(duration_s=1, max_error_rate=1.5), "max_error_rate"),
        (Stop(max_errors=5), "iterations"),  # a budget ends no healthy run
    ],
)
def test_faults(stop, word):
    faults = RunPlan(stop=stop).faults()
    assert len(faults) == 1 and word in faults[0]
    with pytest.raises(PlanError):
        run(RunPlan(stop=stop), nothing)


def test_a_load_with_an_end_may_go_until_stable():
    assert RunPlan(load=ClosedLoop(iterations=10), stop=Stop(until_stable=0.01)).faults() == []


# -- runs


def pause(sample) -> None:
    time.sleep(0.001)


def test_both_minimums():
    result = run(RunPlan(stop=Stop(min_duration_s=0.3, min_queries=50)), pause)
    assert (result.ended_by, result.verdict) == ("minimums reached", "VALID")
    assert result.wall_s >= 0.3 and result.completed >= 50
    assert [rule.name for rule in result.rules] == ["minimum duration", "minimum queries"]


def test_a_maximum_before_the_minimums_is_invalid_and_says_what_to_change():
    result = run(RunPlan(stop=Stop(min_queries=10**9, max_duration_s=0.2)), pause)
    assert (result.ended_by, result.verdict) == ("time limit", "INVALID")
    assert (
        len(result.reasons) == 1
        and "minimum queries" in result.reasons[0]
        and "max_duration_s" in result.reasons[0]
    )


def test_a_maximum_before_the_throughput_is_known_is_no_fault():
    result = run(RunPlan(stop=Stop(until_known=1e-6, max_duration_s=0.2)), pause)
    assert (result.ended_by, result.verdict, result.rules) == ("time limit", "VALID", [])


def test_until_stable_ends_with_the_widths_it_reached():
    clock = VirtualClock()
    plan = RunPlan(
        stop=Stop(until_stable=0.02, stable_percentile=90, max_duration_s=10_000),
        pool=Pool("inline"),
    )
    result = run(plan, Service(clock, 20 * MS), clock=clock)
    assert (result.ended_by, result.verdict) == ("stable", "VALID")
    assert result.confidence.throughput.value == pytest.approx(50, rel=0.02)
    assert result.confidence.throughput.relative <= 0.02
    assert result.confidence.response[90].relative <= 0.02
    assert result.confidence.throughput.batches >= 10
    assert result.wall_s < 9_000


class Growing(Service):
    """Every call takes a little longer than the last."""

    def __call__(self, sample: object) -> None:
        self.takes_ns += 50_000
        super().__call__(sample)


def test_a_run_that_never_gets_stable_is_invalid_with_numbers():
    clock = VirtualClock()
    plan = RunPlan(stop=Stop(until_stable=0.02, max_duration_s=60), pool=Pool("inline"))
    result = run(plan, Growing(clock, 10 * MS), clock=clock)
    assert (result.ended_by, result.verdict) == ("time limit", "INVALID")
    assert result.completed > 1_000 and result.response.percentile_ns(50) > 10 * MS
    assert any(
        "throughput" in reason and "n/a" in reason and "correlated" in reason
        for reason in result.reasons
    )


def test_the_error_budget_ends_a_failing_run_soon():
    failing = Factory(
        "tests.fakes:make_nth",
        {"nth": 101, "what": "ValueError", "onward": True, "pause_s": 0.0005},
    )
    result = run(RunPlan(load=ClosedLoop(iterations=10**9), stop=Stop(max_errors=20)), failing)
    assert (result.ended_by, result.verdict, result.completed) == ("error budget", "INVALID", 100)
    assert result.errors > 20
    assert any("error budget" in reason and "at most 20" in reason for reason in result.reasons)


def test_failures_within_the_budget_leave_the_result_valid():
    failing = Factory("tests.fakes:make_nth", {"nth": 10, "what": "ValueError"})
    plan = RunPlan(load=ClosedLoop(iterations=500), stop=Stop(max_error_rate=0.01))
    result = run(plan, failing)
    assert (result.completed, result.errors_by_kind, result.verdict) == (
        499,
        {"ValueError": 1},
        "VALID",
    )
    assert run(RunPlan(load=plan.load), failing).verdict == "INVALID"


def test_a_rule_that_ends_open_loop_lets_those_in_line_have_their_turn():
    """Issued at 1,000/s and served at most at 500/s: at the end about as many wait as were
    answered. All of them were due, and count.
    """
    plan = RunPlan(
        load=ConstantRate(1_000), stop=Stop(min_queries=200), pool=Pool("thread", workers=1)
    )
    result = run(
        plan,
        Factory("tests.fakes:make_nth", {"nth": 0, "what": "return", "pause_s": 0.002}),
        keep_columns=True,
    )
    assert (result.ended_by, result.not_issued, result.errors) == ("minimums reached", 0, 0)
    assert result.completed >= 380
    # The last of them waited for about as long as the schedule itself lasted.
    assert result.response.max_ns > 0.3 * result.completed * MS


def test_a_drawn_seed_is_the_same_for_all_and_is_told():
    plan = RunPlan(
        load=Poisson(2_000, seed=None), stop=Stop(iterations=200), pool=Pool("process", workers=2)
    )
    result = run(plan, Factory("tests.fakes:make_nothing"), keep_columns=True)
    assert result.completed == 200 and result.seed is not None
    expected = next(Poisson(2_000, result.seed).blocks())[:200]
    assert sorted(result.columns["due_ns"].tolist()) == expected.tolist()
    assert run(RunPlan(load=Poisson(2_000, seed=0), stop=Stop(iterations=5)), nothing).seed == 0


def test_progress_says_when_both_minimums_will_be_reached():
    seen = []
    run(RunPlan(stop=Stop(min_duration_s=0.9, min_queries=50)), pause, on_progress=seen.append)
    etas = [
        progress.eta_s
        for progress in seen
        if progress.phase == "measure" and 0.1 < progress.elapsed_s < 0.8
    ]
    assert etas and all(eta is not None and 0 <= eta <= 0.85 for eta in etas)


def refuses(sample):
    raise ConnectionError("refused")


@pytest.mark.parametrize(
    "plan",
    [
        RunPlan(ClosedLoop(), Stop(min_queries=10)),
        RunPlan(ConstantRate(200), Stop(min_queries=10)),
        SingleStream(min_duration_s=0.1, min_queries=10),
        MultiStream(min_duration_s=0.1, min_queries=10),
    ],
    ids=["closed loop", "open loop", "SingleStream", "MultiStream"],
)
def test_a_dead_target_ends_a_minimum_of_queries(plan):
    result = run(plan, refuses)
    assert (result.completed, result.ended_by, result.verdict) == (0, "minimums reached", "INVALID")
    assert result.errors >= 10
