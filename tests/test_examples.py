"""Every example runs by the command it names, and prints what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# What must stand in the output: facts of the example, nothing that a busy machine could change.
SHOWN = {
    "load_test_a_function": (
        r"closed loop: [\d,]+ queries/s",
        r"response time p50 \d+ us",
        "VALID",
    ),
    "async_client": (
        r"8 clients: [\d,]+ queries/s",
        "200/s at random: p99 .* VALID",
        r"20 completed, errors {'LookupError': 20}",
    ),
    "onnx_two_processes": (
        r"1 x 1 thread: [\d,]+ queries/s, .* VALID",
        r"2 x 1 thread: [\d,]+ queries/s, .* VALID",
    ),
    "poisson_server_scenario": (
        "passed: minimum duration",
        "1000 queries/s: INVALID",
        "FAILED: p99 of the response time",
    ),
}

# Whose siblings are quicker.
DEAR = {"load_test_a_function", "onnx_two_processes"}


def run_program(path: Path, cwd: Path) -> subprocess.CompletedProcess:
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_every_example_is_known() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in DEAR else []) for name in SHOWN],
)
def test_example(name: str, tmp_path: Path) -> None:
    done = run_program(EXAMPLES / f"{name}.py", tmp_path)
    assert done.returncode == 0, done.stderr
    for pattern in SHOWN[name]:
        assert re.search(pattern, done.stdout), f"{pattern!r} is not in:\n{done.stdout}"
    assert f"python examples/{name}.py" in (EXAMPLES / f"{name}.py").read_text()
    assert not done.stderr and not list(tmp_path.iterdir())
