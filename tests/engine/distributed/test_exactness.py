"""Real nodes, and what their targets saw: no request is lost and none made twice, at the start, at
the end, when a run is stopped and when a node is lost.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    Factory,
    Gamma,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    RunResult,
    Server,
    Stage,
    Stages,
    Stop,
)
from qs.engine.distributed.splitting.shares import shares_of, whole_of
from tests.engine.distributed.due import due_times
from tests.nodes_here import NodesHere

NODES = 3
MANY = 100_000


@pytest.fixture(scope="module")
def nodes() -> Iterator[NodesHere]:
    with NodesHere(NODES) as here:
        yield here


def noted(path: Path) -> Counter[int]:
    """How often each sample was asked for."""
    return Counter(int(line) for line in path.read_text().split())


def target(kind: str, path: Path, pause_s: float = 0.0) -> Factory:
    path.touch()
    return Factory(
        f"tests.engine.distributed.servers:{kind}", {"path": str(path), "pause_s": pause_s}
    )


def assert_adds_up(result: RunResult) -> None:
    """The whole is the sum of its parts, and no histogram has more or less than the counts."""
    parts = [part.result for part in result.nodes if part.result is not None]
    assert result.completed == sum(part.completed for part in parts) == result.response.count
    assert result.errors == sum(part.errors for part in parts)
    assert sum(row.completed for row in result.intervals) == result.completed
    assert sum(row.errors for row in result.intervals) == result.errors
    assert result.wall_s >= max(part.wall_s for part in parts) - 0.01
    for part in result.nodes:  # which have this machine's clock
        assert abs(part.clock.offset_ns) <= part.clock.uncertainty_ns


LOADS = [
    ConstantRate(600),
    Stages((Stage(0.5, 400), Stage(0.5, 900, ramp=True)), seed=2),
    Gamma(600, 0.5, seed=1),
    Replay(tuple(np.random.default_rng(1).random(500).tolist())),
    AllAtOnce(500),
]


COUNTED, TIMED = Stop(iterations=301), Stop(duration_s=0.7)


@pytest.mark.parametrize(
    "load, stop",
    [
        (LOADS[1], COUNTED),
        *(
            pytest.param(load, stop, marks=pytest.mark.slow)
            for load in LOADS
            for stop in (COUNTED, TIMED)
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_request_of_one_machine_is_made_once(nodes, tmp_path, load, stop):
    plan = RunPlan(load=load, stop=stop, pool=Pool("async"))
    result = nodes.run(plan, target("AwaitedNotes", tmp_path / "seen"), list(range(MANY)))
    planned = due_times(plan).size
    assert noted(tmp_path / "seen") == Counter(range(planned))
    assert (result.completed, result.errors) == (planned, 0)
    assert_adds_up(result)


@pytest.mark.parametrize(
    "pool",
    [
        Pool("thread", 6),
        pytest.param(Pool("async"), marks=pytest.mark.slow),
        pytest.param(Pool("process", 3), marks=pytest.mark.slow),
    ],
    ids=lambda pool: pool.kind,
)
def test_a_count_of_a_poisson_process_is_made_over_all(nodes, tmp_path, pool):
    plan = RunPlan(load=Poisson(800, seed=5), stop=Stop(iterations=500), pool=pool)
    kind = "AwaitedNotes" if pool.kind == "async" else "Notes"
    result = nodes.run(plan, target(kind, tmp_path / "seen"), list(range(MANY)))
    assert noted(tmp_path / "seen").total() == 500 == result.completed == result.planned
    last_s = max(due_times(share)[-1] for share in shares_of(plan, NODES)) / 1e9
    assert result.offered_per_s == pytest.approx(500 / last_s, rel=0.02)
    assert_adds_up(result)


@pytest.mark.parametrize(
    "kind",
    [
        "thread",
        pytest.param("async", marks=pytest.mark.slow),
        pytest.param("process", marks=pytest.mark.slow),
    ],
)
def test_clients_make_their_own_requests(nodes, tmp_path, kind):
    """11 clients, 5 of them with one request more: each begins with its own sample."""
    plan = RunPlan(load=ClosedLoop(11), stop=Stop(iterations=60), pool=Pool(kind))
    notes = "AwaitedNotes" if kind == "async" else "Notes"
    result = nodes.run(plan, target(notes, tmp_path / "seen"), list(range(0, MANY, 10)))
    assert noted(tmp_path / "seen").total() == 60 == result.completed == result.planned
    if kind != "async":  # whose clients share their samples
        assert noted(tmp_path / "seen") == Counter(
            10 * (client + number)
            for client in range(11)
            for number in range(60 // 11 + (client < 60 % 11))
        )
    assert_adds_up(result)


def test_a_server_reaches_its_minimums_over_all(nodes, tmp_path):
    """Its schedule ends with the first query after both: a part more would be too many, a part
    less too short.
    """
    server = Server(700, bound_s=0.5, min_duration_s=1.0, min_queries=500, seed=8)
    plan = whole_of(server.plan(pool=Pool("thread", 6)), NODES)
    result = nodes.run(server.plan(pool=Pool("thread", 6)), target("Notes", tmp_path / "seen"), [1])
    assert result.completed == noted(tmp_path / "seen").total() == plan.stop.iterations
    assert result.planned == plan.stop.iterations
    assert all(rule.passed for rule in result.rules if "minimum" in rule.name), result.rules
    assert result.scenario == "Server" and result.metric is not None


def interrupted(nodes: NodesHere, after_s: float) -> asyncio.Event:
    """An event that is set on the nodes' loop after a while."""
    event = asyncio.Event()
    timer = threading.Timer(after_s, lambda: nodes.loop.call_soon_threadsafe(event.set))
    timer.daemon = True
    timer.start()
    return event


