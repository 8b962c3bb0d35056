"""Standard streams that are closed, full or without a reader end nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.qs.program import ROOT, environment

PROGRAM = """
import os, socket, sys
from qs.base import streams
streams.keep_going()
for at in range(2000):
    print("out", at, flush=at % 100 == 0)
    print("err", at, file=sys.stderr)
sys.stdout.buffer.write(b"raw")
print("\\udcff")
with socket.socket() as made, open(os.devnull) as other:
    assert made.fileno() > 2 and other.fileno() > 2
assert sys.stdin.read() == ""
with open(sys.argv[1], "w") as file:
    file.write(str(streams.lost_output()))
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("redirected", "lost"),
    [
        (">/dev/null 2>&1", "None"),
        ("2>&1 | head -1 >/dev/null", "None"),
        (">/dev/null 2>/dev/full", "None"),
        (">/dev/full", "No space left on device"),
        ("2>&- >/dev/null", "None"),
        (">&-", "None"),
        ("<&- >&- 2>&-", "None"),
    ],
)
def test_a_lost_stream_ends_nothing(tmp_path, redirected, lost):
    program, told = tmp_path / "program.py", tmp_path / "told"
    program.write_text(PROGRAM)
    command = f'set -o pipefail; "{sys.executable}" "{program}" "{told}" {redirected}'
    ran = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert ran.returncode == 7, ran.stderr
    assert told.read_text() == lost
    assert b"Traceback" not in ran.stderr and b"Exception" not in ran.stderr
