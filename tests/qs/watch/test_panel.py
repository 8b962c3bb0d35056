"""The panel in its widths, and on a real terminal."""

from __future__ import annotations

import sys
from dataclasses import replace

import pexpect
import pytest

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run
from qs.engine.conduct.progress import Progress
from qs.watch.panel import Machine, Panel, bar
from tests.qs.small_backend import environment

DIGITS = [
    "-m",
    "qs",
    "run",
    "--task",
    "digits-cnn-onnx-fp32",
    "--hardware_type",
    "CPU",
    "--no_input",
]


def panel(*seen: Progress, limit_s=10.0, asked_per_s=None) -> Panel:
    machine = Machine(clock=lambda: 0.0)
    made = Panel("batch size 4 (1 of 2)", limit_s, machine, asked_per_s)
    for each in seen:
        made.see(each)
    return made


MEASURING = Progress(
    "measure",
    1234,
    None,
    2,
    5.0,
    250.0,
    180.0,
    5.0,
    3_000_000,
    9_000_000,
    4_000_000,
    12_000_000,
    7,
    5,
    3,
    40_000,
)


def test_everything_that_is_known_is_shown():
    said = "\n".join(panel(MEASURING, asked_per_s=400.0).lines(120))
    for part in (
        "batch size 4",
        "50%",
        "5.0 s left",
        "1,234 queries",
        "rate    180/s now, 250/s overall, 400/s asked: not kept up",
        "p50     4 ms now, 3 ms overall",
        "p99     12 ms now, 9 ms overall",
        "7 in flight",
        "5 of them wait",
        "3 dropped",
        "late by p99 0.04 ms: they wait for a worker",
        "2 errors",
    ):
        assert part in said, part


@pytest.mark.parametrize(
    ("late_ns", "backlog", "words", "style"),
    [
        (40_000, None, "in time", "green"),
        (5_300_000, None, "too late, over 10% of p50", "yellow"),
        (40_000, 5, "they wait for a worker", "yellow"),
    ],
)
def test_it_says_whether_lateness_is_bad(late_ns, backlog, words, style):
    shown = panel(replace(MEASURING, lateness_p99_ns=late_ns, backlog=backlog)).rows(120)
    (line,) = [parts for parts in shown if parts[0][0].startswith("late by")]
    assert line[-1] == (words, style)


@pytest.mark.parametrize(
    ("served", "said"),
    [(396.0, "396/s overall, 400/s asked"), (300.0, "300/s overall, 400/s asked: not kept up")],
)
def test_a_rate_that_is_kept_up_is_no_fault(served, said):
    shown = panel(replace(MEASURING, queries_per_s=served), asked_per_s=400.0).lines(120)
    assert [line for line in shown if line.startswith("rate")] == [f"rate    180/s now, {said}"]


def test_before_the_measured_phase_the_phase_is_said():
    assert panel(Progress("build")).lines(80) == ["batch size 4 (1 of 2): loading"]
    assert "warming up, 12 queries" in panel(Progress("warmup", 12)).lines(80)[0]
    reading = Progress("reading", 90, errors=10, read=20)
    assert panel(reading).lines(80) == ["batch size 4 (1 of 2): reading answers, 20 of 100"]


def test_the_sparkline_has_the_last_intervals():
    made = panel(
        *(
            Progress("measure", 1, p99_ns=1, p50_ns=1, p99_now_ns=1_000_000 * n)
            for n in range(1, 100)
        )
    )
    line = made.lines(60)[-1]
    assert line.startswith("p99     ▁") and line.endswith("█ 72 to 99 ms")
    assert len(line) <= 60
    assert made.trace().endswith("█ 40 to 99 ms")


def test_what_stays_needs_more_than_one_interval():
    assert panel(MEASURING).trace() is None


BARS = [
    (5, 10, ("━" * 10, "─" * 10, "50%")),
    (20, 10, ("━" * 20, "", "100%")),
    (1, None, ("", "", "")),
]


@pytest.mark.parametrize(("done", "total", "expected"), BARS)
def test_the_bar(done, total, expected):
    assert bar(done, total, 20) == expected


def test_the_machine_is_looked_at_once_a_second():
    now = [0.0]
    machine = Machine(clock=lambda: now[0])
    machine.look()
    assert machine.parts() == []
    for now[0] in (1.5, 3.0):
        machine.look()
    said = "".join(words for words, _ in machine.parts())
    assert "engine" in said and "CPUs" in said and "memory" in said


@pytest.mark.parametrize(
    "width", [pytest.param(width, marks=pytest.mark.slow) for width in (60, 80, 120)]
)
def test_on_a_real_terminal(tmp_path, width):
    """A panel while it runs, gone afterwards, no line wider than the terminal."""
    child = pexpect.spawn(
        sys.executable,
        [
            *DIGITS,
            "--batch_sizes",
            "1",
            "--clients",
            "1",
            "--duration",
            "3s",
            "--out",
            str(tmp_path),
        ],
        dimensions=(30, width),
        env=environment(),
        encoding="utf-8",
        timeout=60,
        cwd=str(tmp_path),
    )
    child.expect(r"/s now, .*/s overall")
    child.expect("machine")
    child.setwinsize(20, width - 10)
    child.expect("verdict: VALID")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_progress_in_open_loop_says_what_waits():
    import time

    seen: list[Progress] = []
    plan = RunPlan(
        load=Poisson(1_000, 0),
        stop=Stop(duration_s=1.5),
        pool=Pool("thread", workers=1),
        calibrate=False,
    )
    run(plan, lambda sample: time.sleep(0.002), on_progress=seen.append)
    last = [each for each in seen if each.phase == "measure"][-1]
    # About half of 1,000/s is answered: some hundred wait, one is being served.
    assert last.in_flight > 200 and last.backlog == last.in_flight - 1
    assert last.lateness_p99_ns > 50_000_000 and last.p99_now_ns > 0
    seen.clear()
    run(
        RunPlan(load=ClosedLoop(), stop=Stop(duration_s=0.6), calibrate=False),
        lambda sample: None,
        on_progress=seen.append,
    )
    assert seen[-1].in_flight is None and seen[-1].lateness_p99_ns is None