@pytest.mark.parametrize(
    "plan, kind",
    [
        (RunPlan(load=ConstantRate(400), stop=Stop(duration_s=60), pool=Pool("async")), "Awaited"),
        pytest.param(
            RunPlan(load=Poisson(400), stop=Stop(iterations=90_000), pool=Pool("thread", 3)),
            "",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            RunPlan(load=ClosedLoop(5), stop=Stop(duration_s=60)), "", marks=pytest.mark.slow
        ),
    ],
    ids=["coroutines", "threads", "clients"],
)
def test_what_an_interrupt_finds_is_counted(nodes, tmp_path, plan, kind):
    """All that was asked for is answered or failed, and all that had fallen due is something."""
    slow = target(kind + "Notes", tmp_path / "seen", 0.01)
    result = nodes.run(plan, slow, list(range(MANY)), interrupt=interrupted(nodes, 1.0))
    assert result.interrupted and result.verdict == "INVALID"
    made = noted(tmp_path / "seen").total()
    assert result.completed + result.errors - result.not_issued == made
    assert_adds_up(result)
    if plan.open_loop:
        due = sum(
            int(np.searchsorted(due_times(share), part.result.wall_s * 1e9))
            for share, part in zip(shares_of(plan, NODES), result.nodes)
        )
        told = result.completed + result.errors
        # Each node was stopped a moment before its last answer, on a busy machine 0.1 s.
        assert abs(told - due) < 0.1 * plan.load.rate_per_s


def test_minimums_are_those_of_all_together(nodes, tmp_path):
    plan = RunPlan(load=ConstantRate(900), stop=Stop(min_queries=600), pool=Pool("async"))
    result = nodes.run(plan, target("AwaitedNotes", tmp_path / "seen"), list(range(MANY)))
    assert result.completed >= 600 and result.verdict == "VALID"
    seen = noted(tmp_path / "seen")
    assert seen.total() == result.completed and max(seen.values()) == 1
    assert_adds_up(result)


# -- losses


def lose_one(nodes: NodesHere, path: Path, after: int) -> None:
    """Kill the second node when so many requests were made."""

    def wait_and_kill() -> None:
        while noted(path).total() < after:
            time.sleep(0.02)
        nodes.kill(1)

    threading.Thread(target=wait_and_kill, daemon=True).start()


LOST = [
    (RunPlan(load=ConstantRate(300), stop=Stop(iterations=1_500), pool=Pool("async")), "Awaited"),
    (RunPlan(load=Poisson(300), stop=Stop(iterations=1_500), pool=Pool("thread", 6)), ""),
    (RunPlan(load=ClosedLoop(9), stop=Stop(iterations=3_000)), ""),
    (RunPlan(load=AllAtOnce(3_000), pool=Pool("async", max_in_flight=9)), "Awaited"),
]


@pytest.mark.slow
@pytest.mark.parametrize("on_loss", ["continue", "replace"])
@pytest.mark.parametrize("plan, kind", LOST, ids=["rate", "poisson", "clients", "at once"])
def test_all_that_was_planned_is_accounted_for_when_a_node_is_lost(tmp_path, plan, kind, on_loss):
    with NodesHere(NODES) as nodes:
        slow = target(kind + "Notes", tmp_path / "seen", 0.01)
        lose_one(nodes, tmp_path / "seen", 700)
        result = nodes.run(plan, slow, list(range(MANY)), on_loss=on_loss)
    seen = noted(tmp_path / "seen")
    assert result.verdict == "INVALID"
    assert result.completed + result.errors == plan.planned == result.planned, result.errors_by_kind
    assert_adds_up(result)
    # What was answered after the last checkpoint is not known to have been.
    assert result.completed <= seen.total()
    if on_loss == "continue":
        assert seen.total() - result.completed <= 600  # of a second and a half
        assert len(result.nodes) == NODES
    else:
        assert [part.replaces for part in result.nodes].count(result.nodes[1].name) == 1
        lost, heir = result.nodes[1].result, result.nodes[2].result
        assert heir.completed > 0 and heir.errors == 0
        assert lost.completed + lost.errors + heir.completed == shares_of(plan, NODES)[1].planned
    if plan.pool.kind == "async" and plan.load != LOST[3][0].load:
        assert max(seen.values()) == 1 and max(seen) < plan.planned
