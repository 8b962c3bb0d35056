from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest

from qs.engine import ClosedLoop, Factory, HostError, HostTimeout, RunPlan
from qs.engine.distributed import NodeLost, NodesError, NodesTarget, ProcessPlaces, open_nodes
from qs.engine.distributed.leading.open_node import names_of
from qs.engine.distributed.places.places import Placed
from tests.nodes_here import SHIPPED, NodesHere
from tests.waiting import gone, until

THING = Factory("tests.fakes:Thing")
NOTHING = Factory("tests.fakes:make_nothing")
PLAN = RunPlan(load=ClosedLoop(clients=2, iterations=20))


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "b"], ["a 1", "a 2", "b"]),
        (["a", "a", "a 1"], ["a 2", "a 3", "a 1"]),
        ([], []),
    ],
)
def test_every_node_has_a_name_of_its_own(hosts, names):
    assert names_of([Placed(number, host, "") for number, host in enumerate(hosts)]) == names


def test_nodes_are_asked_together_and_told_apart():
    with NodesHere(2) as here:
        nodes = here.nodes
        assert len(set(nodes.names)) == 2 and nodes.lost == {}
        assert all(facts["machine"] for facts in nodes.facts)
        assert all(clock.round_trips >= 16 for clock in nodes.clocks)
        here.do(nodes.build(THING))
        assert here.do(nodes.call("say", 60, suffix="!")) == ["hello!"] * 2
        each = here.do(nodes.call("echo", 60, each=lambda number: {"value": [number, 2.5]}))
        assert each == [[0, 2.5], [1, 2.5]]
        with pytest.raises(HostError, match=r"ValueError: on node .* [12]: as asked"):
            here.do(nodes.call("misbehave", 60, what="ValueError"))
        assert here.do(nodes.call("say", 60)) == ["hello"] * 2  # they live on
        target = NodesTarget("make", lambda number, share: {"instance": share.clients + number})
        result = here.run(PLAN, target)
        assert (result.verdict, result.completed) == ("VALID", 40)
        with pytest.raises(HostTimeout, match=r"on node .*, misbehave did not end within 0.2 s"):
            here.do(nodes.call("misbehave", 0.2, what="hang"))


def test_a_node_that_cannot_be_asked_may_be_left_out():
    with NodesHere(2) as here:
        here.do(here.nodes.build(THING))
        here.kill(0)
        until(lambda: here.nodes.lost)
        answers = here.do(here.nodes.call("say", 60, on_loss="continue"))
        assert answers == [None, "hello"]
        result = here.run(PLAN, NOTHING)
        lost, went = result.nodes
        assert lost.result is None and "SIGKILL" in lost.lost and went.result.completed == 40
        assert result.verdict == "INVALID" and "SIGKILL" in result.reasons[0]
        here.kill(1)
        until(lambda: len(here.nodes.lost) == 2)
        with pytest.raises(NodesError, match=r"no node is left.*SIGKILL"):
            here.run(PLAN, NOTHING)


def test_what_cannot_be_opened_leaves_nothing_behind():
    async def main():
        prefixes = [(), ("sh", "-c", "echo no room; exit 7")]
        places = ProcessPlaces(2, SHIPPED, prefixes=prefixes)
        with pytest.raises(NodeLost, match=r"exit status 7; it printed last: no room") as caught:
            async with open_nodes(places):
                pass
        assert caught.value.name
        assert places._running == {}

    asyncio.run(main())
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]
    assert not [task for task in tasks if not task.done()]


def test_an_interrupt_gives_up_opening():
    async def main():
        interrupt = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, interrupt.set)
        places = ProcessPlaces(1, SHIPPED, prefixes=[("sh", "-c", "sleep 1000")])
        with pytest.raises(NodesError, match="interrupted before the nodes were open"):
            async with open_nodes(places, interrupt=interrupt):
                pass

    asyncio.run(main())


@pytest.mark.slow
def test_many_runs_on_the_same_nodes_leave_nothing_behind():
    with NodesHere(2) as here:

        def held() -> tuple[int, int]:
            gc.collect()
            tasks = asyncio.run_coroutine_threadsafe(_tasks(), here.loop).result()
            return tasks, len(os.listdir("/proc/self/fd"))

        for _ in range(3):
            here.run(PLAN, NOTHING)
        tasks, files = held()
        inside = [len(os.listdir(f"/proc/{pid}/fd")) for pid in here.pids()]
        for _ in range(40):
            assert here.run(PLAN, NOTHING).verdict == "VALID"
        assert held()[0] <= tasks + 2 and held()[1] <= files
        assert [len(os.listdir(f"/proc/{pid}/fd")) for pid in here.pids()] == inside


async def _tasks() -> int:
    return len(asyncio.all_tasks())


@pytest.mark.slow
def test_a_place_is_told_that_it_ends_and_what_it_started_ends_with_it():
    with NodesHere(1) as here:
        here.do(here.nodes.build(THING))
        [sleeper] = here.do(here.nodes.call("start_sleeper", 60))
        [daemon] = here.do(here.nodes.call("start_daemon", 60))
    until(lambda: gone(sleeper) and gone(daemon), 20)


@pytest.mark.slow
def test_a_node_that_is_stopped_between_runs_is_lost():
    with NodesHere(1) as here:
        here.kill(0, signal.SIGSTOP)
        until(lambda: here.nodes.lost, 30)
        assert "nothing was heard of it" in here.nodes.lost[0]
