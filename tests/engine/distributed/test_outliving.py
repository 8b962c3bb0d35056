"""Nothing of a node outlives its driver, its guard or its standard input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qs.engine import (
    Factory,
)
from qs.engine.distributed.places.node_process import NodeProcess
from qs.engine.distributed.talking.links import Links
from tests.waiting import gone, until

LIMIT_S = 120.0
PLACE = Factory("tests.node_fakes:Place")
SLOW = pytest.mark.slow


def test_what_is_no_line_for_a_node_is_said():
    command = [sys.executable, "-m", "qs.engine.distributed.node.serving"]
    for line in (b"", b"{}\n", b"nothing\n"):
        ran = subprocess.run(command, input=line, capture_output=True, timeout=LIMIT_S)
        assert ran.returncode == 2 and ran.stderr.count(b"\n") == 1
        assert b"standard input" in ran.stderr


# A driver of one node that runs for ever; it writes down the ids of the processes.
DRIVER = """
import asyncio, json, os, sys, time
from qs.engine import ClosedLoop, Factory, Pool, RunPlan, Stop
from qs.engine.distributed.talking.links import Links
from qs.engine.distributed.places.places import ProcessPlaces

async def main():
    places = ProcessPlaces(1)
    (placed,) = await places.open()
    async with Links(places.address) as links:
        await places.start(placed, links.where_of(0))
        link = await links.connected(0, 60)
        await link.build(Factory("tests.node_fakes:Place"))
        pids = [link.facts["pid"], places._running[0].pid, *await link.call("start_some", 30)]
        pool = Pool(sys.argv[1])
        plan = RunPlan(load=ClosedLoop(), stop=Stop(duration_s=1000), pool=pool, calibrate=False)
        pause_s = 600 if sys.argv[1] == "inline" else 0.001
        await link.prepare(plan, Factory("tests.node_fakes:pausing", {"pause_s": pause_s}))
        link.go(time.perf_counter_ns())
        await asyncio.sleep(0.5)
        print(json.dumps(pids), flush=True)
        await link.finish()

asyncio.run(main())
"""


def driver(kind: str) -> tuple[subprocess.Popen, list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, kind],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    pids = json.loads(process.stdout.readline())
    inner = [child.pid for child in psutil.Process(pids[0]).children(recursive=True)]
    return process, [*pids, *inner]


@pytest.mark.parametrize("kind", ["process", pytest.param("inline", marks=SLOW)])
def test_nothing_outlives_a_driver_that_is_killed(kind):
    """Also if its node is in the midst of a call that blocks its loop."""
    process, pids = driver(kind)
    with process:
        process.kill()
    until(lambda: not any(map(psutil.pid_exists, pids)), 30)


@SLOW
def test_nothing_outlives_a_driver_that_says_nothing_for_too_long():
    process, pids = driver("process")
    with process:
        os.kill(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(8)
        assert psutil.pid_exists(pids[0])  # it may come back yet
        until(lambda: not any(map(psutil.pid_exists, pids[2:])), 30)
        assert time.monotonic() - began < 20
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60)
    until(lambda: not any(map(psutil.pid_exists, pids)), 30)


def test_a_node_ends_with_its_guard_and_with_its_standard_input():
    async def work():
        async with Links("127.0.0.1") as links:
            for number, end in enumerate(
                (
                    lambda node: os.kill(node.pid, signal.SIGKILL),
                    lambda node: node._process.stdin.close(),
                    lambda node: os.kill(node.pid, signal.SIGTERM),
                )
            ):
                where = links.where_of(number)
                node = NodeProcess(where.line(number), environment=dict(os.environ))
                link = await links.connected(number, 60)
                await link.build(PLACE)
                pid = link.facts["pid"]
                end(node)
                await link.until_lost()
                until(lambda pid=pid: gone(pid))
                node.kill()
                node.close()

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))
