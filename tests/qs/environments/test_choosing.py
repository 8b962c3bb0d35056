"""What a backend's process is given when it runs under our own interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from qs.environments import interpreter_for


def test_python3_is_the_interpreter_that_we_run_under(tmp_path: Path, monkeypatch) -> None:
    """A virtual environment that nobody activated is not on PATH; a vendor's subprocess starts
    `python3` all the same.
    """
    own = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    for mode in ("current", "auto"):
        found = interpreter_for(tmp_path, mode, print)
        assert found.variables == {"PATH": f"{own}{os.pathsep}{tmp_path}"}
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{tmp_path}")
    python3 = Path(own, "python3")
    assert interpreter_for(tmp_path, "current", print).variables == {} or not python3.exists()
