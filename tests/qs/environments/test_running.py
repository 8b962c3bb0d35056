"""Installers as processes: their lines, their end, and their being ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from qs.environments.running import LAST_LINES, InstallFailed, Stopped, run


def python(code, heard=lambda line: None, **more):
    return run([sys.executable, "-c", code], cwd=Path("/"), env=os.environ, heard=heard, **more)


def test_lines_come_as_they_are_printed():
    heard = []
    code = r"""
import sys, time
print("one"); print("two", file=sys.stderr, flush=True)
sys.stdout.write("\x1b[32m10%\r50%\r100%\x1b[0m\n\n  last"); sys.stdout.flush()
"""
    python(code, heard.append)
    assert sorted(heard) == sorted(["two", "one", "10%", "50%", "100%", "  last"])


def test_a_failure_has_its_status_and_the_last_lines():
    with pytest.raises(InstallFailed, match="exit status 3") as caught:
        python("import sys\nfor number in range(50): print(number)\nsys.exit(3)")
    assert caught.value.tail == tuple(str(number) for number in range(50 - LAST_LINES, 50))


def test_a_signal_is_named():
    with pytest.raises(InstallFailed, match="signal SIGTERM"):
        python("import os; os.kill(os.getpid(), 15)")


def test_what_cannot_be_run_is_a_failure():
    with pytest.raises(InstallFailed, match=r"/no/such cannot be run: No such file"):
        run(["/no/such"], cwd=Path("/"), env={}, heard=print)


def test_stop_ends_it_and_what_it_started():
    stop, pids = threading.Event(), []

    def heard(line):
        pids.append(int(line))
        stop.set()

    code = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); "
        "time.sleep(600)"
    )
    with pytest.raises(Stopped):
        python(code, heard, stop=stop)
    for _ in range(100):
        if (
            not Path(f"/proc/{pids[0]}/cmdline").is_file()
            or not Path(f"/proc/{pids[0]}/cmdline").read_bytes()
        ):
            break
        time.sleep(0.02)
    else:
        pytest.fail("what it had started still runs")


def test_what_it_left_running_is_not_waited_for():
    pids: list[int] = []
    python(
        "import subprocess; print(subprocess.Popen(['sleep', '200']).pid)",
        lambda line: pids.append(int(line)),
    )
    os.kill(pids[0], signal.SIGTERM)  # it still runs: else ProcessLookupError


def test_nothing_is_read_from_our_standard_input():
    python("import sys; assert sys.stdin.read() == ''")
