"""bench/gpu.py without a GPU: what it says, which runs fit into its limit, and its table."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent / "bench" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    import sys

    spec = importlib.util.spec_from_file_location("bench_gpu", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_gpu"] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["bench_gpu"]


def test_without_a_gpu_it_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu.shutil, "which", lambda name: None)
    assert gpu.main([]) == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err


def test_a_gpu_that_is_not_there(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "gpus", lambda: ["GPU 0: NVIDIA H200"])
    assert gpu.main(["--device", "1"]) == 2
    assert "--device 1: this machine has GPU 0: NVIDIA H200" in capsys.readouterr().err


def test_every_task_runs_on_both_backends_next_to_each_other(gpu):
    wanted = gpu.plan()
    assert len(wanted) == 12
    assert [each.backend for each in wanted] == ["CUDA", "TORCH"] * 6
    assert {each.instances for each in wanted} == {1, 2, 4}


def test_every_instance_is_on_the_one_gpu(gpu):
    assert gpu.answers(gpu.Wanted("t", "CUDA", 4), 1) == {"device_ids": "1,1,1,1"}
    assert gpu.answers(gpu.Wanted("t", "TORCH", 4), 1) == {"device": "cuda:1"}


@pytest.mark.parametrize("backend", ["CUDA", "TORCH"])
def test_its_commands_are_taken(gpu, tmp_path, monkeypatch, backend):
    """Their options and answers, by qs itself."""
    from tests.qs.program import qs

    wanted = gpu.Wanted("bert-torch-fp32", backend, 2)
    (tmp_path / "answers.json").write_text(json.dumps(gpu.answers(wanted, 0)))
    monkeypatch.setenv("COLUMNS", "200")
    done = qs(*gpu.qs_run(wanted, tmp_path, ["--dry_run"])[3:])
    assert done.returncode == 0, done.stderr


def test_what_does_not_fit_into_the_limit_is_a_line_that_says_so(gpu):
    now = [0.0]

    def run(wanted, left_s):
        now[0] += 200
        return [gpu.Line(wanted.task, wanted.backend, wanted.instances, 1, 100.0)]

    found = gpu.measure(gpu.plan(), run, 480, lambda: now[0])
    assert [bool(line.why_not) for line in found] == [False, False, *[True] * 10]
    assert now[0] <= 480


def test_the_table(gpu):
    result = {
        "Accuracy": {"Cosine Similarity": 0.99999},
        "Performance": [
            {"BS": 1, "QPS": 1234.5, "P50 Latency": 0.81, "P99 Latency": None, "Verdict": "VALID"},
            {"BS": 8, "QPS": None, "Outcome": "failed"},
        ],
    }
    found = gpu.lines(gpu.Wanted("bert", "CUDA", 2), result)
    found.append(gpu.Line("bert", "TORCH", 2, why_not="no GPU 0"))
    assert gpu.table(found).splitlines() == [
        "| task | backend | instances | batch size | items/s | p50 ms | p99 ms | W | cosine | "
        "verdict |",
        "|" + "---|" * 10,
        "| bert | CUDA | 2 | 1 | 1,234 | 0.81 | n/a | n/a | 0.999990 | VALID |",
        "| bert | CUDA | 2 | 8 | n/a | n/a | n/a | n/a | 0.999990 | failed |",
        "| bert | TORCH | 2 |  |  |  |  |  |  | not measured: no GPU 0 |",
    ]
