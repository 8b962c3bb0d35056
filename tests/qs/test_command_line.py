"""docs/command-line.md: every command and the file on it; help with examples everywhere; nearest
names; completion; defaults.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from qs.cli.commands import COMMANDS, load
from tests.qs.program import qs, refused
from tests.qs.results import read_result

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text()
EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
(INI,) = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RUN = (
    "run",
    "--task",
    "digits-cnn-onnx-fp32",
    "--hardware_type",
    "CPU",
    "--batch_sizes",
    "1",
    "--quiet",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
@pytest.mark.timeout(900)  # twenty commands, one after another
def test_every_example_of_the_page_runs_in_its_order(place, data):
    """In order: later ones look at what earlier ones left."""
    for command in EXAMPLES:
        ran = qs(*shlex.split(command)[1:], cwd=place, QS_DATA=data)
        # Whether a run becomes stable within its limit or keeps up with a rate, and whether two
        # runs are alike, is the machine's business; that it says so is ours.
        busy = any(each in command for each in ("--until_stable", "--fail_if", "--rate"))
        allowed = (0, 3, 4) if busy else (0,)
        assert ran.returncode in allowed, f"{command}\n{ran.stdout}\n{ran.stderr}"
    assert (place / "history.csv").exists() and (place / "history.parquet").exists()


def test_the_page_has_every_command():
    for name in COMMANDS:
        assert f"qs {name}" in PAGE, name


def commands(group: click.Command, name: str):
    yield name, group
    for sub, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {sub}")


ALL = [each for name in COMMANDS for each in commands(load(name), name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_the_options_exist_for(name):
    ran = qs(name, "--help")
    assert ran.returncode == 0 and "Examples:" in ran.stdout
    examples = re.findall(r"^ +qs (.+)$", ran.stdout, re.MULTILINE)
    assert examples
    known = {
        flag
        for title, command in ALL
        if title.split()[0] in {each.split()[0] for each in examples}
        for option in command.params
        for flag in option.opts
    }
    for example in examples:
        for word in shlex.split(example):
            if word.startswith("--"):
                assert word in known, f"qs {example}: {word}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("laod", "x"), "load"),
        (("compair",), "compare"),
        ((*RUN, "--cleints", "2"), "--clients"),
        ((*RUN, "--batch_sises", "2"), "--batch_sizes"),
        (("sweep", "--buget", "1s"), "--budget"),
        (("history", "tredn"), "trend"),
    ],
)
def test_the_nearest_is_proposed(typed, meant):
    refused(qs(*typed), f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("qs lo", "load"),
        ("qs run --task dig", "digits-cnn-onnx-fp32"),
        ("qs run --hardware_type C", "CPU"),
        ("qs load x --scenario ser", "server"),
        ("qs sweep --slo", "--slo_budget"),
        ("qs run dig", "digits-cnn-onnx-fp32"),
        ("qs load dig", "digits-cnn-onnx-fp32"),
        ("qs run -H C", "CPU"),
        ("qs run --conc", "--concurrency"),
    ],
)
def test_completion_completes(words, expected):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    ran = qs(_QS_COMPLETE="bash_complete", **asked)
    assert f"plain,{expected}" in ran.stdout.split(), ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("shell", "place", "said"),
    [("zsh", "2", "plain\ndigits-cnn-onnx-fp32\n"), ("fish", "dig", "plain,digits-cnn-onnx-fp32")],
)
def test_other_shells_complete_alike(shell, place, said):
    words = "qs run dig" if shell == "zsh" else "qs run"
    ran = qs(_QS_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=place)
    assert said in ran.stdout, ran.stdout + ran.stderr


def test_the_script_is_one_that_the_shell_takes(tmp_path):
    script = qs("completion", "bash").stdout
    (tmp_path / "qs").write_text(script)
    ran = subprocess.run(
        ["bash", "-c", f"source {tmp_path}/qs && complete -p qs"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0 and "qs" in ran.stdout, ran.stderr


def values_of(folder: Path) -> dict:
    return read_result(next(folder.glob("CPU/*/result-fp32.json")))["Effective Values"]


@pytest.mark.slow
def test_the_file_of_the_page_gives_defaults_and_the_report_says_so(tmp_path):
    (tmp_path / "setup.cfg").write_text(INI)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    ran = qs(*RUN, "--iterations", "5", cwd=below)
    assert ran.returncode == 0, ran.stderr
    values = values_of(below / "results")
    assert values["clients"] == {"value": 2, "origin": f"{tmp_path / 'setup.cfg'} [qs.run]"}
    assert values["iterations"]["origin"] == "command line"


def test_the_order_of_strength(tmp_path):
    (tmp_path / "qs.cfg").write_text("[qs]\nclients = 5\n[qs.load]\nclients = 4\n")
    for environment, typed, clients, origin in (
        ({}, (), 4, "[qs.load]"),
        ({"QS_CLIENTS": "3"}, (), 3, "QS_CLIENTS"),
        ({"QS_CLIENTS": "3", "QS_LOAD_CLIENTS": "2"}, (), 2, "QS_LOAD_CLIENTS"),
        ({"QS_LOAD_CLIENTS": "2"}, ("--clients", "1"), 1, "command line"),
    ):
        ran = qs("load", "digits", "--dry_run", "--json", *typed, cwd=tmp_path, **environment)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)["values"]["clients"]
        assert found["value"] == clients and origin in found["origin"]


@pytest.mark.slow
def test_a_flag_from_the_environment(tmp_path):
    ran = qs(*RUN[:-1], "--iterations", "2", "--out", tmp_path, QS_JSON="true", QS_QUIET="yes")
    assert json.loads(ran.stdout)["Verdict"] == "VALID"


@pytest.mark.parametrize(
    ("content", "environment", "said"),
    [
        ("[qs]\ncleints = 2\n", {}, "did you mean 'clients'"),
        ("[qs.rnu]\nclients = 2\n", {}, "did you mean 'run'"),
        ("[qs.run]\nclients = none\n", {}, "none"),
        ("no section\n", {}, "is not a file of [sections]"),
        ("[qs]\nquiet = perhaps\n", {}, "perhaps"),
        ("", {"QS_CLIENTS": "0"}, "--clients"),
    ],
)
def test_defaults_that_cannot_be(tmp_path, content, environment, said):
    (tmp_path / "qs.cfg").write_text(content)
    refused(qs(*RUN, "--out", tmp_path / "r", cwd=tmp_path, **environment), said)
