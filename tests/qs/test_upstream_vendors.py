"""Vendor folders in upstream's style, run unmodified: tests/fixtures/general_perf is a workspace as
ByteMLPerf has them.

The model and the data set lie in another workspace, the one that ships, as they may for a vendor
who has only backends.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.qs.program import qs, qs_process

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "general_perf"
TASK, MODEL = "upstream-onnx-fp32", "digits-cnn-onnx-fp32"


def evaluate(
    folder: Path, hardware: str, *options: object, task: str = TASK
) -> tuple[int, dict | None, str]:
    """`qs run` in a folder that holds general_perf/ -> (exit status, result, standard error)."""
    fixed = ["--task", task, "--hardware_type", hardware, "--no_input", "--warmup", "1"]
    start = qs_process if "--in_process" in options else qs
    ran = start("run", *fixed, *options, cwd=folder)
    assert "Traceback" not in ran.stderr, ran.stderr
    out = Path(folder, options[options.index("--out") + 1] if "--out" in options else "reports")
    files = list((out / hardware).glob("*/result-*.json"))
    return ran.returncode, json.loads(files[0].read_text()) if files else None, ran.stderr


@pytest.fixture
def upstream(tmp_path):
    """A checkout of upstream's layout: the folder that holds general_perf/."""
    shutil.copytree(FIXTURES, tmp_path / "general_perf")
    return tmp_path


def test_fixtures_know_nothing_of_us():
    sources = [file.read_text() for file in FIXTURES.rglob("*.py")]
    assert len(sources) >= 10
    assert not any(
        re.search(r"^\s*(import|from)\s+qs\b", source, re.MULTILINE) for source in sources
    )


def test_relative_imports_cwd_relative_json_and_a_list_of_outputs(upstream):
    status, result, said = evaluate(upstream, "OLDGEN")
    assert status == 0, said
    assert result["Answers"] == {
        "use_tf32": False,
        "precision": "FP32",
    }  # the profile was read relative to where it works
    assert result["Accuracy"]["Top-1"] == pytest.approx(0.98667, abs=0.02)
    assert result["Accuracy"]["Cosine Similarity"] == pytest.approx(1, abs=1e-6)
    assert [(row["BS"], row["Mode"], row["Verdict"]) for row in result["Performance"]] == [
        (1, "vendor", "VALID"),
        (4, "vendor", "VALID"),
    ]
    for row in result["Performance"]:
        assert row["QPS"] > 0
        assert row["Queries In Flight"] == pytest.approx(
            3, abs=0.3
        )  # threads / QPS is Little's law backwards
        assert row["Flags"] == ["p99-is-maximum"]


def test_a_data_set_and_a_model_under_upstreams_paths(upstream):
    """All in one workspace; the data set's code opens its files relative to the working directory,
    and a bare helper beside it.
    """
    shutil.copy(
        ROOT / "datasets" / "digits" / "held_out.npz",
        upstream / "general_perf" / "datasets" / "open_old",
    )
    place = upstream / "general_perf" / "model_zoo" / "regular" / "open_digits"
    place.mkdir(parents=True)
    shutil.copy(ROOT / "model_zoo" / "digits" / f"{MODEL}.onnx", place / "digits.onnx")
    status, result, said = evaluate(upstream, "OLDGEN", task="old-digits-onnx-fp32")
    assert status == 0, said
    assert (result["Dataset"], result["Samples"]["kind"]) == ("OPEN_OLD", "dataset")
    assert result["Accuracy"]["Accuracy"] == pytest.approx(98.667, abs=0.5)
    assert result["Accuracy"]["Cosine Similarity"] == pytest.approx(1, abs=1e-6)
    folder = upstream / "reports" / "OLDGEN" / "old-digits-onnx-fp32"
    assert (folder / "open_old.npy").is_file()
    assert (folder / "work" / "general_perf").resolve() == upstream / "general_perf"


@pytest.mark.slow
def test_a_debugger_may_be_used_in_upstreams_layout(upstream):
    status, result, said = evaluate(
        upstream, "OLDGEN", "--in_process", "--batch_sizes", 1, "--out", "near"
    )
    assert status == 0, said
    assert result["Answers"] == {"use_tf32": False, "precision": "FP32"}
    assert [row["Mode"] for row in result["Performance"]] == ["vendor"]


@pytest.mark.slow
def test_another_batch_size_tensors_missing_keys_and_a_list_of_rows(upstream):
    status, result, said = evaluate(upstream, "BMLP")
    assert status == 0, said
    assert result["Accuracy"]["Top-1"] == pytest.approx(0.98667, abs=0.02)
    assert result["Graph Compile"]["Subgraph Coverage"] == 100.0
    assert any("has no compile_precision, compile_status" in text for text in result["Warnings"])
    for row in result["Performance"]:
        assert (row["BS"], row["Mode"]) == (8, "vendor")
        assert row["P99 Latency"] >= row["AVG Latency"] > 0
        assert (
            "littles-law" in row["Flags"]
        )  # it counts the queue of all that it submitted at the start


def test_an_audit_drives_predict_beside_the_vendors_numbers(upstream):
    status, result, said = evaluate(
        upstream, "BMLP", "--engine", "always", "--batch_sizes", 1, "--clients", 1
    )
    assert status == 0, said
    (row,) = result["Performance"]
    assert (row["Mode"], row["BS"], row["Requested BS"], row["Completed"]) == ("audit", 8, 1, 20)
    for name in ("QPS", "AVG Latency"):
        expected = (row["Vendor"][name] / row[name] - 1) * 100
        assert row["Difference Percent"][name] == pytest.approx(expected)
    assert row["P99 Latency"] is None and row["Difference Percent"]["P99 Latency"] is None
    assert any(text.startswith("the backend's own numbers: ") for text in row["Warnings"])


