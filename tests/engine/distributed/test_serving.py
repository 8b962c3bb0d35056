"""Real node processes: they build, answer and run; they outlive what they run, and nothing of them
outlives their driver.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import numpy as np
import psutil
import pytest

from qs.engine import (
    ClosedLoop,
    Factory,
    HostError,
    HostTimeout,
    PlanError,
    Poisson,
    Pool,
    RunPlan,
    Stop,
)
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.places.node_process import NodeProcess
from qs.engine.distributed.places.places import ProcessPlaces, Where
from qs.engine.distributed.results.updates import RunOptions
from qs.engine.distributed.talking.facts import KEYS
from qs.engine.distributed.talking.link import Link
from qs.engine.distributed.talking.links import Links
from qs.engine.distributed.targets import NodesTarget
from qs.engine.outcome import Ending
from tests.networks import Network
from tests.node_fakes import Unreadable, summing
from tests.waiting import gone, until

LIMIT_S = 120.0
PLACE = Factory("tests.node_fakes:Place")
PAUSING = Factory("tests.node_fakes:pausing")
SLOW = pytest.mark.slow
KINDS = ("inline", "thread", "process", "async")


def with_nodes(
    work: Callable[..., Awaitable[None]], count: int = 1, silent_s: float = 10.0, **options
) -> None:
    """Run `await work(*links)` with so many node processes."""

    async def inside() -> None:
        places = ProcessPlaces(count, **options)
        try:
            async with Links(places.address, silent_s) as links:
                placed = await places.open()
                for each in placed:
                    await places.start(each, links.where_of(each.number))
                await work(*[await links.connected(each.number, 60) for each in placed])
        finally:
            await places.close()

    asyncio.run(asyncio.wait_for(inside(), LIMIT_S))


def for_ever(kind: str = "thread") -> RunPlan:
    return RunPlan(
        load=ClosedLoop(clients=1), stop=Stop(duration_s=1_000), pool=Pool(kind), calibrate=False
    )


async def started(link: Link, plan: RunPlan, target: object, **options) -> None:
    """Prepare and start a run, and wait until something has been measured."""
    await link.prepare(plan, target, **options)
    await link.synchronise(4)
    link.go(link.clock.to_node(time.perf_counter_ns() + 50_000_000))
    while not (await link.updates.get()).completed:
        pass


def test_a_node_says_what_it_is_and_answers(tmp_path):
    note = tmp_path / "note"

    async def work(link):
        assert tuple(link.facts) == KEYS
        assert psutil.pid_exists(link.facts["pid"])
        assert link.facts["environment"]["OMP_NUM_THREADS"] == "3"
        await link.synchronise(16)
        reading = link.clock.reading(time.perf_counter_ns())
        assert abs(reading.offset_ns) <= reading.uncertainty_ns  # one machine has one clock
        with pytest.raises(HostError, match="AttributeError"):
            await link.call("say", 30)  # nothing is built yet
        await link.build(Factory(PLACE.reference, {"note": str(note)}))
        value = {"a": [1, (2.5, None)], 3: b"4"}
        said = await link.call("say", 30, value=value)
        assert said == {"pid": link.facts["pid"], "value": value}
        assert await link.call("say_later", 30, value="x") == "x"
        await link.build(PLACE)
        assert note.read_text() == "left"
        note.unlink()
        await link.build(Factory(PLACE.reference, {"note": str(note)}))

    with_nodes(work, environments=[{"OMP_NUM_THREADS": "3"}])
    assert note.read_text() == "left"


def test_whatever_is_raised_on_a_node_is_a_fault_with_its_words_and_the_node_goes_on():
    async def work(link):
        for reference, kind in (("tests.no_such:x", "ModuleNotFound"), ("tests.waiting:x", "Attr")):
            with pytest.raises(HostError, match=kind):
                await link.build(Factory(reference))
        for fault in (ValueError("no"), SystemExit(3), KeyboardInterrupt(), StopIteration(1)):
            with pytest.raises(HostError) as raised:
                await link.build(Factory(PLACE.reference, {"fault": fault}))
            assert raised.value.kind == type(fault).__name__
        await link.build(PLACE)
        for method in ("raise_", "raise_later"):
            for fault in (ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()):
                with pytest.raises(HostError) as raised:
                    await link.call(method, 30, fault=fault)
                assert raised.value.is_a(type(fault)) and "node_fakes.py" in raised.value.traceback
        with pytest.raises(HostError, match="Two: one"):
            await link.call("raise_two", 30)
        with pytest.raises(HostError, match="cannot be sent: builtins.object is no plain data"):
            await link.call("give", 30)
        with pytest.raises(HostError, match="ProcessLookupError"):
            await link.call("say", 30, value=Unreadable())
        assert await link.call("stray", 30) == "well"
        assert (await link.call("say", 30))["value"] is None

        # The same of what a run builds.
        plan = RunPlan(load=ClosedLoop(clients=1, iterations=10), calibrate=False)
        for pool in (Pool(), Pool("process"), Pool("async")):
            for fault in (ValueError("no"), SystemExit(3)):
                raising = Factory("tests.node_fakes:raising", {"fault": fault})
                with pytest.raises(HostError, match=type(fault).__name__):
                    await link.prepare(RunPlan(**{**vars(plan), "pool": pool}), raising)
        for method in ("no_target", "no_method"):
            with pytest.raises(HostError, match="OSError|AttributeError"):
                await link.prepare(plan, NodesTarget(method, {"fault": OSError("x")}))
        with pytest.raises(HostError, match="ProcessLookupError"):
            await link.prepare(plan, summing, [Unreadable()])
        with pytest.raises(PlanError, match="iterations: missing"):
            await link.prepare(RunPlan(), summing)
        await link.prepare(plan, summing, [1, 2])
        link.go(time.perf_counter_ns())
        assert (await link.finish()).completed == 10

    with_nodes(work)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[SLOW] * (kind in ("thread", "process"))) for kind in KINDS]
)
def test_a_run_of_each_kind_begins_when_it_is_told_and_tells_what_it_measures(kind):
    plan = RunPlan(
        load=Poisson(200, seed=1), stop=Stop(duration_s=1.3), pool=Pool(kind), calibrate=False
    )
    options = RunOptions(keep_columns=True, update_s=0.2, checkpoint_s=0.4)

    async def work(link):
        await link.build(PLACE)
        await link.synchronise(16)
        target = NodesTarget("target", {"pause_s": 0.001, "kind": kind})
        if kind == "process":
            target = PAUSING
        await link.prepare(plan, target, [1, 2, 3], options)
        start_ns = time.perf_counter_ns() + 100_000_000
        link.go(link.clock.to_node(start_ns))
        result = await link.finish()
        assert result.ended_by is Ending.DURATION and result.errors_by_kind == {}
        assert abs(link.clock.to_driver(result.start_ns) - start_ns) < 2_000_000
        assert result.completed == result.response.count == 261  # as this seed has it
        columns = result.columns
        assert {each.size for each in columns.values()} == {261}
        assert np.all(columns["completed_ns"] > columns["issued_ns"])
        updates = [link.updates.get_nowait() for _ in range(link.updates.qsize())]
        assert len(updates) >= 3
        counts = [each.completed for each in updates]
        assert counts == sorted(counts) and 0 < counts[-1] <= 261
        told = [interval for each in updates for interval in each.intervals or ()]
        assert 0 < sum(int(each.counts.sum()) for each in told) <= 261
        kept = [each.snapshot for each in updates if each.snapshot is not None]
        assert kept and kept[-1].response.count == kept[-1].completed
        assert all(each.start_ns == result.start_ns for each in updates)
        assert updates[-1].began_ns >= result.start_ns > updates[-1].told_ns
        assert updates[-1].progress.phase in ("measure", "drain")

    with_nodes(work)


def test_a_run_ends_when_it_is_told_for_the_reason_that_it_is_told():
    async def work(link):
        for kind in KINDS:
            await started(link, for_ever(kind), PAUSING if kind != "async" else COROUTINE)
            link.end(Ending.STABLE)
            result = await link.finish()
            assert result.ended_by is Ending.STABLE and result.completed
        # A call that blocks the node's own loop is cut off.
        blocking = Factory(PAUSING.reference, {"pause_s": 600})
        await link.prepare(for_ever("inline"), blocking)
        link.go(time.perf_counter_ns())
        await asyncio.sleep(0.3)
        link.end(Ending.INTERRUPT)
        result = await link.finish()
        assert result.ended_by is Ending.INTERRUPT and result.interrupted
        assert result.errors_by_kind == {"cut off": 1}
        # One that has not begun ends as well.
        await link.prepare(for_ever(), PAUSING)
        link.end(Ending.NODE_LOST)
        result = await link.finish()
        assert result.completed == 0 and result.interrupted
        await started(link, for_ever(), PAUSING)
        link.end(Ending.INTERRUPT)
        assert (await link.finish()).completed

    with_nodes(work)


def test_a_run_ends_that_was_told_to_before_its_target_was_there():
    async def work(link):
        await link.build(PLACE)
        target = NodesTarget("target_later", {"seconds": 0.5})
        preparing = asyncio.ensure_future(link.prepare(for_ever(), target))
        await asyncio.sleep(0.2)
        link.end(Ending.INTERRUPT)
        await preparing
        result = await asyncio.wait_for(link.finish(), 20)
        assert result.interrupted and result.completed == 0
        # The word was for that run, and not for the next one.
        await started(link, for_ever(), target)
        link.end(Ending.STABLE)
        assert (await link.finish()).ended_by is Ending.STABLE

    with_nodes(work)


COROUTINE = Factory("tests.node_fakes:pausing_coroutine")


def test_the_clock_and_signs_of_life_are_answered_whatever_the_process_does():
    """A call that holds the interpreter's lock, and one that blocks the loop, for a second."""

    async def work(link):
        blocking = Factory(PAUSING.reference, {"pause_s": 600})
        await link.prepare(for_ever("inline"), blocking)
        link.go(time.perf_counter_ns())
        await asyncio.sleep(0.3)
        await link.synchronise(16)
        assert link.clock.least_round_trip_ns < 20_000_000
        link.end(Ending.INTERRUPT)
        await link.finish()

    with_nodes(work)


