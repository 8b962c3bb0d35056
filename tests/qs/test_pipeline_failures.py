"""Backends that misbehave: the run ends in bounded time, says what happened, keeps what was
measured, and exits 3.
"""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.qs.program import qs
from tests.qs.results import read_result

TASK = "digits-cnn-onnx-fp32"

COMPILER = """
from qs import CompileBackend

class CompileBackendBAD(CompileBackend):
    def version(self):
        return "bad compiler 1"

    def compile(self, configs, dataloader=None):
        {compile}
        sizes = configs["workload"]["batch_sizes"]
        return {{
            "model": configs["model_info"]["model"], "framework": "Onnx",
            "compile_precision": "{precision}", "optimizations": {{}}, "instance_count": 1,
            "device_count": 1, "input_type": ["FLOAT32"], "max_batch_size": 64,
            "compile_status": "{status}", "sg_percent": 100,
            "segments": [{{"sg_idx": 0, "is_fallback": False,
                          "compiled_model": [{{"compiled_bs": size, "compiled_obj": "none"}}
                                             for size in sizes]}}],
        }}
"""

RUNTIME = """
import numpy as np
from qs import RuntimeBackend

class RuntimeBackendBAD(RuntimeBackend):
    calls = 0

    def version(self):
        return "bad runtime 1"

    def load(self, batch_size):
        {load}
        self.batch_size = batch_size

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, feeds):
        self.calls += 1
        {predict}
        return {{"logits": np.zeros((self.batch_size, 10), np.float32)}}

    def is_qs_mode_supported(self):
        return {supported}

    def generate_qs_config(self):
        return {config}

    def benchmark(self, dataloader):
        return {benchmark}
"""


@pytest.fixture
def evaluate(tmp_path):
    """evaluate(**code put into the backend) -> (exit status, result or None, standard error)."""

    def run(*options: str, numeric: bool = False, **code: str) -> tuple[int, dict | None, str]:
        parts = {
            "compile": "pass",
            "precision": "FP32",
            "status": "success",
            "load": "pass",
            "predict": "pass",
            "supported": "True",
            "config": "{}",
            "benchmark": "{}",
        }
        parts |= code
        made = tmp_path / "backends" / "BAD"
        made.mkdir(parents=True)
        (made / "compile_backend_bad.py").write_text(textwrap.dedent(COMPILER).format(**parts))
        (made / "runtime_backend_bad.py").write_text(textwrap.dedent(RUNTIME).format(**parts))
        (tmp_path / "workloads").mkdir()
        workload = {
            "model": TASK,
            "clients": 1,
            "iterations": 10,
            "batch_sizes": [1, 2],
            "test_accuracy": False,
            "test_numeric": numeric,
        }
        (tmp_path / "workloads" / "bad.json").write_text(json.dumps(workload))
        asked = ("--task", "bad", "--hardware_type", "BAD", "--out", tmp_path / "reports")
        ran = qs("run", *asked, "--workspace", tmp_path, *options)
        assert "Traceback" not in ran.stderr
        reports = list((tmp_path / "reports").rglob("result-*.json"))
        return ran.returncode, read_result(reports[0]) if reports else None, ran.stderr

    return run


def test_a_backend_that_does_its_work_is_valid(evaluate):
    status, result, said = evaluate()
    assert (status, result["Verdict"]) == (0, "VALID"), said
    assert (result["Compile Version"], result["Runtime Version"]) == (
        "bad compiler 1",
        "bad runtime 1",
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ({"compile": "raise RuntimeError('no licence')"}, "compile: RuntimeError: no licence"),
        ({"compile": "import os; os._exit(3)"}, "compile: the process ended (exit status 3)"),
        ({"compile": "import ctypes; ctypes.string_at(0)"}, "signal SIGSEGV"),
        ({"compile": "raise SystemExit(0)"}, "SystemExit"),
    ],
)
def test_a_compiler_that_fails_is_a_reason_in_the_report(evaluate, code, reason):
    status, result, _ = evaluate(**code)
    assert (status, result["Status"], result["Verdict"]) == (3, "failed", "INVALID")
    assert any(reason in text for text in result["Reasons"]), result["Reasons"]


