"""The commands of docs/accuracy.md, in their order, in one empty folder; and what the page says of
them.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.qs.program import ROOT, qs

PAGE = (ROOT / "docs" / "accuracy.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    assert COMMANDS
    said = ""
    for command in COMMANDS:
        ran = qs(*shlex.split(command)[1:], cwd=tmp_path, QS_CACHE=str(tmp_path / "cache"))
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        said += ran.stdout
    for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            assert line in said, line


def test_every_data_set_of_the_page_is_there() -> None:
    named = re.findall(r"^\| (open_\w+) \|", PAGE, re.MULTILINE)
    assert len(named) == 5
    for name in named:
        assert (ROOT / "datasets" / name / "data_loader.py").is_file()