def test_a_place_may_print_close_what_it_prints_to_fork_and_start_processes():
    async def work(link):
        await link.build(PLACE)
        assert await link.call("misbehave", 30) == "well"
        assert await link.call("fork_in_the_loop", 30) == "parent"
        pids = await link.call("start_some", 30)
        assert all(psutil.pid_exists(pid) for pid in pids)
        await link.prepare(RunPlan(load=ClosedLoop(iterations=10)), PAUSING)
        link.go(time.perf_counter_ns())
        assert (await link.finish()).completed == 10
        assert link.lost == ""
        left.extend((*pids, link.facts["pid"]))

    left: list[int] = []
    with_nodes(work)
    assert all(gone(pid) for pid in left)


def test_a_process_that_dies_is_lost_with_the_reason_and_so_is_all_it_started():
    async def work(*links):
        for link in links:
            await link.build(PLACE)
        killed, exited, crashed = links
        pids = await killed.call("start_some", 30)
        await started(killed, for_ever("process"), PAUSING)
        finishing = asyncio.ensure_future(killed.finish())
        calling = asyncio.ensure_future(exited.call("exit", 30, status=7))
        os.kill(killed.facts["pid"], signal.SIGKILL)
        with pytest.raises(NodeLost, match="its process ended: signal SIGKILL"):
            await finishing
        with pytest.raises(NodeLost, match="its process ended: exit status 7"):
            await calling
        with pytest.raises(NodeLost, match="its process ended: signal SIGSEGV"):
            await crashed.call("die", 30, number=int(signal.SIGSEGV))
        until(lambda: all(gone(pid) for pid in pids))

    with_nodes(work, 3)


