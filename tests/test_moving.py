"""docs/moving-from-bytemlperf.md: every command as typed, and ByteMLPerf's own entry points."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "moving-from-bytemlperf.md"
ENTRIES = ("run.sh", "launch.py", "requirements.txt")


@pytest.fixture
def checkout(tmp_path):
    """A folder with the checkout's entry points, to run them in and leave no report in the
    checkout. shell(command) -> what it printed.
    """
    for name in ENTRIES:
        (tmp_path / name).symlink_to(ROOT / name)
    upstream = tmp_path / "byte_infer_perf"
    shutil.copytree(ROOT / "tests" / "fixtures" / "general_perf", upstream / "general_perf")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("python", "python3"):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tools / "pip").write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "BYTEMLPERF": str(upstream),
    }
    env |= {
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }  # what the tests run in has it all

    def shell(command: str, status: int = 0) -> str:
        ran = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ran.returncode == status, ran.stderr[-3000:]
        return ran.stdout + ran.stderr

    shell.folder = tmp_path
    return shell


@pytest.mark.slow
def test_every_command_of_the_page(checkout):
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    printed = [checkout(block) for block in blocks]
    assert "verdict: VALID" in printed[0]
    assert "bert-torch-fp32" in printed[1] and "CPU" in printed[1]
    assert "verdict: VALID" in printed[2]
    assert "audit: BS 1: the backend's own QPS" in printed[3]
    assert "compiled before" in printed[4]
    result = json.loads(next(checkout.folder.glob("reports/OLDGEN/*/result-fp32.json")).read_text())
    assert {row["Mode"] for row in result["Performance"]} == {"audit"}


@pytest.mark.slow
def test_the_guides_own_command(checkout):
    (command,) = re.findall(
        r"`(\./run\.sh --task resnet50-torch-fp32 --hardware_type) XXX`", PAGE.read_text()
    )
    printed = checkout(f"{command} CPU --no_input --batch_sizes 4 --time_limit 2")
    assert "verdict: VALID" in printed
    folder = checkout.folder / "reports" / "CPU" / "resnet50-torch-fp32"
    assert (folder / "result-fp32.json").is_file()


def test_lists(checkout):
    assert {"digits-cnn-onnx-fp32", "resnet50-torch-fp32"} <= set(
        checkout("./run.sh --show_task_list").split()
    )
    assert "CPU" in checkout("./run.sh --show-hardware-list").split()
    assert "OLDGEN" in checkout('cd "$BYTEMLPERF" && ../run.sh --show_hardware_list').split()


def test_a_wrong_task_is_one_message(checkout):
    said = checkout("./run.sh --task resnet --hardware_type CPU", status=2)
    assert "resnet" in said and "Traceback" not in said
    assert "--hardware_type" in checkout("./run.sh --task digits-cnn-onnx-fp32", status=2)


def test_requirements_are_those_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    stated = setup["options"]["install_requires"].strip().splitlines()
    listed = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert listed == stated