def test_a_load_that_fails_is_tried_for_every_batch_size(evaluate):
    status, result, _ = evaluate(numeric=True, load="raise MemoryError('card full')")
    assert (status, result["Status"], result["Verdict"]) == (3, "complete", "INVALID")
    assert "card full" in result["Accuracy"]["Numeric"]["Not Measured"]
    assert [(row["BS"], row["QPS"], row["Outcome"]) for row in result["Performance"]] == [
        (1, None, "raised"),
        (2, None, "raised"),
    ]
    assert all("MemoryError: card full" in row["Reasons"][0] for row in result["Performance"])


def test_what_was_measured_before_a_failure_is_kept(evaluate):
    status, result, _ = evaluate(load="__import__('os')._exit(7) if batch_size == 2 else None")
    assert (status, result["Status"]) == (3, "complete")
    good, bad = result["Performance"]
    assert (good["Completed"], good["Verdict"]) == (10, "VALID")
    assert (bad["BS"], bad["QPS"], bad["Verdict"]) == (2, None, "INVALID")
    assert "exit status 7" in bad["Reasons"][0]


def test_failed_requests_are_counted_by_kind(evaluate):
    status, result, _ = evaluate("--warmup", "0", predict="1 / 0 if self.calls % 5 == 0 else None")
    assert status == 3
    row = result["Performance"][0]
    assert (row["Completed"], row["Errors"], row["Errors By Kind"]) == (
        8,
        2,
        {"ZeroDivisionError": 2},
    )
    assert "2 of 10 requests failed" in row["Reasons"][0]


def test_a_check_that_fails_is_a_reason_and_the_rest_is_measured(evaluate):
    fails_first = "if self.calls == 1: raise ValueError('cold')"
    status, result, _ = evaluate(numeric=True, predict=fails_first)
    assert (status, result["Status"], result["Verdict"]) == (3, "complete", "INVALID")
    assert any("ValueError: cold" in reason for reason in result["Reasons"])
    assert "cold" in result["Accuracy"]["Numeric"]["Not Measured"]
    assert [row["Completed"] for row in result["Performance"]] == [10, 10]


def test_nan_in_an_output_is_a_failure(evaluate):
    status, result, _ = evaluate(
        numeric=True,
        predict="return {'logits': np.full((self.batch_size, 10), np.nan, np.float32)}",
    )
    assert (status, result["Verdict"]) == (3, "INVALID")
    assert result["Accuracy"]["NaN Count"] == 160
    assert any("logits" in reason and "NaN" in reason for reason in result["Reasons"])


@pytest.mark.slow
def test_prints_of_a_backend_go_to_its_log(evaluate, tmp_path):
    status, _, said = evaluate("--json", predict="print('noise ' * 1000)")
    assert status == 0
    assert "noise" not in said
    assert "noise" in next((tmp_path / "reports").rglob("backend.log")).read_text()


def test_a_compile_status_other_than_success_is_invalid(evaluate):
    status, result, _ = evaluate(status="partly")
    assert (status, result["Verdict"]) == (3, "INVALID")
    assert "partly" in result["Reasons"][0]


def test_a_wrong_qs_config_is_refused_with_the_nearest_key(evaluate):
    status, result, said = evaluate(config="{'poool': 'thread', 'instances': 0}")
    assert status == 2
    assert "did you mean 'pool'" in said and "instances" in said
    assert result["Status"] == "refused"


def test_a_precision_names_the_report_but_no_path(evaluate, tmp_path):
    status, _, said = evaluate(precision="../../INT8")
    assert status == 2, said
    left = [
        path for path in tmp_path.rglob("*int8*") if ".workspaces" not in path.parts
    ]  # links to the zoo
    assert not left


def test_a_backend_without_qs_mode_times_itself(evaluate):
    numbers = "{'BS': self.batch_size, 'QPS': 10.0, 'AVG_Latency': 100.0, 'P99_Latency': 120.0}"
    status, result, _ = evaluate(supported="False", benchmark=f"[{numbers}]")
    assert status == 0
    assert [(row["BS"], row["Mode"], row["AVG Latency"]) for row in result["Performance"]] == [
        (1, "vendor", 100.0),
        (2, "vendor", 100.0),
    ]
    assert "not comparable" in result["Performance"][0]["Warnings"][0]


@pytest.mark.parametrize("pool", ["inline", "async"])
def test_a_pool_that_cannot_be_is_refused(evaluate, pool):
    status, _, said = evaluate(config=f"{{'pool': '{pool}', 'clients': 4}}")
    assert status == 2
    assert pool in said
