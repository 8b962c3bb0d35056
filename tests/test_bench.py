"""Each benchmark runs by its command and says what it measured in one shape; the parts that judge
are right.

Left out: what the figures are. Quick runs on a busy machine say nothing about speed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
SPREAD = {"median", "least", "lower_quartile", "upper_quartile", "most", "rounds"}
SLOW = {
    "async_clients",
    "measures",
    "confidence",
    "lateness",
    "limit",
    "live_view",
    "memory",
    "newcomer",
    "nodes",
    "openvino_app",
    "overhead",
    "poisson_rate",
    "queue_model",
    "remote",
    "stream",
    "threads_processes",
    "two_runs",
}


@pytest.fixture(scope="module")
def module():
    """Imports a script of bench/ as it is imported by its neighbours, and leaves nothing of it
    behind.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    try:
        yield import_module
    finally:
        sys.path.remove(str(BENCH))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
                del sys.modules[name]


def benches() -> list:
    names = sorted(
        path.stem
        for path in BENCH.glob("*.py")
        if "command(" in path.read_text() and path.stem != "compare"
    )
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


def run_script(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("bench", benches())
def test_quick_run_reports_in_one_shape(bench: str, tmp_path: Path) -> None:
    rounds = "1" if bench in SLOW else "2"
    done = run_script(
        str(BENCH / f"{bench}.py"), "--quick", "--json", "--rounds", rounds, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["bench"] == bench and report["quick"] is True and report["compares"]
    assert report["machine"]["cpu"] and report["machine"]["usable_cores"] >= 1
    assert report["versions"]["python"] and report["versions"]["numpy"] == np.__version__
    assert set(report["load"]) == {"before_percent", "others_percent", "stolen_percent"}
    assert report["goals"]
    for entry in [*report["figures"], *report["goals"]]:
        assert set(entry) >= SPREAD | {"unit"}
        if entry["median"] is not None:
            assert (
                entry["least"]
                <= entry["lower_quartile"]
                <= entry["median"]
                <= entry["upper_quartile"]
                <= entry["most"]
            )
            assert entry["rounds"] in (1, 2) or bench == "two_runs"  # it counts runs, not pairs
    for goal in report["goals"]:
        assert (goal["met"] is None) == (goal["median"] is None)
        if goal["median"] is None:
            # A peer is not installed, or a quick run is too short to tell.
            untold = bench in ("confidence", "limit", "nodes", "remote", "stream")
            assert untold or "LoadGen" in goal["what"] or bench == "triton"
            assert untold or report["notes"]
    assert not list(tmp_path.iterdir()), "a benchmark left files in the working directory"


def test_every_benchmark_is_in_the_table_and_the_readme(module) -> None:
    names = [parameter.values[0] for parameter in benches()]
    assert sorted(module("all").BENCHES) == names
    readme = (BENCH / "README.md").read_text()
    assert all(f"`{name}.py`" in readme for name in names)


def test_a_wrong_option_is_one_message(tmp_path: Path) -> None:
    for arguments in (
        ["recorder.py", "--rounds", "0"],
        ["overhead.py", "--models", "no-such"],
        ["all.py", "--only", "x"],
    ):
        done = run_script(str(BENCH / arguments[0]), *arguments[1:], cwd=tmp_path)
        assert (
            done.returncode != 0
            and "is not allowed" in done.stderr
            and "Traceback" not in done.stderr
        )


def test_sides_take_turns(module) -> None:
    seen = []
    sides = {name: lambda name=name: seen.append(name) or len(seen) for name in "AB"}
    assert module("compare").interleaved(sides, 3) == {"A": [1, 3, 5], "B": [2, 4, 6]}
    assert seen == list("ABABAB")


def test_ratios_are_formed_round_by_round(module) -> None:
    # A machine that becomes ten times slower after the first round changes no ratio.
    compare = module("compare")
    assert compare.pairwise([2.0, 20.0], [1.0, 10.0]) == [2.0, 2.0]
    with pytest.raises(ValueError):
        compare.pairwise([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], (3.0, 3.0, 3.0, 3.0, 3.0, 1)),
        ([1.0, 3.0], (2.0, 1.0, 1.5, 2.5, 3.0, 2)),
        ([5.0, 1.0, 2.0, 4.0, 3.0], (3.0, 1.0, 2.0, 4.0, 5.0, 5)),
    ],
)
def test_spread(module, values: list[float], expected: tuple) -> None:
    spread = module("compare").Spread.of(values)
    assert tuple(vars(spread).values()) == expected


def test_no_values_have_no_spread(module) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        module("compare").Spread.of([])


@pytest.mark.parametrize(
    ("relation", "limit", "values", "met"),
    [
        ("<=", 1.3, [1.0, 1.2, 9.0], True),
        ("<=", 1.3, [1.0, 1.4, 1.5], False),
        (">=", 10, [10.0], True),
        (">=", 10, [9.99], False),
        ("<", 16, [16.0], False),
        (">=", 10, None, None),
    ],
)
def test_a_goal_is_judged_by_the_median(module, relation: str, limit: float, values, met) -> None:
    report = module("compare").Report("some", "something", quick=False)
    report.goal("what", relation, limit, values)
    assert report.goals[0]["met"] is met


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.234, "1.23"),
        (172.4, "172"),
        (999.0, "999"),
        (1234.0, "1,230"),
        (1_987_654.0, "1,990,000"),
    ],
)
def test_figures_have_three_digits(module, value: float, text: str) -> None:
    assert module("compare").short(value) == text


