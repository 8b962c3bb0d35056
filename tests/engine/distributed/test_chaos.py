"""What befalls a run over a real Ray cluster: raylets, actors, node processes and drivers that are
killed, nodes that stand still, a control store that ends. There is a result each time, which names
what was lost and keeps what was measured; and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from qs.engine import ConstantRate, Pool, RunPlan, RunResult, Stop
from qs.engine.distributed import Nodes, open_nodes
from qs.engine.outcome import Cause, Ending
from tests.clusters import VARIABLES, RayCluster, started_cluster
from tests.engine.distributed.noting import OURS, ROOT, noting
from tests.waiting import gone, until, wait_for

pytestmark = pytest.mark.slow  # each starts a cluster

NODES = 3
PER_NODE_S = 100.0
RUN_S = 6.0
LEFT_S = 10.0  # within so long nothing is left of a driver that was killed


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Of this module: its nodes are killed, and others put in their place."""
    pytest.importorskip("ray")
    with started_cluster() as started:
        yield started


def plan_of(nodes: int, seconds: float = RUN_S) -> RunPlan:
    pool = Pool("thread", workers=nodes)
    return RunPlan(ConstantRate(PER_NODE_S * nodes), Stop(duration_s=seconds), pool)


Hurt = Callable[[Nodes], Any]