@pytest.mark.parametrize(
    ("ending", "status", "verdict"),
    [
        pytest.param("os._exit(5)", 3, "INVALID", marks=pytest.mark.slow),
        ("raise NotImplementedError", 0, "VALID"),
    ],
)
def test_an_audit_keeps_our_numbers_where_the_benchmark_gives_none(
    upstream, ending, status, verdict
):
    file = upstream / "general_perf" / "backends" / "OLDGEN" / "runtime_backend_oldgen.py"
    text = file.read_text().replace(
        "        dataloader.rebatch(self.batch_size)\n", f"        import os; {ending}\n"
    )
    file.write_text(text)
    got, result, said = evaluate(upstream, "OLDGEN", "--engine", "always", "--batch_sizes", 4)
    assert got == status, said
    (row,) = result["Performance"]
    assert (row["Mode"], row["Completed"], row["Verdict"]) == ("audit", 60, verdict)
    assert "Not Measured" in row["Vendor"]
    assert [failure["Outcome"] for failure in result["Failures"]] == (["exited"] if status else [])


def test_a_name_that_numpy_no_longer_has_is_named_with_its_line(upstream):
    file = upstream / "general_perf" / "backends" / "OLDGEN" / "compile_backend_oldgen.py"
    text = file.read_text().replace(
        "        dataloader.rebatch(1)\n", "        import numpy as np; np.int(1)\n"
    )
    file.write_text(text)
    line = text[: text.index("np.int(1)")].count("\n") + 1
    status, result, _ = evaluate(upstream, "OLDGEN")
    assert (status, result["Status"]) == (3, "failed")
    (reason,) = result["Reasons"]
    assert reason.startswith("compile: AttributeError: module 'numpy' has no attribute 'int'")
    assert reason.endswith(f"compile_backend_oldgen.py, line {line})")


@pytest.mark.slow
def test_segments_fallbacks_units_and_numbers_that_cannot_be(upstream):
    status, result, said = evaluate(upstream, "TWOSEG")
    assert (status, result["Verdict"]) == (3, "INVALID"), said
    compiled = result["Graph Compile"]
    assert (compiled["Segments"], compiled["Fallback Segments"]) == (2, [1])
    assert (compiled["Subgraph Coverage"], compiled["Compiled Batch Sizes"]) == (50, [1, 4])
    assert (result["Instance Count"], result["Device Count"]) == (2, 4)
    assert "1 of 2 segments run on the CPU (fallback): 1" in result["Warnings"]
    assert (upstream / "general_perf" / "backends" / "TWOSEG" / "compiled" / "bs4.onnx").is_file()
    for row in result["Performance"]:
        assert (row["QPS"], row["AVG Latency"], row["P99 Latency"]) == (1500.0, 2.0, 1.5)
        assert "p99-under-average" in row["Flags"]
        assert "P99 Latency 1.5 ms is under AVG Latency 2 ms" in row["Reasons"][0]


@pytest.mark.slow
def test_a_compile_result_is_taken_elsewhere_and_its_files_are_checked(upstream, tmp_path_factory):
    status, result, said = evaluate(upstream, "TWOSEG", "--compile_only", "--out", "compiled")
    assert (status, result["Status"]) == (0, "compiled"), said
    file = upstream / "compiled" / "TWOSEG" / MODEL / "compile-int8.json"
    content = json.loads(file.read_text())
    named = [content["segments"][at]["compiled_model"][0]["compiled_obj"] for at in (0, 1)]
    assert all(Path(name).is_absolute() and Path(name).is_file() for name in named)
    stated = {each["path"]: each["sha256"] for each in content["qs_artifact"]["files"]}
    for name in named:
        assert stated[name] == hashlib.sha256(Path(name).read_bytes()).hexdigest()
    assert [each["path"] for each in result["Graph Compile"]["Artifacts"]] == list(stated)

    # elsewhere, and with a compiler that would be noticed
    compiler = upstream / "general_perf" / "backends" / "TWOSEG" / "compile_backend_twoseg.py"
    compiler.write_text(
        compiler.read_text().replace('folder = "', 'raise RuntimeError("compiled again")  # "')
    )
    status, result, said = evaluate(
        upstream,
        "TWOSEG",
        "--compiled",
        upstream / "compiled",
        "--out",
        "later",
        "--engine",
        "always",
    )
    assert status == 0, said
    assert result["Graph Compile"]["Compiled From"] == str(file)
    assert result["Graph Compile"]["Fallback Segments"] == [1]
    assert [(row["BS"], row["Mode"], row["Completed"]) for row in result["Performance"]] == [
        (1, "audit", 60),
        (4, "audit", 60),
    ]

    Path(named[0]).write_bytes(b"another model")
    status, _, said = evaluate(upstream, "TWOSEG", "--compiled", file, "--out", "changed")
    assert status == 2
    assert "segments[0].compiled_model[0].compiled_obj" in said and "compile again" in said
    status, _, said = evaluate(upstream, "OLDGEN", "--compiled", file, "--out", "other")
    assert status == 2 and "OLDGEN" in said
    status, _, said = evaluate(
        upstream, "TWOSEG", "--compiled", upstream / "nowhere", "--out", "other"
    )
    assert status == 2 and "--compile_only" in said
