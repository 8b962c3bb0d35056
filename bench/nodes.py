"""What one plan over nodes costs: two nodes against one, one node against `engine.run` alone.

The target does nothing. Also measured: how long nodes take to open, what a run takes beside its
load, and what passes between driver and node.

Nodes are processes pinned to a core each: children of this one and, if Ray is installed,
of actors of clusters that are started here and ended again. `engine.run` is in a process of its own
on the same core as the one node that it is compared with. All sides run in turn. The driver has no
core of its own on a machine of two: what it takes while nodes run is measured, and stands in the
report.

    python bench/nodes.py [--json] [--quick] [--no-ray]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import traffic
from compare import Report, Say, command, pairwise

from qs.engine import ClosedLoop, Factory, Pool, RunPlan, RunResult, Stop
from qs.engine.distributed import Nodes, NodesTarget, ProcessPlaces, Shipped, open_nodes

FOLDER = Path(__file__).parent
# nodes import what they call from here, as bench.targets
OURS = Shipped(modules=(FOLDER,))
PLACE = Factory("bench.targets:Pinned")
POOLS = ("thread", "inline", "async")
ONE, TWO = "1 node", "2 nodes"
RAY_ONE, RAY_TWO = "1 node on Ray", "2 nodes on Ray"
# starts a cluster of one node and prints its address, until its input ends
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={
    "num_cpus": 2, "include_dashboard": False, "object_store_memory": 100_000_000})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
# the engine without the door: the rate of one run
ALONE = """
import sys
from nodes import checked, plan_of
from targets import Pinned
from qs.engine import run
kind, core, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
target = getattr(Pinned(), f"{kind}_target")(core)
print(checked(run(plan_of(kind, 1, seconds), target)).queries_per_s)
"""
Side = Callable[[], Awaitable[Any]]


def plan_of(kind: str, clients: int, seconds: float) -> RunPlan:
    return RunPlan(ClosedLoop(clients), Stop(duration_s=seconds), Pool(kind), calibrate=False)


def checked(result: RunResult) -> RunResult:
    if result.verdict != "VALID":
        raise RuntimeError("; ".join(result.reasons))
    return result


class Over:
    """Runs over open nodes, and what this process spent on those of threads."""

    def __init__(self, nodes: Nodes, cores: tuple[int, ...]):
        self.nodes = nodes
        self.cores = cores
        self.beside_s: list[float] = []  # of a run, before and after its load
        self.driver: list[float] = []  # cores' worth of CPU that this process took

    async def run(self, kind: str, seconds: float) -> RunResult:
        clients = len(self.cores)
        target = NodesTarget(f"{kind}_target", lambda index, share: {"core": self.cores[index]})
        began, own = time.perf_counter(), time.process_time()
        result = checked(await self.nodes.run(plan_of(kind, clients, seconds), target))
        took_s = time.perf_counter() - began
        if kind == POOLS[0]:
            self.driver.append((time.process_time() - own) / took_s)
            self.beside_s.append(took_s - seconds)
        return result

    async def rate(self, kind: str, seconds: float) -> float:
        return (await self.run(kind, seconds)).queries_per_s


async def alone(kind: str, core: int, seconds: float) -> float:
    """`engine.run` on a core, in a process that does nothing else."""
    words = (sys.executable, "-c", ALONE, kind, str(core), str(seconds))
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, cwd=FOLDER
    )
    said, _ = await process.communicate()
    return float(said)


async def in_turn(sides: dict[str, Side], rounds: int, say: Say) -> dict[str, list[Any]]:
    """As compare.interleaved, on the event loop that the nodes are open on."""
    given: dict[str, list[Any]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            say(f"round {number + 1} of {rounds}: {name}")
            gc.collect()
            given[name].append(await side())
    return given


async def opened(stack: AsyncExitStack, nodes: Any, cores: tuple[int, ...], **more: Any) -> Over:
    """Nodes with our place in each, until the stack is left."""
    over = Over(await stack.enter_async_context(open_nodes(nodes, **more)), cores)
    await over.nodes.build(PLACE)
    return over


def start_up(nodes: Any, **more: Any) -> Side:
    """How long it takes until nodes are open, and to close them, in seconds."""

    async def once() -> tuple[float, float]:
        began = time.perf_counter()
        async with open_nodes(nodes() if callable(nodes) else nodes, **more):
            open_s = time.perf_counter() - began
            began = time.perf_counter()
        return open_s, time.perf_counter() - began

    return once


@contextmanager
def running_cluster() -> Iterator[str]:
    """A cluster of Ray that runs already: its address."""
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **variables},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


async def measure_all(options: argparse.Namespace, report: Report, say: Say) -> None:
    cores = tuple(sorted(os.sched_getaffinity(0)))[:2]
    seconds = 0.5 if options.quick else 3.0
    with_ray = not options.no_ray and find_spec("ray") is not None
    if len(cores) < 2:
        report.note("this machine has one usable core: two nodes share it")
        cores = cores * 2
    async with AsyncExitStack() as stack:
        sets = {
            ONE: await opened(stack, ProcessPlaces(1, OURS), cores[:1]),
            TWO: await opened(stack, ProcessPlaces(2, OURS), cores),
        }
        sides: dict[str, Side] = {
            name: partial(over.rate, "thread", seconds) for name, over in sets.items()
        }
        for kind in POOLS:
            sides[f"{kind}, engine.run"] = partial(alone, kind, cores[0], seconds)
            if kind != "thread":
                sides[f"{kind}, 1 node"] = partial(sets[ONE].rate, kind, seconds)
        found = await in_turn(sides, options.rounds, say)
    if with_ray:  # on their own: what clusters do beside all that takes time from both cores
        async with AsyncExitStack() as stack:
            say("starting clusters")
            sets[RAY_ONE] = await opened(stack, 1, cores[:1], ray="local", shipped=OURS)
            sets[RAY_TWO] = await opened(stack, 2, cores, ray="local", shipped=OURS)
            sides = {
                name: partial(sets[name].rate, "thread", seconds) for name in (RAY_ONE, RAY_TWO)
            }
            found |= await in_turn(sides, options.rounds, say)
    found["thread, 1 node"] = found[ONE]
    for name, values in found.items():
        if name != "thread, 1 node":
            report.figure(f"null target, {name}", "queries/s", values)
    for name, over in sets.items():
        report.figure(f"CPU of the driver, {name}", "cores", over.driver)
        report.figure(f"a run beside its load, {name}", "s", over.beside_s)
    report.goal(f"{TWO} / {ONE}", ">=", 1.9, pairwise(found[TWO], found[ONE]), "x")
    ray_pairs = pairwise(found[RAY_TWO], found[RAY_ONE]) if with_ray else None
    report.goal(f"{RAY_TWO} / {RAY_ONE}", ">=", 1.9, ray_pairs, "x")
    if not with_ray:
        report.note("Ray is not installed or was left out: nodes on Ray were not measured")
    for kind in POOLS:
        pairs = pairwise(found[f"{kind}, 1 node"], found[f"{kind}, engine.run"])
        report.goal(f"{kind}: 1 node / engine.run, the same core", ">=", 0.99, pairs, "x")
    await measure_start_up(options, report, say, with_ray)
    await measure_traffic(options, report, say)
    report.note(
        "the driver is this process, which is pinned to no core; beside two nodes on two cores it "
        "takes its time from them, and its CPU is among the figures"
    )


async def measure_start_up(
    options: argparse.Namespace, report: Report, say: Say, with_ray: bool
) -> None:
    sides = {"processes, without Ray": start_up(lambda: ProcessPlaces(2))}
    rounds = 1 if options.quick else min(options.rounds, 3)
    if not with_ray:
        found = await in_turn(sides, rounds, say)
    else:
        with running_cluster() as address:
            sides["a cluster that runs"] = start_up(1, ray=address)
            sides["a cluster that is started"] = start_up(2, ray="local")
            found = await in_turn(sides, rounds, say)
    for name, values in found.items():
        report.figure(f"opening nodes, {name}", "s", [each[0] for each in values])
        report.figure(f"closing nodes, {name}", "s", [each[1] for each in values])


async def measure_traffic(options: argparse.Namespace, report: Report, say: Say) -> None:
    """Bytes a second between the driver and one node, with progress that is watched or not."""
    say("control traffic")
    seconds = 2.0 if options.quick else 10.0
    counting = traffic.Counting(ProcessPlaces(1, OURS))
    async with open_nodes(counting) as nodes:
        await nodes.build(PLACE)
        target = NodesTarget("thread_target", {"core": min(os.sched_getaffinity(0))})
        for watched in (False, True):
            counted: list[tuple[float, int, int]] = []

            def look(progress: Any, counted: list[tuple[float, int, int]] = counted) -> None:
                if progress.phase == "measure":
                    counted.append((time.perf_counter(), counting.to_bytes, counting.from_bytes))

            before = (time.perf_counter(), counting.to_bytes, counting.from_bytes)
            plan = plan_of("thread", 1, seconds)
            checked(await nodes.run(plan, target, on_progress=look if watched else None))
            first, last = (counted[1], counted[-1]) if len(counted) > 2 else (before, None)
            last = last or (time.perf_counter(), counting.to_bytes, counting.from_bytes)
            what = "watched" if watched else "a whole run, its plan and result included"
            per_s = [(b - a) / (last[0] - first[0]) for a, b in zip(first[1:], last[1:])]
            report.figure(f"to one node, {what}", "bytes/s", per_s[:1])
            report.figure(f"from one node, {what}", "bytes/s", per_s[1:])


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    asyncio.run(measure_all(options, report, say))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-ray", action="store_true", help="leave out nodes on Ray")


if __name__ == "__main__":
    command("nodes", __doc__, measure, rounds=9, add_options=add_options)
