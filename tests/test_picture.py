"""The README's picture is drawn by a script from a saved result; here from a short run's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_picture_shows_the_result_and_fetches_nothing(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = (
        "-m qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --batch_sizes 1 "
        "--iterations 5 --no_input --quiet"
    )
    subprocess.run(
        [sys.executable, *command.split()], cwd=tmp_path, env=env, check=True, timeout=120
    )
    (saved,) = tmp_path.glob("reports/CPU/*/result-*.json")
    drawn = tmp_path / "picture.svg"
    subprocess.run(
        [sys.executable, ROOT / "docs/picture.py", saved, drawn], env=env, check=True, timeout=60
    )
    text = drawn.read_text()
    words = re.sub(r"<[^>]*>", " ", text).replace("&#160;", " ")
    assert "Top-1 0.9867" in words and "verdict: VALID" in words and "items/s" in words
    assert "url(http" not in text and "href" not in text