def test_a_call_that_hangs_ends_in_time_and_a_coroutine_leaves_the_node_alive():
    async def work(link):
        await link.build(PLACE)
        with pytest.raises(HostTimeout, match="sleep_later did not end within 0.2 s"):
            await link.call("sleep_later", 0.2, seconds=1_000)
        assert link.lost == ""
        with pytest.raises(HostTimeout, match="sleep did not end within 0.2 s"):
            await link.call("sleep", 0.2, seconds=1_000)
        assert link.lost == "sleep did not end when it was told to"
        left.append(link.facts["pid"])

    left: list[int] = []
    with_nodes(work)
    until(lambda: gone(left[0]), 30)


@SLOW
def test_a_driver_whose_event_loop_is_busy_keeps_its_nodes():
    async def work(link):
        await asyncio.sleep(1.5)
        time.sleep(13.0)  # longer than a node waits for a driver that is silent
        await link.build(PLACE)
        assert (await link.call("say", 30))["value"] is None

    with_nodes(work)


@SLOW
def test_a_line_that_is_cut_for_some_seconds_loses_no_node():
    """And one that is cut for longer loses it on both sides."""

    async def work(link):
        await link.build(PLACE)
        await started(link, for_ever(), PAUSING, options=RunOptions(update_s=0.2))
        network.cut(1)
        await asyncio.sleep(8.5)
        network.heal(1)
        while not link.updates.empty():
            link.updates.get_nowait()
        await asyncio.wait_for(link.updates.get(), 5)
        assert link.lost == ""
        assert (await link.call("say", 30))["value"] is None
        network.cut(1)
        assert await link.until_lost() == "nothing was heard of it for 10 s"
        until(lambda: gone(link.facts["pid"]), 30)

    with Network(1, to_ms=5, from_ms=5) as network:
        with_nodes(work, prefixes=[network.prefix(1)], address=network.driver)


@SLOW
def test_a_process_that_is_stopped_is_silent():
    async def work(link):
        os.kill(link.facts["pid"], signal.SIGSTOP)
        assert await link.until_lost() == "nothing was heard of it for 3 s"
        until(lambda: gone(link.facts["pid"]))

    with_nodes(work, silent_s=3.0)


def test_who_cannot_reach_a_driver_says_so():
    """Nothing listens there; a driver with another secret does; what listens is no driver."""

    async def work():
        async with Links("127.0.0.1") as links:
            port = links.where_of(0).port
            server = await asyncio.start_server(greet, "127.0.0.1", 0)
            other = server.sockets[0].getsockname()[1]
            wheres = [
                (Where("127.0.0.1", port, b"w" * 32), "closed the connection"),
                (Where("127.0.0.1", other, b"w" * 32), "is no driver of nodes"),
                (Where("127.0.0.1", 1, b"w" * 32), "Connection refused"),
            ]
            nodes = [
                NodeProcess(where.line(0), environment=dict(os.environ)) for where, _ in wheres
            ]
            for node, (_, why) in zip(nodes, wheres):
                await node.ended()
                assert "exit status 3" in node.how() and why in node.how()
                node.close()
            server.close()
            await server.wait_closed()

    async def greet(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 100)
        await writer.drain()
        writer.close()

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))
