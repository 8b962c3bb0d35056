"""docs/ci.md: its commands run as they stand, in their order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.qs.program import ROOT, qs

PAGE = (ROOT / "docs" / "ci.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"


@pytest.mark.slow
def test_every_command_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    for place in (tmp_path / "main", tmp_path):
        shutil.copy(DIGITS, place / "model.onnx")
    for command in COMMANDS:
        ran = qs(*shlex.split(command)[1:], cwd=tmp_path, QS_DATA=str(tmp_path / "data"))
        # Whether it can be told in so short a time is the machine's business.
        allowed = (0, 3, 4) if "--budget" in command else (0,)
        assert ran.returncode in allowed, f"{command}\n{ran.stdout}\n{ran.stderr}"
    assert (tmp_path / "gate.md").is_file() and (tmp_path / "gate.xml").is_file()


def test_the_page_tells_the_exit_statuses() -> None:
    for status in (0, 2, 3, 4, 130):
        assert f"| {status} |" in PAGE
