"""The command line as a person meets it: exit statuses and what is printed."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qs.program import ROOT, qs, qs_process, refused

TASK = "digits-cnn-onnx-fp32"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with the digits task, to be spoilt by a test."""
    made = tmp_path / "workspace"
    (made / "workloads").mkdir(parents=True)
    (made / "model_zoo").mkdir()
    shutil.copy(ROOT / "workloads" / f"{TASK}.json", made / "workloads" / "spoilt.json")
    shutil.copy(ROOT / "model_zoo" / f"{TASK}.json", made / "model_zoo" / f"{TASK}.json")
    return made


def spoil(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


def test_help_is_quick_and_loads_nothing_heavy():
    best_s = 9.0
    for _ in range(2):
        begin_s = _children_cpu_s()
        ran = qs_process("--help")
        best_s = min(best_s, _children_cpu_s() - begin_s)
    assert ran.returncode == 0
    assert "run" in ran.stdout
    assert best_s < 0.6  # about 0.1 s of one core, which a busy machine stretches little
    heavy = (
        "numpy pydantic onnxruntime rich asyncio qs.engine qs.cli.options tempfile orjson psutil"
    )
    code = (
        f"import sys, qs, qs.cli.main; print([name for name in {heavy.split()!r} if name "
        "in sys.modules])"
    )
    assert (
        subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
    )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_exit_statuses_as_a_shell_sees_them():
    """Everything else in this file runs in the tests' process."""
    assert qs_process("list", "tasks").returncode == 0
    refused(qs_process("run", "--task", "bertt", "--hardware_type", "CPX"), "unknown task")
    refused(qs_process("run", "--task"), "--task needs a value")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "digits-cnn-onnx-fp23"], ["unknown task", TASK]),
        (["--task", "../workloads/" + TASK], ["plain name"]),
        (["--task", ""], ["TASK is missing", TASK]),
        (["--task", "/etc/passwd"], ["plain name"]),
        (["--hardware_type", "CPX"], ["unknown hardware type", "'CPU'"]),
        (["--hardware_type", "../CPU"], ["plain name"]),
        (["--batch_sizes", "1,65"], ["--batch_sizes", "65", "64"]),
        (["--batch_sizes", "1,zwei"], ["'zwei'", "whole number"]),
        (["--batch_sizes", "0"], ["below 1"]),
        (["--batch_sizes", "4,4"], ["more than once"]),
        (["--clients", "0"], ["--clients", "from 1 to"]),
        (["--iterations", "-5"], ["--iterations", "from 1 to"]),
        (["--time_limit", "0"], ["--time_limit", "above zero"]),
        (["--time_limit", "nan"], ["--time_limit", "above zero"]),
        (["--time_limit", "soon"], ["--time_limit", "is not a time"]),
        (["--duration", "-3s"], ["--duration", "above zero"]),
        (["--warmup", "some"], ["--warmup"]),
        (["--warmup", ""], ["--warmup"]),
        (["--seed", "-1"], ["--seed"]),
        (["--pool", "inline"], ["--pool", "--clients 1"]),
        (["--workspace", "/nowhere"], ["--workspace", "/nowhere"]),
        (["--answers", "/nowhere.json"], ["/nowhere.json"]),
        (["--iteration_s", "5"], ["unknown option --iteration_s", "did you mean --iterations?"]),
    ],
)
def test_wrong_options_are_refused(arguments, words, tmp_path):
    given = {"--task": TASK, "--hardware_type": "CPU", "--out": tmp_path / "reports"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    refused(qs("run", *(part for pair in given.items() for part in pair)), *words)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("out", ["/proc/reports", "a-file/reports", "a-file"])
def test_an_out_that_cannot_be_written_is_refused_before_work_starts(out, tmp_path):
    (tmp_path / "a-file").write_text("here")
    ran = qs("run", "--task", TASK, "--hardware_type", "CPU", "--out", tmp_path / out)
    refused(ran, "--out")
    assert ran.stderr.startswith("error: ")  # every step of work is a line of its own
    assert (tmp_path / "a-file").read_text() == "here"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clients": 0}, ["spoilt.json", "clients", "0"]),
        ({"iterations": -1}, ["spoilt.json", "iterations", "-1"]),
        ({"batch_sizes": [1, 128]}, ["spoilt.json", "128", "64"]),
        (
            {"clients": 0, "iterations": "many", "data_percent": 101},
            ["3 faults", "clients", "iterations", "data_percent"],
        ),
        ({"model": "no-such-model"}, ["no-such-model"]),
    ],
)
def test_a_wrong_workload_is_refused(changes, words, workspace, tmp_path):
    spoil(workspace / "workloads" / "spoilt.json", **changes)
    out = tmp_path / "reports"
    refused(
        qs(
            "run",
            "--task",
            "spoilt",
            "--hardware_type",
            "CPU",
            "--workspace",
            workspace,
            "--out",
            out,
        ),
        *words,
    )
    assert not out.exists()


