"""Every command of the README is run here, as it stands there; the installing ones in a fresh copy
of the checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qs.program import ROOT
from tests.servers.digits import digits_server
from tests.servers.scripted import chat_events, scripted, stream

README = (ROOT / "README.md").read_text()
BLOCKS = [
    block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
MAIN_JOB = BLOCKS[0]
(TESTS,) = (block for block in BLOCKS if ".[dev]" in block)
COMMANDS = [
    line for block in BLOCKS if block not in (MAIN_JOB, TESTS) for line in block.splitlines()
]
# A newcomer has the time that measuring takes; a test of the commands has not.
BRIEFLY = {"QS_RUN_DURATION": "0.5s", "QS_LOAD_DURATION": "0.5s", "QS_WARMUP": "1"}


@pytest.mark.parametrize("count", [3, pytest.param(None, marks=pytest.mark.slow)])
def test_every_command_runs_as_typed_in_order_in_one_shell_in_an_empty_folder(tmp_path, count):
    """All of them; the first ones alone in the tests that run every time."""
    folder = tmp_path / "empty"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **BRIEFLY, "PATH": path, "PYTHONPATH": str(ROOT)}
    env["QS_DATA"] = str(tmp_path / "data")
    script = "".join(
        f"{line} || {{ echo 'failed: {line}' >&2; exit 1; }}\n" for line in COMMANDS[:count]
    )
    usage = {"prompt_tokens": 200, "completion_tokens": 4}
    told = chat_events("one", " two", " three", " four", usage=usage)
    with digits_server() as server, scripted(stream(told, first_s=0.01, gap_s=0.005)) as models:
        script = script.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        script = script.replace("127.0.0.1:8080", f"127.0.0.1:{models.port}")
        ran = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "Top-1 0.9867" in ran.stdout and "verdict: " in ran.stdout
    assert count or (folder / "backends" / "ACME").is_dir()


def test_the_readme_names_what_a_newcomer_needs_in_this_order():
    heads = re.findall(r"^## (.+)$", README, re.MULTILINE)
    order = ("Install", "Your own file", "What the verdict", "What it does", "Backends", "For dev")
    places = [next(at for at, head in enumerate(heads) if head.startswith(each)) for each in order]
    assert places == sorted(places)
    assert all("qs " not in line or "-m" in line for line in MAIN_JOB.splitlines())


def test_the_gate_runs_before_the_tests():
    """CI runs the block; running the gate here as well would double its time."""
    *_, gate, tests = (part.strip() for part in TESTS.split("&&"))
    assert os.access(ROOT / gate, os.X_OK)
    assert tests.startswith(".venv/bin/python -m pytest") and '-m "not slow"' in tests


def test_the_engine_in_the_readme(tmp_path):
    (snippet,) = re.findall(
        r"```python\n(from qs.engine.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    (tmp_path / "snippet.py").write_text(snippet)
    ran = subprocess.run(
        [sys.executable, "snippet.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
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
    shorter = MAIN_JOB.replace("--time_limit 20", "--time_limit 1")
    ran = subprocess.run(
        ["sh", "-c", f"{shorter} --batch_sizes 1 --numeric_items 2"],
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
