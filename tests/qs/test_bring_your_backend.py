"""The way of a new vendor: the document's commands as they stand there, in an empty folder far from
the checkout.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qs.conformance.checks import CHECKS
from tests.qs.program import ROOT, qs, refused
from tests.waiting import wait_for

TEXT = (ROOT / "docs" / "bring-your-backend.md").read_text()
TASK = "digits-cnn-onnx-fp32"
PINNED = json.loads((ROOT / "model_zoo" / f"{TASK}.json").read_text())["pinned_metrics"]["Top-1"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder far from the checkout."""
    monkeypatch.delenv("QS_WORKSPACE", raising=False)
    made = tmp_path / "empty"
    made.mkdir()
    return made


@pytest.fixture
def shell(place, tmp_path):
    """Runs a line in an empty folder, where `qs` is this checkout's program."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "qs"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m qs "$@"\n')
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=place,
            env=env,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def start(line: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["sh", "-c", line], cwd=place, env=env, **pipes)

    run.place, run.start = place, start
    return run


def result(place: Path) -> dict:
    return json.loads((place / "reports" / "ACME" / TASK / "result-fp32.json").read_text())


def test_a_new_backend_gives_the_right_answers(place):
    """A part of the next test, for every day: one batch size, few queries."""
    assert qs("new-backend", "ACME", cwd=place).returncode == 0
    options = ("--batch_sizes", 1, "--iterations", 5, "--warmup", 0)
    ran = qs("run", "--task", TASK, "--hardware_type", "ACME", *options, cwd=place)
    assert ran.returncode == 0, ran.stderr
    assert result(place)["Accuracy"]["Top-1"] == pytest.approx(PINNED, abs=1e-4)


@pytest.mark.slow
def test_every_command_of_the_document_runs_the_first_three_as_one_line(shell):
    walk = TEXT[: TEXT.index("## The smallest backend")]
    blocks = re.findall(r"^```sh\n(.*?)^```$", walk, re.MULTILINE | re.DOTALL)
    new, check, run, *others = (line for block in blocks for line in block.splitlines())
    ran = shell(f"{new} && {check} && {run}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = result(shell.place)
    assert found["Accuracy"]["Top-1"] == pytest.approx(PINNED, abs=1e-4)
    assert found["Verdict"] == "VALID"
    assert [row["Completed"] for row in found["Performance"]] == [300, 300]
    shown = re.search(r"^```text\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert verdicts(shown[1])[:-1] == [
        words for words in verdicts(ran.stdout) if words[:1] in (["pass"], ["skip"])
    ]

    assert len(others) == 3
    for line in others:
        more = shell(line)
        assert more.returncode == 0, f"{line}\n{more.stdout}\n{more.stderr}"
    conformance = json.loads((shell.place / "conformance.json").read_text())
    assert conformance["verdict"] == "pass"
    assert (shell.place / "acme.log").exists()


def verdicts(text: str) -> list[list[str]]:
    return [line.split()[:2] for line in text.splitlines()]


def test_the_document_explains_every_check():
    explained = re.findall(
        r"^\| (\w+) \|", TEXT[TEXT.index("## When a check fails") :], re.MULTILINE
    )
    assert explained == ["check", *(check.name for check in CHECKS)]


def test_a_backend_that_is_not_there_is_the_users_error(place):
    ran = qs("check", "--hardware_type", "ACNE", cwd=place)
    refused(ran, "unknown hardware type 'ACNE'")
    refused(qs("new-backend", "acme", cwd=place), "did you mean 'ACME'?")
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_a_failed_check_is_exit_3_with_the_result_alone_on_standard_output(shell):
    """In a folder whose runtime cannot even be loaded, so that it is quick."""
    ran = shell(
        "qs new-backend ACME > /dev/null"
        " && echo 'print(1); import nosuchmodule' > backends/ACME/runtime_backend_acme.py"
        " && qs check --hardware_type ACME --json"
    )
    assert ran.returncode == 3, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["hardware_type"], found["task"], found["verdict"]) == ("ACME", TASK, "fail")
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["naming"]["status"] == "fail"
    assert "line 1: cannot be loaded: ModuleNotFoundError" in by_name["contract"]["reason"]
    assert by_name["threads"]["status"] == "skip"
    assert "FAIL  contract" in ran.stderr


def test_a_log_that_cannot_be_written_is_said_before_anything_is_done(place):
    ran = qs("check", "--hardware_type", "CPU", "--log", "nosuchfolder/backend.log", cwd=place)
    refused(ran, "nosuchfolder/backend.log cannot be written")


def test_ctrl_c_ends_a_check_and_the_backends_process(shell):
    assert shell("qs new-backend ACME").returncode == 0
    pid_file = shell.place / "pid"
    hang = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(f'{{os.getpid()}}\\n')\n"
        "time.sleep(3600)\n"
    )
    (shell.place / "backends" / "ACME" / "compile_backend_acme.py").write_text(hang)
    checking = shell.start("exec qs check --hardware_type ACME")
    wait_for(pid_file, "\n", checking)
    begin = time.monotonic()
    checking.send_signal(signal.SIGINT)
    out, err = checking.communicate(timeout=60)
    assert checking.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert out.startswith("FAIL  naming")
    assert time.monotonic() - begin < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.mark.slow
def test_the_smallest_backend_gives_the_right_answers(shell, place):
    """The page's last part: two files by hand."""
    part = TEXT[TEXT.index("## The smallest backend") :]
    files = re.findall(
        r"`(backends/ACME/\w+\.py)`:\n\n```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL
    )
    assert len(files) == 2
    for name, content in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    (line,) = re.findall(r"^qs run .*ACME$", part, re.MULTILINE)
    ran = shell(f"{line} --iterations 20 --batch_sizes 1")
    assert ran.returncode == 0, ran.stderr
    assert "Top-1 0.9867" in ran.stdout
