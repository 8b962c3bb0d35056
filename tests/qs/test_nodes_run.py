"""A task over two nodes of one laptop, typed as it stands in the README, in a fresh copy of the
checkout: no cluster, no set-up, one page that shows both.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qs.result.saved import read_result
from tests.qs.program import ROOT
from tests.qs.render.pages.conftest import browser, show  # noqa: F401
from tests.waiting import gone, until, wait_for_line

TYPED = "qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --nodes 2"
LEFT_OUT = (".git", ".venv*", "build", "dist", "reports", "*.egg-info", "__pycache__", ".*_cache")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "checkout"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


def typed(line: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """The line in the checkout, where `qs` is its program under this interpreter."""
    left_out = ("RAY_ADDRESS", "QS_RUN_NO_PICTURE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    program, *rest = shlex.split(line)
    assert program == "qs"
    return subprocess.run(
        [sys.executable, "-m", "qs", *rest],
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_task_over_two_nodes_as_it_is_typed(checkout, show) -> None:  # noqa: F811
    pytest.importorskip("ray")
    before = set(psutil.pids())
    folders = {*Path("/tmp").glob("qsr-*")}
    ran = typed(TYPED, checkout)
    print(ran.stdout, ran.stderr)
    assert ran.returncode == 0
    (saved,) = checkout.rglob("result-fp32.json")
    rows = read_result(saved).performance
    assert rows
    for row in rows:
        assert len(row.nodes) == 2 and not any(node.lost for node in row.nodes)
        assert row.valid, row
        assert sum(node.completed for node in row.nodes) == row.completed
    (page,) = checkout.rglob("report.html")
    shown = show(page)
    text = shown.page.inner_text("body")
    for node in rows[0].nodes:
        assert node.name in text and node.name in ran.stdout
    assert "Node by node" in text
    assert shown.page.locator("table[id^=nodes-] tbody tr").count() >= 2
    assert shown.page.locator("svg").count() >= 2
    assert not [each for each in shown.said if each.startswith("error")], shown.said
    assert not [each for each in shown.requests if not each.startswith(("file:", "data:"))]
    # one laptop: said, and no more than said
    assert "nodes_together" in {code for row in rows for code in row.warning_codes}
    left = [pid for pid in set(psutil.pids()) - before if _ours(pid, checkout)]
    assert not left, left
    assert not [each for each in {*Path("/tmp").glob("qsr-*")} - folders if not _held(each)]


def _ours(pid: int, checkout: Path) -> bool:
    """Whether a process has the checkout in its environment, as all have that it started."""
    try:
        return str(checkout).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _held(folder: Path) -> bool:
    """Whether the cluster with these files is somebody's, who runs now."""
    try:
        with (folder / "held").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return not folder.exists()
    except OSError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_driver_that_is_killed_leaves_no_file(tmp_path) -> None:
    """Its own temporary folders neither: the process that held Ray clears up after it."""
    pytest.importorskip("ray")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    line = "load digits --hardware_type CPU --nodes 2 --ray local -b 1 --duration 60s --no_history"
    with subprocess.Popen(
        [sys.executable, "-m", "qs", *line.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as driver:
        try:
            wait_for_line(driver, "measuring")
            below = psutil.Process(driver.pid).children(recursive=True)
            assert any(temporary.glob("qs-*"))
        finally:
            driver.kill()
            began = time.monotonic()
    until(lambda: not any(temporary.glob("qs-*")), 60)
    print(f"files: {time.monotonic() - began:.1f} s")
    until(lambda: all(gone(process.pid) for process in below), 60)
    print(f"{len(below)} processes: {time.monotonic() - began:.1f} s")
