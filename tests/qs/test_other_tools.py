"""docs/other-tools.md: its commands run as they stand, in their order; the published schema is the
one that results are held against.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from qs.result.result import SCHEMA
from qs.schema.published import schema_of
from tests.qs.program import qs
from tests.qs.watch.test_metrics import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "other-tools.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_every_command_of_the_page(tmp_path):
    for command in COMMANDS:
        ran = qs(*shlex.split(command.replace(":9464", f":{free_port()}"))[1:], cwd=tmp_path)
        allowed = (0, 3) if "--rate" in command else (0,)  # keeping up is the machine's business
        assert ran.returncode in allowed, f"{command}\n{ran.stdout}\n{ran.stderr}"
    left = {path.name for path in tmp_path.iterdir()} | {
        path.name
        for path in (tmp_path / "reports").rglob("*")  # also beside the runs before the last
    }
    assert {
        "run.prom",
        "trace.json",
        "report.html",
        "result.csv",
        "result.parquet",
        "result.xml",
        "result.pdf",
    } <= left
    assert (tmp_path / "reports" / "index.html").exists()


def test_the_published_schema_of_this_version_is_the_one_in_use():
    path = ROOT / "docs" / "schemas" / f"result-{SCHEMA}.schema.json"
    assert json.loads(path.read_text()) == schema_of("result"), (
        f"python -m qs schema result > {path.relative_to(ROOT)}"
    )