def test_malformed_json_is_refused(workspace, tmp_path):
    (workspace / "workloads" / "spoilt.json").write_text(
        '{"model": "digits-cnn-onnx-fp32",\n "clients": }'
    )
    ran = qs(
        "run",
        "--task",
        "spoilt",
        "--hardware_type",
        "CPU",
        "--workspace",
        workspace,
        "--out",
        tmp_path / "r",
    )
    refused(ran, "spoilt.json", "line 2")
    assert not (tmp_path / "r").exists()


def test_a_missing_model_file_is_refused(workspace, tmp_path):
    spoil(workspace / "model_zoo" / f"{TASK}.json", model_path="model_zoo/not-here.onnx")
    ran = qs(
        "run",
        "--task",
        "spoilt",
        "--hardware_type",
        "CPU",
        "--workspace",
        workspace,
        "--out",
        tmp_path / "r",
    )
    refused(ran, "not-here.onnx")
    assert not (tmp_path / "r").exists()


def test_all_that_is_wrong_is_said_at_once():
    refused(
        qs("run", "--task", "bertt", "--hardware_type", "CPX", "--out", "/proc/x"),
        "unknown task",
        "unknown hardware",
        "--out",
    )


def test_options_are_accepted_with_dashes_too(tmp_path):
    ran = qs(
        "run", "--task", TASK, "--hardware-type", "CPU", "--batch-sizes", "65", "--out", tmp_path
    )
    refused(ran, "65")


@pytest.mark.parametrize("kind", ["tasks", "backends", "models", "datasets"])
def test_list_names_what_ships(kind):
    ran = qs("list", kind)
    assert ran.returncode == 0
    assert {"tasks": TASK, "backends": "CPU", "models": TASK, "datasets": "digits"}[
        kind
    ] in first_words(ran)


def first_words(ran):
    return [line.split()[0] for line in ran.stdout.splitlines()]


def test_list_models_states_size_and_work_of_one_item():
    (line,) = [
        line
        for line in qs("list", "models").stdout.splitlines()
        if line.startswith("bert-torch-fp32 ")
    ]
    assert " ".join(line.split()) == "bert-torch-fp32 108.9 M parameters 70.7 GFLOP an item"
    listed = json.loads(qs("list", "models", "--json").stdout)["models"]["bert-torch-fp32"]
    assert (listed["parameters"], listed["flops"]) == (108_893_186, 70_666_813_440)
    assert Path(listed["path"]).name == "bert-torch-fp32.json"


def test_list_shows_a_workspace_of_ones_own_and_where_things_are(workspace):
    listed = json.loads(qs("list", "--workspace", workspace, "--json").stdout)
    assert listed["tasks"]["spoilt"] == str(workspace / "workloads" / "spoilt.json")
    assert set(listed) == {"tasks", "backends", "models", "datasets"}


@pytest.mark.parametrize(
    ("flag", "name"), [("--show_task_list", TASK), ("--show_hardware_list", "CPU")]
)
def test_upstreams_listing_flags(flag, name):
    ran = qs(flag)
    assert (ran.returncode, name in ran.stdout.splitlines()) == (0, True)


def test_version():
    assert qs("--version").stdout.startswith("qs, version ")
