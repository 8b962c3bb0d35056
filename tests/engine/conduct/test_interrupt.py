"""Ctrl-C: the run ends in order with what was measured, and nothing is left running, whoever is
killed how.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import psutil
import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    Pool,
    RunPlan,
    Stop,
    run,
    run_async,
)
from tests.engine.hosts.test_child_host import gone
from tests.fakes import Counter, Nth

PROGRAM = """
import json, sys
from qs.engine import ClosedLoop, ConstantRate, Factory, Pool, RunPlan, Stop, run

load = {"closed": ClosedLoop(clients=2), "open": ConstantRate(500)}[sys.argv[2]]
clients = 1 if sys.argv[1] == "inline" else 2
if clients == 1 and sys.argv[2] == "closed":
    load = ClosedLoop()
plan = RunPlan(load, Stop(duration_s=600), Pool(sys.argv[1], workers=clients), drain_s=1)

hang_at = int(sys.argv[3])

def show(progress):
    # Rows of a slice that hangs are counted when it is given up: time alone tells that it hangs.
    under_way = progress.elapsed_s > 2 if hang_at else progress.completed >= 20
    if progress.phase == "measure" and under_way:
        print("going", flush=True)

kwargs = {"nth": hang_at, "what": "hang", "pause_s": 0.001}
target = Factory("tests.fakes:make_nth", kwargs)
result = run(plan, target, on_progress=show)
print(json.dumps({
    "interrupted": result.interrupted, "ended_by": result.ended_by,
    "completed": result.completed, "count": result.response.count,
    "verdict": result.verdict, "reasons": result.reasons, "errors": result.errors_by_kind,
}), flush=True)
"""


class Program:
    """A program in a process of its own that runs the engine."""

    def __init__(
        self, kind: str, load: str = "closed", hang_at: int = 0, folder: Path | None = None
    ):
        command = [sys.executable, "-c", PROGRAM, kind, load, str(hang_at)]
        root = Path(__file__).parents[3]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
            env=os.environ | ({} if folder is None else {"TMPDIR": str(folder)}),
            start_new_session=True,
        )
        line = self.process.stdout.readline()
        if line != "going\n":
            self.process.kill()
            raise AssertionError((line, self.process.communicate()))
        self.children = [
            child.pid for child in psutil.Process(self.process.pid).children(recursive=True)
        ]

    def end(self) -> tuple[dict, str]:
        out, err = self.process.communicate(timeout=60)
        return json.loads(out.splitlines()[-1]), err


@pytest.fixture
def start():
    """Starts programs, and leaves none behind however the test ends."""
    started: list[Program] = []

    def begin(*arguments) -> Program:
        started.append(Program(*arguments))
        return started[-1]

    yield begin
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
            program.process.communicate()


@pytest.mark.parametrize(
    ("kind", "load", "children"),
    [
        ("thread", "open", 0),
        ("process", "closed", 2),
        pytest.param("inline", "closed", 0, marks=pytest.mark.slow),
        pytest.param("process", "open", 2, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_the_run_in_order(start, kind, load, children):
    program = start(kind, load)
    assert len(program.children) == children
    program.process.send_signal(signal.SIGINT)
    result, err = program.end()
    assert result["interrupted"] is True
    assert result["ended_by"] == "interrupt"
    assert result["completed"] == result["count"] >= 10
    assert result["verdict"] == "INVALID"
    assert any("interrupted" in reason for reason in result["reasons"])
    assert set(result["errors"]) <= {"not issued"}
    assert program.process.returncode == 0
    assert err == ""
    assert all(gone(pid) for pid in program.children)


def test_ctrl_c_while_a_thread_hangs(start):
    program = start("thread", "closed", 30)
    time.sleep(0.3)
    program.process.send_signal(signal.SIGINT)
    result, _ = program.end()
    assert result["interrupted"] is True
    assert result["completed"] == 58
    assert sum(result["errors"].values()) == 2


def test_a_killed_program_leaves_no_process_and_no_file(start, tmp_path):
    """Not even those that hang and will never see that nobody listens."""
    program = start("process", "closed", 20, tmp_path)
    assert len(program.children) == 2
    program.process.kill()
    program.process.communicate(timeout=60)
    assert all(gone(pid) for pid in program.children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("thread", signal.SIGINT),
        ("process", signal.SIGTERM),
        pytest.param("process", signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_second_signal_ends_at_once_and_leaves_nothing(
    start, tmp_path, kind, first, hangups_are_heard
):
    """It left log files, and "Task was destroyed but it is pending!" on standard error."""
    program = start(kind, "closed", 30, tmp_path)
    program.process.send_signal(first)
    time.sleep(0.3)
    program.process.send_signal(signal.SIGINT)
    _, err = program.process.communicate(timeout=60)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "pending" not in err
    assert program.process.returncode != 0
    assert all(gone(pid) for pid in program.children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_end_a_run_as_ctrl_c_does(start, tmp_path, number, hangups_are_heard):
    program = start("process", "closed", 0, tmp_path)
    program.process.send_signal(number)
    result, err = program.end()
    assert (result["interrupted"], err, program.process.returncode) == (True, "", 0)
    assert result["completed"] == result["count"] >= 10
    assert all(gone(pid) for pid in program.children)
    assert list(tmp_path.iterdir()) == []


class Sends:
    """A target that, in its n-th call, sends signals to the main thread from another one, and then
    blocks it. A call of its own is cut off at once, or never.
    """

    def __init__(self, nth: int, *signals: int, stubborn: bool = False):
        self.left = nth
        self.signals = signals
        self.stubborn = stubborn

    def __call__(self, sample: object) -> None:
        self.left -= 1
        if self.left == 0:
            threading.Thread(target=self._send).start()
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                if not self.stubborn:
                    raise
                time.sleep(60)

    def _send(self) -> None:
        for number in self.signals:
            signal.pthread_kill(threading.main_thread().ident, number)
            time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "load", [ClosedLoop(iterations=90), ConstantRate(5_000)], ids=["closed", "open"]
)
def test_a_call_that_blocks_an_inline_run_is_cut_off(monkeypatch, number, load, hangups_are_heard):
    """The signal was looked at when the call, and one more, had ended."""
    monkeypatch.setattr("qs.engine.conduct.signals.GRACE_S", 0.05)
    plan = RunPlan(load, Stop(duration_s=600), Pool("inline"))
    result = run(plan, Sends(20, number))
    assert (result.ended_by, result.completed) == (Ending.INTERRUPT, 19)
    assert result.completed == result.response.count
    assert result.errors_by_kind.pop("cut off") == 1
    assert set(result.errors_by_kind) <= {"not issued"}


def test_an_inline_warm_up_that_blocks_is_cut_off(monkeypatch):
    monkeypatch.setattr("qs.engine.conduct.signals.GRACE_S", 0.05)
    plan = RunPlan(ClosedLoop(iterations=9), pool=Pool("inline"), warmup_iterations=9)
    result = run(plan, Sends(5, signal.SIGINT))
    assert (result.ended_by, result.completed, result.errors) == (Ending.INTERRUPT, 0, 0)


def test_a_second_ctrl_c_ends_a_call_that_caught_the_first(monkeypatch):
    monkeypatch.setattr("qs.engine.conduct.signals.GRACE_S", 0.02)
    plan = RunPlan(ClosedLoop(iterations=9), pool=Pool("inline"))
    result = run(plan, Sends(5, signal.SIGINT, signal.SIGINT, stubborn=True))
    assert (result.ended_by, result.completed) == (Ending.INTERRUPT, 4)


def test_a_target_s_own_keyboard_interrupt_is_its_failure():
    target = Nth(3, "KeyboardInterrupt")
    result = run(RunPlan(ClosedLoop(iterations=9), pool=Pool("inline")), target)
    assert (result.completed, result.errors_by_kind) == (8, {"KeyboardInterrupt": 1})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_s_own_handler_stays_during_a_run(number):
    seen = []
    before = signal.signal(number, lambda *_: seen.append("mine"))
    try:
        result = run(RunPlan(ClosedLoop(iterations=3)), lambda _: os.kill(os.getpid(), number))
    finally:
        signal.signal(number, before)
    assert (set(seen), result.interrupted) == ({"mine"}, False)


def setting(event: asyncio.Event, after: int):
    """A target of a millisecond that sets the event in its n-th call."""
    loop, calls = asyncio.get_running_loop(), count(1)

    def target(sample: object) -> None:
        time.sleep(0.001)
        if next(calls) == after:
            loop.call_soon_threadsafe(event.set)

    return target


def test_an_event_interrupts_run_async():
    async def inside():
        interrupt = asyncio.Event()
        plan = RunPlan(ClosedLoop(clients=2), Stop(duration_s=600))
        return await run_async(plan, setting(interrupt, after=20), interrupt=interrupt)

    result = asyncio.run(inside())
    assert result.interrupted
    assert result.completed == result.response.count >= 20
    assert result.wall_s < 60


def test_an_interrupt_during_warm_up_measures_nothing_and_says_so():
    async def inside():
        interrupt = asyncio.Event()
        plan = RunPlan(ClosedLoop(iterations=50), warmup_s=600)
        return await run_async(plan, setting(interrupt, after=20), interrupt=interrupt)

    result = asyncio.run(inside())
    assert (result.interrupted, result.completed) == (True, 0)
    assert result.warmup.completed > 0


def test_cancelling_run_async_stops_the_workers():
    target = Counter()

    def slow(sample):
        target(sample)
        time.sleep(0.001)

    async def inside():
        task = asyncio.ensure_future(run_async(RunPlan(ClosedLoop(), Stop(duration_s=600)), slow))
        while len(target.seen) < 10:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(inside())
    time.sleep(0.1)
    calls = len(target.seen)
    time.sleep(0.1)
    assert len(target.seen) == calls


def test_the_callers_own_handler_is_back_after_a_run():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("mine"))
    try:
        run(RunPlan(ClosedLoop(iterations=3)), Counter())
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["mine"]


def test_run_works_outside_the_main_thread():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(
            run(RunPlan(ConstantRate(1_000), Stop(iterations=50)), Counter(), None)
        )
    )
    thread.start()
    thread.join(60)
    assert found[0].completed == 50


def test_progress_is_told_in_order_and_adds_up():
    told = []
    plan = RunPlan(ClosedLoop(clients=2, iterations=300), pool=Pool("thread"), warmup_iterations=20)
    result = run(plan, Nth(0, "", pause_s=0.002), on_progress=told.append)
    order = ["build", "warmup", "measure", "drain"]
    phases = [order.index(progress.phase) for progress in told]
    assert phases == sorted(phases)
    assert "measure" in {progress.phase for progress in told}
    measured = [progress for progress in told if progress.phase in ("measure", "drain")]
    counts = [progress.completed for progress in measured]
    assert counts == sorted(counts)
    assert counts[-1] == result.completed == 600
    assert {progress.planned for progress in measured} == {600}
    assert any(progress.eta_s is not None for progress in measured)


@pytest.mark.parametrize(
    ("target", "pool", "warm_up"),
    [
        (Nth(1, "hang"), Pool("thread"), 9),
        (Factory("tests.fakes:make_nth", {"nth": 1, "what": "hang"}), Pool("process"), 9),
        (Factory("tests.fakes:make_nth", {"nth": 1, "what": "stop"}), Pool("process"), 9),
        (Factory("tests.fakes:Broken", {"what": "hang"}), Pool("thread"), 0),  # the build hangs
    ],
)
def test_an_interrupt_before_the_start_waits_a_moment_for_what_hangs(
    monkeypatch, target, pool, warm_up
):
    """It waited as long as a request or a build may take."""
    monkeypatch.setattr("qs.engine.conduct.ending.INTERRUPT_DRAIN_S", 0.1)
    interrupt = asyncio.Event()

    def show(progress):
        if progress.phase == "warmup" or not warm_up:
            interrupt.set()

    plan = RunPlan(
        ClosedLoop(iterations=50),
        pool=pool,
        warmup_iterations=warm_up,
        timeout_s=3_000,
        build_timeout_s=6_000,
        calibrate=False,
    )
    result = asyncio.run(run_async(plan, target, on_progress=show, interrupt=interrupt))
    assert (result.interrupted, result.ended_by) == (True, Ending.INTERRUPT)
    assert (result.completed, result.errors, result.verdict) == (0, 0, "INVALID")
