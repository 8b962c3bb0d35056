from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from qs.engine import ClosedLoop, Factory, PlanError, RunPlan
from qs.engine.distributed import NodesError, ProcessPlaces, open_nodes, run_on, run_on_async
from tests.nodes_here import SHIPPED
from tests.waiting import wait_for

ROOT = Path(__file__).parents[3]
NOTHING = Factory("tests.fakes:make_nothing")


def test_it_blocks_and_returns_what_was_measured():
    said = []
    plan = RunPlan(load=ClosedLoop(clients=2, iterations=10))
    result = run_on(ProcessPlaces(2, SHIPPED), plan, NOTHING, [1, 2], say=said.append)
    assert (result.verdict, result.completed) == ("VALID", 20)
    assert said == ["starting 2 nodes"]


def test_faults_are_told_before_anything_is_measured():
    plan = RunPlan(load=ClosedLoop(clients=1, iterations=10))
    with pytest.raises(PlanError, match="clients: 1 is not allowed over 2 nodes"):
        run_on(ProcessPlaces(2, SHIPPED), plan, NOTHING)
    with pytest.raises(PlanError, match="cannot be found from another process"):
        run_on(ProcessPlaces(1, SHIPPED), plan, lambda sample: None)


def test_inside_a_loop_it_says_what_to_await():
    async def main():
        with pytest.raises(RuntimeError, match=r"await qs.engine.distributed.run_on_async"):
            run_on(ProcessPlaces(1), RunPlan(), NOTHING)
        interrupt = asyncio.Event()
        interrupt.set()
        with pytest.raises(NodesError, match="interrupted"):
            await run_on_async(ProcessPlaces(1), RunPlan(), NOTHING, interrupt=interrupt)
        with pytest.raises(TypeError, match="event loop"):
            await asyncio.to_thread(run_on, open_nodes(ProcessPlaces(1)), RunPlan(), NOTHING)

    asyncio.run(main())


SCRIPT = """
import sys
from qs.engine import ClosedLoop, Factory, RunPlan, Stop
from qs.engine.distributed import ProcessPlaces, Shipped, run_on
from pathlib import Path
target = Factory("tests.fakes:make_nth", {target})
plan = RunPlan(load=ClosedLoop(clients=2), stop=Stop(duration_s=600), warmup_iterations={warm})
out = open(sys.argv[1], "w", buffering=1)
said = set()
def tell(progress):
    if progress.phase not in said or progress.completed > 20:
        said.add(progress.phase)
        print(progress.phase, "some" if progress.completed > 20 else "", file=out)
shipped = Shipped(modules=(Path("tests").resolve(),))
result = run_on(ProcessPlaces(2, shipped), plan, target, on_progress=tell)
print("interrupted", result.interrupted, result.ended_by, result.completed > 20, file=out)
print("nodes", [part.lost for part in result.nodes], file=out)
"""
SLEEPY = '{"nth": 0, "what": "", "pause_s": 0.01}'
HANGS = '{"nth": 1, "what": "hang"}'


def started(tmp_path: Path, target: str, warm: int = 0) -> tuple[subprocess.Popen, Path]:
    script = tmp_path / "script.py"
    text = SCRIPT.replace("{target}", target).replace("{warm}", str(warm))
    script.write_text(textwrap.dedent(text))
    out = tmp_path / "out.txt"
    process = subprocess.Popen(
        [sys.executable, str(script), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, out


def test_ctrl_c_ends_it_in_order_and_keeps_what_was_measured(tmp_path):
    process, out = started(tmp_path, SLEEPY)
    wait_for(out, "measure some", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    told = out.read_text()
    assert "interrupted True interrupt True" in told and "nodes ['', '']" in told, errors
    assert process.returncode == 0 and not errors


@pytest.mark.slow
def test_ctrl_c_during_the_warm_up_ends_it(tmp_path):
    process, out = started(tmp_path, HANGS, warm=5)
    wait_for(out, "build", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "interrupted True interrupt False" in out.read_text(), errors


@pytest.mark.slow
def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    process, out = started(tmp_path, HANGS, warm=5)
    wait_for(out, "build", process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode not in (0, None) and "KeyboardInterrupt" in errors
