"""The jobs for GitHub and GitLab: their shell lines, run by a shell as a runner would, in a
repository with a branch.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from qs.ci.snippets import snippet_of
from qs.cli.commands import load
from tests.qs.program import ROOT, qs

NAMES = ("github", "gitlab")
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"


def shell_of(text: str) -> list[str]:
    """The commands of a job, in order: each `run:` of a step, each line of `script:`. Of YAML as
    much as these two files use: a value on the same line, a block that keeps its lines (|), and one
    that joins them (>-).
    """
    found: list[str] = []
    lines = text.splitlines()
    script = next((at for at, line in enumerate(lines) if line.strip() == "script:"), None)
    for at, line in enumerate(lines):
        step = re.match(r"^( *)(?:- )?run: (.*)$", line)
        item = re.match(r"^( *)- (.*)$", line) if script is not None and at > script else None
        if item and item[1] != "    ":
            item = None
        matched = step or item
        if matched is None:
            continue
        value = matched[2]
        if value in ("|", ">-"):
            depth = len(matched[1])
            block = []
            for more in lines[at + 1 :]:
                if more.strip() and len(more) - len(more.lstrip()) <= depth:
                    break
                block.append(more.strip() if value == ">-" else more)
            value = (" " if value == ">-" else "\n").join(block)
        found.append(value)
    return [each for each in found if not each.startswith(("gate.md", "reports"))]


@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_is_printed_and_its_options_exist(name):
    ran = qs("ci", "--snippet", name)
    assert ran.returncode == 0 and ran.stdout == snippet_of(name)
    typed = "\n".join(shell_of(ran.stdout))
    assert "pip install quicksilver-perf" in typed and "qs ci " in typed
    known = {flag for param in load("ci").params for flag in param.opts}
    assert set(re.findall(r"(?<= )--\w+", typed.split("qs ci ")[1].split("||")[0])) <= known


def test_a_line_of_a_script_is_found():
    text = "a:\n  script:\n    - one\n    - >-\n      two\n      three\n  artifacts:\n"
    assert shell_of(text) == ["one", "two three"]
    assert shell_of("steps:\n  - name: x\n    run: |\n      a\n      b\n  - run: c\n") == [
        "      a\n      b",
        "c",
    ]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tools(tmp_path_factory) -> Path:
    """What a runner has: `qs` as it is installed, and programs of which only the call counts."""
    made = tmp_path_factory.mktemp("tools")
    scripts = {
        "pip": "exit 0",
        "gh": 'echo "$@" >> "$GH_CALLS"; test -s gate.md',
        "qs": f'exec "{sys.executable}" -m qs "$@"',
    }
    for name, text in scripts.items():
        (made / name).write_text(f"#!/bin/sh\n{text}\n")
        (made / name).chmod(0o755)
    return made


def laid_out(place: Path, name: str) -> Path:
    """The job's folder: two checkouts for GitHub, a repository with its origin for GitLab."""
    if name == "github":
        for side in ("old", "new"):
            (place / side).mkdir()
            shutil.copy(DIGITS, place / side / "model.onnx")
        return place
    origin = place / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    shutil.copy(DIGITS, origin / "model.onnx")
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "model")
    git(place, "clone", "-q", str(origin), "work")
    return place / "work"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "budget", "fail_if", "status"),
    [
        ("github", "2m", "throughput.slower:99%", 0),
        ("github", "2m", "items/s<1000000000", 3),
        ("github", "10ms", "slower:5%", 0),  # cannot tell: a warning
        ("gitlab", "2m", "throughput.slower:99%", 0),
        ("gitlab", "10ms", "slower:5%", 4),  # which the job allows
    ],
)
def test_a_job_runs_in_a_shell(tmp_path, tools, name, budget, fail_if, status):
    place = laid_out(tmp_path, name)
    commands = shell_of(snippet_of(name))
    variables = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "QS_DATA": str(tmp_path / "data"),
        "MODEL": "model.onnx",
        "BUDGET": budget,
        "FAIL_IF": fail_if,
        "QS_CI_BLOCK": "0.2s",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "PULL_REQUEST": "https://example.invalid/pull/1",
        "GH_CALLS": str(tmp_path / "calls"),
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    ended, printed = [], []
    for command in commands:
        ran = subprocess.run(
            ["sh", "-ec", command],
            cwd=place,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        ended.append(ran.returncode)
        printed.append(ran.stdout)
        said = f"{command}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in said
        assert ran.returncode in (0, status), said
    assert max(ended) == status
    text = (place / "gate.md").read_text()
    assert text.startswith("### ") and (tmp_path / "summary.md").read_text() == text
    assert any(case.get("name") == "measurement" for case in xml.parse(place / "gate.xml").iter())
    assert (place / "reports" / "ci" / "ci.json").is_file()
    if name == "github":
        assert "pull/1 --body-file gate.md" in (tmp_path / "calls").read_text()
        assert ("::warning::" in "".join(printed)) == (budget == "10ms")
