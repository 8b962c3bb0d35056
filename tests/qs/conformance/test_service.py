"""The half of the checks that runs in a backend's own environment, which may hold nothing but numpy and the vendor's packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_looking_needs_nothing_but_numpy():
    heavy = "pydantic click rich onnx onnxruntime json5 filelock platformdirs psutil orjson packaging hdrh"
    code = f"""
import sys
for name in {heavy.split()!r}:
    sys.modules[name] = None  # importing it raises
import qs.conformance.service
from qs.conformance.checks import CHECKS
looking = [module.__name__ for module in CHECKS if hasattr(module, "observe")]
print(len(looking))
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 9
