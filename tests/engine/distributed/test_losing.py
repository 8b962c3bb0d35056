from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from qs.engine import Cause, ClosedLoop, ConstantRate, Ending, ErrorKind, Factory, RunPlan, Stop
from qs.engine.clock import FOREVER_NS
from qs.engine.distributed import NodeLost
from qs.engine.distributed.leading.losing import ANSWER_S, SOON_S, Ended, Losing
from tests.nodes_here import NodesHere
from tests.waiting import gone, until

NOTHING = Factory("tests.fakes:make_nothing")
S = 1_000_000_000


def lose_in(here: NodesHere, after_s: float, what: signal.Signals, number: int = 0) -> None:
    """Something happens to a node so long after the common start."""

    def strike() -> None:
        until(lambda: here.nodes._leading is not None and here.nodes._leading.start_ns)
        time.sleep(after_s)
        here.kill(number, what)

    threading.Thread(target=strike, daemon=True).start()


def test_the_others_go_on_and_what_it_had_measured_is_kept():
    with NodesHere(2) as here:
        lose_in(here, 1.6, signal.SIGKILL)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=2.5))
        result = here.run(plan, NOTHING)
        lost, other = result.nodes
        assert "SIGKILL" in lost.lost and not other.lost
        assert other.result.completed == 500
        assert 0.5 < lost.kept_until_s <= lost.lost_at_s
        assert lost.result.completed == pytest.approx(200 * lost.kept_until_s, abs=60)
        assert result.completed == lost.result.completed + other.result.completed
        assert result.verdict == "INVALID"
        assert Cause.NODE_LOST in [cause.code for cause in result.causes]
        assert result.completed + result.errors == 1_000
        assert result.errors_by_kind[ErrorKind.NOT_ISSUED] > 100
        assert result.ended_by is Ending.DURATION


@pytest.mark.slow
def test_all_end_where_that_is_asked():
    with NodesHere(2) as here:
        lose_in(here, 1.5, signal.SIGKILL)
        began = time.monotonic()
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=60))
        result = here.run(plan, NOTHING, on_loss="stop")
        assert time.monotonic() - began < 20
        assert result.ended_by is Ending.NODE_LOST
        lost, other = result.nodes
        # What is decided reaches the others within half a second; on a busy machine, in two.
        assert other.result.wall_s - lost.lost_at_s < 2
        assert here.run(RunPlan(load=ConstantRate(400), stop=Stop(duration_s=0.2)), NOTHING)


@pytest.mark.slow
def test_another_node_takes_over_what_is_left():
    with NodesHere(2) as here:
        lose_in(here, 1.5, signal.SIGKILL)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=8))
        result = here.run(plan, NOTHING, on_loss="replace", keep_columns=True)
        lost, heir, other = result.nodes
        assert heir.replaces == lost.name and not heir.lost
        assert heir.result.completed > 300
        assert result.completed + result.errors == 3_200
        assert result.verdict == "INVALID"
        due = result.columns["due_ns"]
        assert len(set(due.tolist())) == due.size
        # And it is one of the nodes from now on.
        assert heir.name in here.nodes.names and here.nodes.lost == {}
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=0.5))
        assert here.run(plan, NOTHING).verdict == "VALID"


@pytest.mark.slow
def test_a_node_that_hangs_is_lost_and_its_processes_are_ended():
    with NodesHere(2) as here:
        pid = here.pids()[0]
        lose_in(here, 1.5, signal.SIGSTOP)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=6))
        result = here.run(plan, NOTHING, silent_s=2.0)
        assert "nothing was heard of it for 2" in result.nodes[0].lost
        assert result.nodes[1].result.completed == 1_200
        until(lambda: gone(pid), 20)


@pytest.mark.slow
def test_a_run_whose_nodes_are_all_lost_holds_what_was_kept():
    with NodesHere(2) as here:
        lose_in(here, 2.5, signal.SIGKILL, 0)
        lose_in(here, 2.5, signal.SIGKILL, 1)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=60))
        result = here.run(plan, NOTHING)
        assert result.completed > 200 and result.verdict == "INVALID"
        assert result.ended_by in (Ending.LOST, Ending.NODE_LOST)
        assert all(part.lost for part in result.nodes)


@pytest.mark.slow
def test_a_run_ends_while_a_place_is_still_sought():
    with NodesHere(2) as here:

        async def never(but):
            await asyncio.Event().wait()

        here.places.spare = never
        lose_in(here, 0.5, signal.SIGKILL)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(min_duration_s=1.5))
        result = here.run(plan, NOTHING, on_loss="replace")
        assert result.ended_by is Ending.MINIMUMS and result.wall_s < 10


def test_a_run_of_some_time_ends_then_though_a_place_is_still_sought():
    with NodesHere(2) as here:

        async def never(but):
            await asyncio.Event().wait()

        here.places.spare = never
        lose_in(here, 0.3, signal.SIGKILL)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=1.0))
        result = here.do(here.nodes.run(plan, NOTHING, on_loss="replace"), 60)
        assert result.ended_by is Ending.DURATION and result.verdict == "INVALID"
        assert "no other took its place in time" in result.nodes[0].lost


