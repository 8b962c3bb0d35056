"""The program as tests call it: `qs` in this process, `qs_process` where a process is the point.

A process of its own costs a second of imports, which most tests of options, messages and reports
have no use for. What it alone can show stays with `qs_process`: start-up, signals, exit statuses
as a shell sees them, vendor code in the measuring process, names of the working directory.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from qs.cli.main import run_command_line

ROOT = Path(__file__).parents[2]
LIMIT_S = 240


@dataclass(frozen=True)
class Ran:
    """What a command left: named as subprocess names it."""

    returncode: int
    stdout: str
    stderr: str


def qs(*arguments: object, cwd: Path | None = None, **environment: str) -> Ran:
    """Run one command in this process. A bug raises; the test then shows its traceback."""
    out, err = _text(), _text()
    with (
        _working_in(cwd or ROOT),
        mock.patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            status = run_command_line([str(argument) for argument in arguments])
        except SystemExit as ended:  # click's, after a completion
            status = int(ended.code or 0)
    return Ran(status, _read(out), _read(err))


def command(*arguments: object) -> list[str]:
    """What starts the program with these arguments in a process of its own."""
    return [sys.executable, "-m", "qs", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """What such a process is given: this one's variables, and our checkout on its path."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def qs_process(*arguments: object, cwd: Path | None = None, **more: str) -> Ran:
    """Run one command in a process of its own."""
    ran = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env=environment(**more),
        timeout=LIMIT_S,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def refused(ran: Ran, *words: str) -> None:
    """One message on standard error, exit 2, no traceback, nothing on standard output."""
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    for word in words:
        assert word in ran.stderr


def _text() -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="", write_through=True
    )


def _read(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
