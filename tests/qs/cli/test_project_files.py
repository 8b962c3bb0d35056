"""Defaults in qs.cfg, pyproject.toml and setup.cfg: which file is taken, what may stand in it, and
that a wrong one is one message.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.cli.project_files import project_file
from tests.qs.program import ROOT, qs, refused

(TOML,) = re.findall(
    r"^```toml\n(.*?)^```$", (ROOT / "docs" / "command-line.md").read_text(), re.M | re.S
)


def values(folder: Path, command: str = "load", *typed: str, **environment: str) -> dict:
    """The settings of a dry run there: name -> [value, origin]."""
    ran = qs(command, "digits", "--dry_run", "--json", *typed, cwd=folder, **environment)
    assert ran.returncode == 0, ran.stderr
    return {
        name: (each["value"], each["origin"])
        for name, each in json.loads(ran.stdout)["values"].items()
    }


def test_the_file_of_the_page_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TOML)
    found = project_file(tmp_path)
    assert found is not None and found.sections == {
        "": {"hardware_type": "CPU", "no_input": "true"},
        "run": {"batch_sizes": ["1", "8"], "time_limit": "5s"},
    }
    assert found.title("run") == "[tool.qs.run]" and found.title("") == "[tool.qs]"


@pytest.mark.parametrize(
    ("written", "option", "value"),
    [
        ("clients = 3", "clients", 3),
        ("clients = '3'", "clients", 3),
        ("batch_sizes = [1, 4]", "batch_sizes", [1, 4]),
        ("batch-sizes = '1,4'", "batch_sizes", [1, 4]),
        ("batch_sizes = 2", "batch_sizes", [2]),
        ("concurrency = 2", "clients", 2),
        ("duration = 2.5", "duration_s", 2.5),
        ("duration = '500ms'", "duration_s", 0.5),
        ("quiet = true\nclients = 1", "clients", 1),
    ],
)
def test_values_as_toml_has_them(tmp_path: Path, written: str, option: str, value: object) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.qs.load]\n{written}\n")
    origin = f"{tmp_path / 'pyproject.toml'} [tool.qs.load]"
    assert values(tmp_path)[option] == (value, origin)


def test_the_order_of_the_files(tmp_path: Path) -> None:
    below = tmp_path / "a"
    below.mkdir()
    (tmp_path / "qs.cfg").write_text("[qs]\nclients = 5\n")
    (below / "setup.cfg").write_text("[qs]\nclients = 4\n")
    assert values(below)["clients"][0] == 4  # the nearest folder
    (below / "pyproject.toml").write_text("[tool.qs]\nclients = 3\n")
    assert values(below)["clients"][0] == 3
    (below / "qs.cfg").write_text("[qs]\nclients = 2\n")
    assert values(below)["clients"][0] == 2
    assert values(below, QS_CLIENTS="7")["clients"] == (7, "QS_CLIENTS")
    assert values(below, "load", "-c", "1")["clients"] == (1, "command line")


def test_a_section_of_a_command_wins_in_toml_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.qs]\nclients = 2\n[tool.qs.load]\nclients = 3")
    assert values(tmp_path)["clients"] == (3, f"{tmp_path / 'pyproject.toml'} [tool.qs.load]")


@pytest.mark.parametrize(
    "text", ["[tool.ruff]\nx = 1", "[tool]\nqs = {}", "clients = ", "[qs]\nx=1"]
)
def test_files_of_others_are_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert project_file(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.qs]\ncleints = 2", ["[tool.qs] cleints", "did you mean 'clients'"]),
        ("[tool.qs.rnu]\nclients = 2", ["[tool.qs.rnu]", "did you mean 'run'"]),
        ("[tool.qs]\nclients = 2026-11-29", ["[tool.qs] clients", "a string, a number"]),
        ("[tool.qs]\nclients = [[1]]", ["[tool.qs] clients", "a string, a number"]),
        ("[tool]\nqs = 3", ["tool.qs is 3", "a table"]),
        ("[tool.qs]\nclients =", ["pyproject.toml: is not TOML"]),
        ("[tool.qs]\nclients = -1", ["[tool.qs]: --clients: '-1'", "from 1 to"]),
        ("[tool.qs]\nclients = nan", ["--clients: 'nan'"]),
        ("[tool.qs]\nquiet = 'perhaps'", ["[tool.qs]: --quiet is 'perhaps'"]),
        ("[tool.qs]\nx = " + "[" * 5000, ["is not TOML"]),
    ],
    ids=lambda each: str(each)[:30],
)
def test_wrong_ones_are_one_message(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    refused(qs("load", "digits", "--dry_run", cwd=tmp_path), "pyproject.toml", *words)


def test_one_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.qs]\nclients = 2")
    file.chmod(0o666)
    refused(qs("load", "digits", "--dry_run", cwd=tmp_path, QS_TRUSTED=""), "QS_TRUSTED")
    assert values(tmp_path, QS_TRUSTED=str(tmp_path))["clients"][0] == 2


def test_damaged_ones(tmp_path: Path) -> None:
    draw, file = random.Random(3), tmp_path / "pyproject.toml"
    for _ in range(200):
        damaged = bytearray(TOML.encode())
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        file.write_bytes(damaged[: draw.randrange(len(damaged))])
        try:
            project_file(tmp_path)
        except UserError as error:
            assert os.fspath(file) in str(error)