@pytest.mark.slow
def test_without_another_place_the_result_says_so():
    with NodesHere(2) as here:
        ended, end = [], here.places.end

        async def noted(number):
            await end(number)
            ended.append(number)

        async def none(but):
            # Of a place that is still in use nobody could tell that its machine is free.
            assert ended == [0]

        here.places.end = noted
        here.places.spare = none
        lose_in(here, 0.5, signal.SIGKILL)
        plan = RunPlan(load=ConstantRate(400), stop=Stop(duration_s=1.5))
        result = here.run(plan, NOTHING, on_loss="replace")
        assert result.nodes[0].lost.endswith("there is no other to take its place")


@pytest.mark.slow
@pytest.mark.parametrize("on_loss", ["continue", "stop", "replace"])
def test_a_node_that_is_lost_while_it_warms_up(on_loss):
    with NodesHere(2) as here:
        target = Factory("tests.fakes:make_nth", {"nth": 0, "what": "", "pause_s": 0.01})
        plan = RunPlan(load=ClosedLoop(clients=2), stop=Stop(duration_s=0.5), warmup_iterations=150)
        pid = here.pids()[0]
        timer = threading.Timer(0.7, os.kill, (pid, signal.SIGKILL))
        timer.start()
        if on_loss == "stop":
            with pytest.raises(NodeLost, match="SIGKILL"):
                here.run(plan, target, on_loss=on_loss)
            return
        result = here.run(plan, target, on_loss=on_loss)
        assert result.nodes[0].lost and result.nodes[0].kept_until_s is None
        replaced = [part.replaces for part in result.nodes if part.replaces]
        assert len(replaced) == (on_loss == "replace")
        assert result.completed > 20 and result.verdict == "INVALID"


@pytest.mark.slow
def test_a_node_whose_result_cannot_be_had_keeps_its_checkpoint():
    """It dies in its drain."""
    with NodesHere(2) as here:
        target = Factory("tests.fakes:make_nth", {"nth": 250, "what": "hang", "pause_s": 0.005})
        plan = RunPlan(load=ClosedLoop(clients=2), stop=Stop(duration_s=2), drain_s=6)
        lose_in(here, 3.5, signal.SIGKILL)
        result = here.run(plan, target)
        lost, other = result.nodes
        assert lost.lost and lost.result.completed > 100
        assert other.result.errors_by_kind == {ErrorKind.CUT_OFF: 1}


@pytest.mark.slow
def test_one_node_whose_target_hangs_is_not_lost():
    with NodesHere(2, environments=[{"QS_TEST_HANG": "1"}]) as here:
        target = Factory("tests.fakes:make_hanging_here", {"variable": "QS_TEST_HANG"})
        plan = RunPlan(
            load=ClosedLoop(clients=2), stop=Stop(duration_s=1), timeout_s=0.5, drain_s=1
        )
        result = here.run(plan, target)
        assert not any(part.lost for part in result.nodes)
        assert [part.result.errors for part in result.nodes] == [1, 0]
        assert here.run(plan, NOTHING).verdict == "VALID"


class Link:
    heard_ns = answered_ns = 0


class Node:
    link = Link()


class Share:
    """A follower as `Losing` sees it."""

    def __init__(self, duration_s: float | None, phase: str = "measure", heard_ns: int = 0):
        self.share = RunPlan(stop=Stop(duration_s=duration_s))
        self.node, self.phase, self.heard_ns = Node(), phase, heard_ns


@pytest.mark.parametrize(
    ("duration_s", "phase", "ended", "now_s", "late"),
    [
        (10, "measure", None, 10 + 30 + ANSWER_S - 1, False),
        (10, "measure", None, 10 + 30 + ANSWER_S + 1, True),
        (None, "measure", None, FOREVER_NS / 2e9, False),
        (10, "reading", None, 10_000, False),  # which takes as long as it takes
        (100, "measure", Ended(Ending.STABLE, 10 * S), 10 + 30 + ANSWER_S + 1, True),
        (100, "reading", Ended(Ending.INTERRUPT, 10 * S), 10 + 10 + SOON_S + 1, True),
        (100, "drain", Ended(Ending.INTERRUPT, 10 * S), 10 + 10 + SOON_S - 1, False),
    ],
)
def test_how_long_a_node_is_waited_for(duration_s, phase, ended, now_s, late):
    losing = Losing(RunPlan(), 10)
    why = losing.overdue(Share(duration_s, phase), int(now_s * S), 0, ended)
    assert bool(why) is late


def test_a_driver_that_was_held_up_takes_nobody_for_silent():
    losing, share = Losing(RunPlan(), 10), Share(10)
    losing.look(1 * S)
    losing.look(20 * S)
    assert not losing.silent(share, 20 * S)
    for second in range(200, 305):
        losing.look(int(second * S / 10))
    assert "nothing was heard of it for 10" in losing.silent(share, int(30.4 * S))