@pytest.mark.parametrize(
    ("due", "service", "servers", "responses"),
    [
        ([0, 100], [10, 10], 1, [10, 10]),  # nobody waits
        ([0, 0, 0], [10, 10, 10], 1, [10, 20, 30]),  # all at once before one server
        ([0, 0, 0], [10, 10, 10], 2, [10, 10, 20]),
        ([0, 1, 2], [100, 5, 5], 2, [100, 5, 9]),  # the second server takes both
        ([0, 5], [10, 1], 1, [10, 6]),  # first come, first served: a short one waits for a long one
    ],
)
def test_the_simulated_queue(
    module, due: list[int], service: list[int], servers: int, responses: list[int]
) -> None:
    assert module("queue_model").fifo_responses(due, service, servers).tolist() == responses


def test_the_simulated_queue_agrees_with_the_theory_of_one_server(module) -> None:
    """Mean wait before one server of fixed service time: load * service / (2 (1 - load)), Pollaczek
    and Khinchine.
    """
    load, service, count = 0.5, 1_000, 400_000
    due = np.cumsum(np.random.default_rng(5).exponential(service / load, count)).astype(np.int64)
    responses = module("queue_model").fifo_responses(due.tolist(), [service] * count, 1)
    assert responses.mean() - service == pytest.approx(load * service / (2 * (1 - load)), rel=0.03)


def test_the_climb_gives_up_where_nothing_holds(module) -> None:
    climb = module("poisson_rate").Climb(1_000.0, 1.05)
    for _ in range(20):
        if climb.done:
            break
        climb.tell(False)
    assert climb.done and climb.held == 0


@pytest.mark.parametrize("capacity", [50.0, 1_000.0, 77_777.0])
def test_the_climb_finds_a_known_capacity(module, capacity: float) -> None:
    climb = module("poisson_rate").Climb(1_000.0, 1.05)
    tried = []
    while not climb.done:
        tried.append(climb.rate)
        climb.tell(climb.rate <= capacity)
    assert capacity / 1.05 <= climb.held <= capacity
    assert all(tried.count(rate) == 3 for rate in set(tried) if rate <= capacity)  # 3 of 3
    assert all(
        tried.count(rate) == 1 for rate in set(tried) if rate > capacity
    )  # one failure is enough


def test_the_last_quarter_is_compared_with_the_first(module) -> None:
    quarters = module("memory").quarters
    assert quarters([9, 1, 1, 1, 1, 2, 2, 2, 2, 0.1]) == 2
    assert quarters([4.0]) == 1


def test_reading_loadgens_summary(module) -> None:
    text = "\n".join(
        [
            "Completed samples per second    : 100199.07",
            "Result is : INVALID",
            "  Min duration satisfied : Yes",
            "50.00 percentile latency (ns)   : 202082",
            "99.90 percentile latency (ns)   : 8889523",
        ]
    )
    summary = module("loadgen").summary_of(text, r"Completed samples per second\s*:\s*([\d.]+)")
    assert (summary.queries_per_s, summary.valid) == (100199.07, False)
    assert summary.latency_ns == {50.0: 202_082, 99.9: 8_889_523}
    with pytest.raises(ValueError, match="names no rate"):
        module("loadgen").summary_of(text, r"QPS: ([\d.]+)")


def test_the_table_replaces_what_stood_between_its_markers(module, tmp_path: Path) -> None:
    every = module("all")
    goal = {
        "what": "A / B",
        "needed": ">= 2",
        "unit": "x",
        "met": False,
        "rounds": 1,
        **dict.fromkeys(SPREAD - {"rounds"}, 1.5),
    }
    report = {
        "bench": "one",
        "goals": [goal],
        "notes": ["a note"],
        "quick": True,
        "started_at": "now",
        "machine": {
            "cpu": "a CPU",
            "virtual": True,
            "usable_cores": 2,
            "memory_gb": 8.0,
            "system": "Linux 1",
        },
        "load": {"others_percent": 3.0, "stolen_percent": 0.0, "before_percent": 0.0},
        "versions": {"python": "3", "numpy": None},
    }
    table = every.table_of([("one", report), ("two", None)])
    assert "| one | A / B >= 2 x | 1.5 x | **missed** |" in table
    assert "| two | | failed to run | |" in table
    assert "Preliminary" in table and "- one: a note" in table
    path = tmp_path / "README.md"
    path.write_text(f"before\n{every.BEGIN}\nold\n{every.END}\nafter\n")
    every.write_whole(path, every.with_table(path.read_text(), table))
    text = path.read_text()
    assert (
        text.startswith("before\n")
        and text.endswith("after\n")
        and "old" not in text
        and table.strip() in text
    )
    with pytest.raises(ValueError, match="markers"):
        every.with_table("no markers", table)