async def run_and_hurt(
    address: str, target: Any, hurt: Hurt, at_s: float = 2.5, **options: Any
) -> RunResult:
    """The result of a run over all nodes, in the midst of which something is done to them."""
    going = asyncio.Event()

    def look(progress: Any) -> None:
        if progress.phase == "measure" and progress.elapsed_s >= at_s:
            going.set()

    async with open_nodes(NODES, ray=address, shipped=OURS) as nodes:
        seconds = options.pop("seconds", RUN_S)
        running = asyncio.create_task(
            nodes.run(plan_of(NODES, seconds), target, on_progress=look, **options)
        )
        waiting = asyncio.create_task(going.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert going.is_set(), running.result()
        hurt(nodes)
        result = await running
        after = await nodes.run(plan_of(NODES, 1), target) if len(nodes.lost) < NODES else None
    check_sums(result, seconds)
    if after is not None:  # those that are left serve the next run, and do all of it
        assert after.completed == PER_NODE_S * NODES and not after.errors, after.reasons
    for fact in nodes.facts:
        until(lambda pid=fact["pid"]: gone(pid), LEFT_S)
    return result


def check_sums(result: RunResult, seconds: float) -> None:
    """What is kept of the nodes is the whole, and what is missing is counted."""
    for part in result.nodes:
        print(part.name, part.lost, part.lost_at_s, part.kept_until_s)
    print(result.verdict, result.reasons, result.completed, result.errors_by_kind)
    kept = [part.result for part in result.nodes if part.result is not None]
    assert result.completed == sum(each.completed for each in kept)
    assert result.response.count == result.completed
    if result.ended_by is not Ending.NODE_LOST:
        assert result.completed + result.errors == seconds * PER_NODE_S * NODES


def check_lost(result: RunResult, number: int, seconds: float = RUN_S) -> Any:
    """Exactly this node was lost, and the others did all of their part; its part."""
    for index, part in enumerate(result.nodes):
        if index != number:
            assert not part.lost and part.result is not None
            assert part.result.completed == seconds * PER_NODE_S
    lost = result.nodes[number]
    assert lost.lost and result.verdict == "INVALID"
    assert result.causes[0].code == Cause.NODE_LOST and lost.name in result.reasons[0]
    assert lost.result is not None and lost.kept_until_s is not None
    assert lost.lost_at_s is not None and lost.kept_until_s <= lost.lost_at_s
    # a checkpoint a second, on a busy machine a bit less often
    assert 0.2 * PER_NODE_S <= lost.result.completed < seconds * PER_NODE_S
    return lost


def number_of(nodes: Nodes, raylet: int) -> int:
    """Which of the open nodes a raylet's is: its actor is the raylet's descendant."""
    for number, fact in enumerate(nodes.facts):
        if raylet in [each.pid for each in psutil.Process(fact["pid"]).parents()]:
            return number
    raise AssertionError(f"no node process descends from {raylet}")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_sigkill_of_a_node_process(cluster: RayCluster, tmp_path: Path) -> None:
    hurt = lambda nodes: kill(nodes.facts[1]["pid"])  # noqa: E731
    result = asyncio.run(run_and_hurt(cluster.address, noting(tmp_path / "notes"), hurt))
    lost = check_lost(result, 1)
    assert "SIGKILL" in lost.lost and lost.lost_at_s < 5


def test_sigkill_of_an_actor(cluster: RayCluster, tmp_path: Path) -> None:
    hurt = lambda nodes: kill(psutil.Process(nodes.facts[2]["pid"]).ppid())  # noqa: E731
    result = asyncio.run(run_and_hurt(cluster.address, noting(tmp_path / "notes"), hurt))
    check_lost(result, 2)


def test_sigkill_of_a_raylet(tmp_path: Path) -> None:
    """Its workers end with it, and so does the node process of one of them. A cluster of its own:
    Ray takes a while to see that a node is no more.
    """
    killed: list[int] = []

    with started_cluster(NODES) as doomed:

        def hurt(nodes: Nodes) -> None:
            killed.append(number_of(nodes, doomed.raylets[2]))
            doomed.kill(2)

        began = time.monotonic()
        target = noting(tmp_path / "notes")
        result = asyncio.run(run_and_hurt(doomed.address, target, hurt, seconds=20.0))
        print(f"took {time.monotonic() - began:.1f} s")
    check_lost(result, killed[0], 20.0)


def test_a_node_that_stands_still_for_20_s_is_lost(cluster: RayCluster, tmp_path: Path) -> None:
    """When it wakes up it finds that its driver has let go of it, and ends."""

    def hurt(nodes: Nodes) -> None:
        pid = nodes.facts[1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(20, wake, pid)

    def wake(pid: int) -> None:
        if not gone(pid):
            os.kill(pid, signal.SIGCONT)

    target = noting(tmp_path / "notes")
    began = time.monotonic()
    seconds = 16.0
    result = asyncio.run(run_and_hurt(cluster.address, target, hurt, silent_s=10, seconds=seconds))
    lost = check_lost(result, 1, seconds)
    assert "nothing was heard" in lost.lost and 10 < lost.lost_at_s < 20
    assert time.monotonic() - began < 60


def test_a_node_that_stands_still_for_3_s_shows_it(cluster: RayCluster, tmp_path: Path) -> None:
    def hurt(nodes: Nodes) -> None:
        pid = nodes.facts[1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(3, os.kill, pid, signal.SIGCONT)

    target = noting(tmp_path / "notes")
    result = asyncio.run(run_and_hurt(cluster.address, target, hurt, seconds=8.0))
    assert not any(part.lost for part in result.nodes), result.reasons
    assert result.completed == 8 * PER_NODE_S * NODES
    # 3 of 8 s: what was due meanwhile waited, on that node alone
    slow, *others = (
        part.result.response.percentile_ns(90) for part in (result.nodes[i] for i in (1, 0, 2))
    )
    assert slow > 500_000_000 > max(others)
    assert result.response.percentile_ns(99) > 500_000_000


def test_the_cluster_loses_its_control_store(tmp_path: Path) -> None:
    """Ray ends what has lost it. What was measured until then is kept, and the driver lives."""
    with started_cluster() as doomed:
        (store,) = (
            each
            for each in psutil.Process(doomed.pid).children(recursive=True)
            if each.name() == "gcs_server"
        )
        hurt = lambda nodes: store.kill()  # noqa: E731
        target = noting(tmp_path / "notes")

        async def run() -> RunResult:
            async with open_nodes(NODES, ray=doomed.address, shipped=OURS) as nodes:
                going = asyncio.Event()

                def look(progress: Any) -> None:
                    if progress.phase == "measure" and progress.elapsed_s >= 2.5:
                        going.set()

                running = asyncio.create_task(nodes.run(plan_of(NODES), target, on_progress=look))
                await going.wait()
                hurt(nodes)
                return await running

        began = time.monotonic()
        result = asyncio.run(run())
        print(f"took {time.monotonic() - began:.1f} s")
        check_sums(result, RUN_S)
        assert result.completed >= NODES * 0.5 * PER_NODE_S
        if any(part.lost for part in result.nodes):
            assert result.verdict == "INVALID"
        else:
            assert not result.errors and result.verdict == "VALID"


DRIVER = """
import json, os, sys
from tests.engine.distributed.noting import OURS, noting
from tests.engine.distributed.test_chaos import plan_of
from qs.engine.distributed import open_nodes
from pathlib import Path
import asyncio

async def drive(address, folder):
    async with open_nodes(2, ray=address or "local", shipped=OURS) as nodes:
        print(json.dumps([fact["pid"] for fact in nodes.facts]), flush=True)
        told = []
        def look(progress):
            if progress.phase == "measure" and progress.elapsed_s > 1 and not told:
                told.append(print("measuring", flush=True))
        result = await nodes.run(plan_of(2, 60), noting(Path(folder)), on_progress=look)
        print(result.verdict, flush=True)

asyncio.run(drive(sys.argv[1], sys.argv[2]))
"""


class Driver:
    """A driver in a process of its own, that is in the midst of a run when this returns."""

    def __init__(self, address: str, folder: Path):
        self.out = folder / "out"
        self.files = folder / "tmp"
        self.files.mkdir(parents=True)
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, address, str(folder / "notes")],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.files)},
            )
        try:
            wait_for(self.out, "measuring", self.process)
        except BaseException:
            print(self.out.read_text())
            self.process.kill()
            raise
        self.nodes = json.loads(self.out.read_text().splitlines()[0])

    def all(self) -> set[int]:
        """It and all that it has started, on the cluster's nodes too."""
        own = psutil.Process(self.process.pid)
        found = {own.pid, *(each.pid for each in own.children(recursive=True))}
        for pid in self.nodes:
            node = psutil.Process(pid)
            found |= {pid, node.ppid(), *(each.pid for each in node.children(recursive=True))}
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def listening() -> set[tuple[str, int]]:
    return {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:  # it has ended
        return []


@pytest.mark.parametrize("own", [False, True], ids=["a cluster of others", "a cluster of its own"])
def test_sigkill_of_the_driver_leaves_nothing(
    cluster: RayCluster, tmp_path: Path, own: bool
) -> None:
    driver = Driver("" if own else cluster.address, tmp_path)
    pids = driver.all()
    ports = {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.pid in pids
    }
    words = [word for pid in pids for word in _command(pid)]
    mine = {word for word in words if re.fullmatch(r"/tmp/qsr-\w+", word)}
    assert len(pids) >= 6 and ports and len(mine) == 1
    driver.kill()
    began = time.monotonic()
    until(lambda: all(gone(pid) for pid in pids), LEFT_S)
    until(lambda: not ports & listening(), LEFT_S)
    until(lambda: not any(os.path.exists(folder) for folder in mine), LEFT_S)
    print(f"nothing was left after {time.monotonic() - began:.1f} s of {len(pids)} processes")
    assert not [*driver.files.rglob("*")], "files were left"
    if not own:  # the cluster lives, and has its resources back
        again = Driver(cluster.address, tmp_path / "again")
        again.process.send_signal(signal.SIGINT)
        again.process.wait(60)


def test_a_second_driver_disturbs_nobody(cluster: RayCluster, tmp_path: Path) -> None:
    """Nor does its violent end."""
    others: list[Driver] = []

    async def run() -> RunResult:
        async with open_nodes(NODES, ray=cluster.address, shipped=OURS) as nodes:
            target = noting(tmp_path / "notes")
            running = asyncio.create_task(nodes.run(plan_of(NODES, 25), target))
            driver = await asyncio.to_thread(Driver, cluster.address, tmp_path / "second")
            others.append(driver)
            assert not running.done()
            pids = driver.all() - {os.getpid()}
            assert not pids & {fact["pid"] for fact in nodes.facts}
            driver.kill()
            await asyncio.to_thread(until, lambda: all(gone(pid) for pid in pids), LEFT_S)
            return await running

    result = asyncio.run(run())
    assert result.verdict == "VALID", result.reasons
    assert result.completed == 25 * PER_NODE_S * NODES
