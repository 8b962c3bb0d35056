"""Every command of the README is run here, as it stands there; the installing ones in a fresh copy
of the checkout.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qs.program import ROOT, qs

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MAIN_JOB, TESTS, *OTHERS = (block.strip() for block in BLOCKS)
COMMANDS = [line for block in OTHERS for line in block.splitlines()]
QS_COMMANDS = [line for line in COMMANDS if line.startswith("qs ") and "ACME" not in line]
(OF_ACME,) = (line for line in COMMANDS if line.startswith("qs run") and "ACME" in line)
GATE, QUICK_TESTS = (line for line in COMMANDS if not line.startswith("qs "))
FILES = re.findall(
    r"`(backends/ACME/\w+\.py)`:\n\n```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
)


def shell(command: str, cwd: Path, timeout: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a line of the README with this interpreter's `qs` and `python` first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder far from the checkout that holds the README's backend."""
    made = tmp_path_factory.mktemp("elsewhere")
    for name, content in FILES:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content)
    shutil.copy(
        ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx", made / "model.onnx"
    )  # any model file will do
    return made


@pytest.mark.parametrize("command", QS_COMMANDS)
def test_a_command_runs_as_typed(command, place):
    """Those that need a shell and the first of the others as a process, by the installed `qs`."""
    if ">" in command or command == QS_COMMANDS[0]:
        shell(command, place)
    else:
        ran = qs(*shlex.split(command)[1:], cwd=place)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"


def test_the_backend_of_the_readme_gives_the_right_answers(place):
    """The command left out above."""
    assert [name for name, _ in FILES] == [
        "backends/ACME/compile_backend_acme.py",
        "backends/ACME/runtime_backend_acme.py",
    ]
    ran = shell(OF_ACME, place)
    assert "Top-1 0.9867" in ran.stdout
    assert "verdict: VALID" in ran.stdout


def test_the_gate_runs_before_the_tests():
    """CI runs the block; running the gate here as well would double its time."""
    *_, gate, tests = (part.strip() for part in TESTS.split("&&"))
    assert gate == GATE and os.access(ROOT / GATE, os.X_OK)
    assert tests == f".venv/bin/{QUICK_TESTS}"


def test_the_engine_in_the_readme(tmp_path):
    (snippet,) = re.findall(
        r"```python\n(from qs.engine.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    (tmp_path / "snippet.py").write_text(snippet)
    ran = shell("python snippet.py", tmp_path)
    assert re.match(r"VALID \d+ [\d.]+ ms", ran.stdout)


def test_ci_runs_the_readmes_command(tmp_path):
    """`.ci/run` prints the command before it runs it; here `python3` is a stub that fails."""
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    shutil.copy(ROOT / "README.md", checkout)
    stub = tmp_path / "python3"
    stub.write_text("#!/bin/sh\nexit 7\n")
    stub.chmod(0o755)
    browser = tmp_path / "chromium"  # found, so nothing is installed
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        [checkout / ".ci" / "run"], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.stdout.strip() == TESTS
    assert ran.returncode == 7  # the command's own status is CI's


@pytest.mark.slow
def test_the_first_command_in_a_fresh_copy(tmp_path):
    """As typed, with a shorter measurement: installs into its own environment, builds BERT unless
    cached, measures it.
    """
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", "build", "dist", "reports", "*.egg-info", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=left_out)
    checkout = tmp_path / "checkout"
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    ran = subprocess.run(
        ["sh", "-c", f"{MAIN_JOB} --time_limit 1 --batch_sizes 1 --numeric_items 2"],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "accuracy not measured: synthetic weights" in ran.stdout
    assert (checkout / "reports" / "CPU" / "bert-torch-fp32" / "result-fp32.json").is_file()
    names = (
        "import importlib.util as u; print([n for n in ('qs', 'engine', 'datasets', "
        "'backends', 'workloads') if u.find_spec(n)])"
    )
    python = checkout / ".venv" / "bin" / "python"
    found = subprocess.check_output([python, "-c", names], cwd=tmp_path, env=env, text=True)
    assert found.strip() == "['qs']"
