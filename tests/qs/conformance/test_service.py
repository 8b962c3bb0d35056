"""The half of the checks that runs in a backend's own environment, which may hold nothing but numpy
and the vendor's packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_looking_needs_nothing_but_numpy():
    heavy = (
        "pydantic click rich onnx onnxruntime filelock platformdirs psutil orjson packaging hdrh"
    )
    code = f"""
import sys
for name in {heavy.split()!r}:
    sys.modules[name] = None  # importing it raises
import qs.conformance.service
from qs.conformance import answers, contract, resources, threads
subjects = (answers, contract, resources, threads)
print(sum(name.startswith("observe") for subject in subjects for name in vars(subject)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 9


@pytest.mark.slow
def test_the_backend_that_comes_with_the_program_conforms(tmp_path):
    command = [sys.executable, "-m", "qs", "check", "--hardware_type", "CPU", "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    statuses = {check["name"]: check["status"] for check in json.loads(ran.stdout)["checks"]}
    assert {name for name, status in statuses.items() if status != "pass"} == {"benchmark"}
