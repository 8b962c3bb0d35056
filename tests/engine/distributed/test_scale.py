"""A thousand nodes: what their driver keeps of them is bounded. How long it takes is measured in
bench/nodes_scale.py, and asserted nowhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_driver_of_a_thousand_nodes_needs_less_than_a_gigabyte():
    command = ["bench/nodes_scale.py", "--nodes", "1000", "--seconds", "10", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, *command, "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr  # the whole is the sum of its parts
    goals = {goal["what"]: goal["median"] for goal in json.loads(done.stdout)["goals"]}
    assert goals["driver's memory, of 1,000 nodes"] < 700
