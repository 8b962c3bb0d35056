from __future__ import annotations

import subprocess
import sys

ENDS = """
import ctypes, os, subprocess, time
from qs.engine.hosts.descendants import below, end_below

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
shell = "setsid sleep 1000 & trap '' TERM; sleep 1000"
subprocess.Popen(["sh", "-c", shell], env={"PATH": os.environ["PATH"]}, start_new_session=True)
while len(below(os.getpid())) < 3:
    time.sleep(0.01)
end_below()
print(below(os.getpid()))
"""


def test_all_that_was_started_below_a_process_is_ended():
    done = subprocess.run(
        [sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n", done.stderr
