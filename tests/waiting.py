"""Waiting for what a process writes, without a guess at how long it takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 120.0
EVERY_S = 0.005


def wait_for(path: Path, text: str, process: subprocess.Popen, times: int = 1) -> None:
    """Until `path` holds `text`, so many times. The process must not end before."""
    limit = time.monotonic() + LIMIT_S
    while not (path.exists() and path.read_text().count(text) >= times):
        assert process.poll() is None, f"ended before {path.name} held {text!r}"
        assert time.monotonic() < limit, f"{path.name} never held {text!r}"
        time.sleep(EVERY_S)


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Until the process prints a line with `text` to its standard error, a pipe."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"ended before it said {text!r}")


def until(holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Until `holds()` is true, looked at often."""
    limit = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < limit, f"it did not become so within {limit_s:g} s"
        time.sleep(EVERY_S)


def gone(pid: int) -> bool:
    """Whether a process has ended, also if nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
