"""What is seen, and what it means: the pure halves of the checks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qs.conformance import answers, contract, measuring, names, resources, threads
from qs.conformance.outcome import FAIL, PASS, SKIP, Outcome, Problem, judged
from qs.conformance.running import CheckResult, vendor_place
from qs.conformance.showing import counts, plain_lines, table, to_json, verdict
from qs.tensors.closeness import Difference, difference, in_words, tolerance, too_far, worse


def answer(*rows: object, dtype: type = np.float32) -> dict[str, np.ndarray]:
    return {"y": np.array(rows, dtype)}


@pytest.mark.parametrize(
    ("want", "got", "words"),
    [
        (answer(1, 2), answer(1, 2), None),
        (answer(1, 1000), answer(1.01, 1000), None),  # 1e-5 of the largest
        (answer(1, 2), answer(2, 1), "output y differs by 0.5 of its largest value"),
        (answer(1, np.nan), answer(1, np.nan), None),
        (answer(1, np.nan), answer(1, 2), "not finite"),
        (answer(0, 0), answer(0, 0), None),
        (answer(0, 0), answer(0, 1), "differs by"),
        (answer(1, 2), answer(1), "float32 [2] became float32 [1]"),
        (answer(1, 2), answer(1, 2, dtype=np.float64), "became float64"),
        (answer(True, False, dtype=bool), answer(True, True, dtype=bool), "differ"),
        (answer("a", dtype=str), answer("b", dtype=str), "values differ"),
        (answer(1), {"z": np.ones(1)}, "outputs y became z"),
    ],
)
def test_two_answers_are_the_same_to_within_rounding(want, got, words):
    said = too_far(difference(want, got), 1e-4)
    assert (said is None) if words is None else (words in said)


def test_what_cannot_be_compared_is_the_worst_difference():
    small, large = (Difference(apart=apart, output="y", problem=None) for apart in (0.1, 0.2))
    unlike = Difference(apart=0.0, output="", problem="shape")
    assert worse(small, large) is worse(large, small) is large
    assert worse(unlike, large) is worse(large, unlike) is unlike


@pytest.mark.parametrize(
    ("precision", "allowed"),
    [
        ("FP32", 1e-4),
        ("fp16", 2e-2),
        ("bfloat16", 3e-2),
        ("FLOAT16", 2e-2),
        ("INT8", 5e-2),
        ("?", 1e-4),
        (None, 1e-4),
    ],
)
def test_lower_precision_is_allowed_to_differ_more(precision, allowed):
    assert tolerance(precision) == allowed
    assert in_words(0) == "equal bit by bit"


SEEN = {
    "calls": 80,
    "wrong": 0,
    "worst": difference(answer(1), answer(1)),
    "errors": 0,
    "first_error": "",
    "distinct": 8,
}
WRONG = {"wrong": 3, "worst": difference(answer(1), answer(2))}


@pytest.mark.parametrize(
    ("seen", "pool", "status", "words"),
    [
        ({}, None, PASS, "80 answers to 4 clients"),
        (WRONG, "thread", FAIL, "3 of 80 concurrent answers are not the serial ones"),
        (WRONG, "process", PASS, "not thread-safe"),
        (
            {"errors": 2, "first_error": "RuntimeError: busy"},
            None,
            FAIL,
            "2 of 80 concurrent calls raised RuntimeError: busy",
        ),
        ({"distinct": 1}, None, SKIP, "only one batch"),
    ],
)
def test_threads(seen, pool, status, words):
    outcome = threads.judge(SEEN | seen, 1e-4, pool)
    assert (outcome.status, words in outcome.reason) == (status, True), outcome


@pytest.mark.parametrize(
    ("shapes", "reference", "words"),
    [
        ({1: [1, 3], 4: [4, 3]}, {"y": [1, 3]}, None),
        ({1: [1, 1, 3], 4: [4, 3]}, {"y": [1, 3]}, None),  # dimensions of 1 come and go
        ({1: [26, 2], 4: [104, 2]}, {"y": [26, 2]}, None),
        ({1: [1, 3], 4: [1, 3]}, {"y": [1, 3]}, "[1, 3] at batch size 4, not [4, 3]"),
        ({1: [3], 4: [3, 4]}, {"y": [1, 3]}, "[3, 4] at batch size 4, not [4, 3]"),
        ({1: [1, 3], 4: [4, 3]}, None, None),
        ({1: [1, 3], 4: [3, 3]}, None, "not a multiple of 4"),
        ({1: [], 4: []}, None, "not a multiple of 1"),
        ({1: [1, 3], 4: [8, 3]}, None, "[1, 3] an item at batch size 1, [2, 3] at 4"),
        ({1: [1, 3], 4: None}, None, "missing at batch size 4"),
    ],
)
def test_outputs_against_the_batch_with_and_without_a_reference(shapes, reference, words):
    seen = [
        {"batch_size": size, "shapes": {} if shape is None else {"y": shape}}
        for size, shape in shapes.items()
    ]
    outcome = answers.judge_outputs(seen, ["y"], reference)
    assert outcome.status == (PASS if words is None else FAIL), outcome
    assert words is None or words in outcome.reason


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"BS": 1, "QPS": 3, "AVG Latency": 1.5, "P99 Latency": 2}, None),
        ([{"qps": 3, "AVG_Latency": "1.5 ms", "P99_Latency": 2}], None),
        ({"QPS": 3, "AVG Latency": 1.5, "P99 Latency": None}, "P99 Latency is None; allowed"),
        ({"QPS": 3, "AVG Latency": 1.5, "P99 Latency": 1}, "is under AVG Latency"),
        ({"QPS": 3, "AVG Latency": 1.5}, "gives no P99 Latency"),
        ({"QPS": 0, "AVG Latency": 1.5, "P99 Latency": 2}, "QPS is 0; allowed"),
        ({"QPS": True, "AVG Latency": 1.5, "P99 Latency": 2}, "QPS is True; allowed"),
        ({"QPS": 3, "AVG Latency": float("nan"), "P99 Latency": 2}, "AVG Latency is nan"),
        ([], "empty list"),
        (None, "NoneType"),
        ("fast", "str"),
    ],
)
def test_benchmark_rows(rows, words):
    outcome = measuring.judge_benchmark(rows, 1, 3, 300)
    assert outcome.status == (PASS if words is None else FAIL)
    assert words is None or words in outcome.reason


@pytest.mark.parametrize(
    ("grown", "status", "words"),
    [
        (
            {"memory": 16_000_000, "files": 9, "threads": 9},
            PASS,
            "16.0 MB over 10 loads (allowed 16.8 MB)",
        ),
        ({"memory": -1, "files": 0, "threads": 0}, PASS, "grew by 0.0 MB"),
        ({"memory": 17_000_000, "files": 0, "threads": 0}, FAIL, "memory grew by 17.0 MB"),
        ({"memory": 0, "files": 10, "threads": 0}, FAIL, "10 more files"),
        ({"memory": 0, "files": 0, "threads": 20}, FAIL, "20 more threads"),
    ],
)
def test_leaks(grown, status, words):
    outcome = resources.judge_leaks({"loads": 10, **grown}, resources.allowed_growth(0))
    assert (outcome.status, words in outcome.reason) == (status, True), outcome
    assert resources.judge_leaks(None, 1).status == SKIP


def test_loaded_sizes():
    seen = {
        1: {"loaded": 1, "said": "1"},
        4: {"loaded": 8, "said": "8"},
    }
    assert "load(4) loads 8" in contract.judge_load(seen).reason
    outcome = contract.judge_load(
        {**seen, 8: {"loaded": None, "said": "'8'"}, 16: {"loaded": 0, "said": "0"}}
    )
    assert outcome.status == FAIL
    assert "after load(8), get_loaded_batch_size() gives '8'; after load(16)" in outcome.reason


@pytest.mark.parametrize(
    ("cosine", "apart", "why", "precision", "status"),
    [
        (1.0, 0.0, None, "FP32", PASS),
        (0.9995, 0.1, None, "FP32", FAIL),
        (0.9995, 0.1, None, "FP16", PASS),
        (0.96, 0.1, None, "INT8", PASS),
        (0.9, 0.1, None, "INT8", FAIL),
        (1.0, 0.0, "1 NaN of 30 values", "FP32", FAIL),
        (None, 7.0, None, "FP32", FAIL),  # all zero: it has no angle to anything
        (None, None, None, "FP32", PASS),  # equal strings have none either
    ],
)
def test_agreement_by_precision(cosine, apart, why, precision, status):
    found = {4: {"outputs": {"y": {"Cosine Similarity": cosine, "Max Diff": apart, "failed": why}}}}
    assert answers.judge_agreement(found, precision).status == status


RIGHT = {
    "compile_backend_acme.py": "class CompileBackendACME: pass",
    "runtime_backend_acme.py": "class RuntimeBackendACME: pass",
}


@pytest.mark.parametrize(
    ("folder", "files", "words"),
    [
        ("ACME", RIGHT, None),
        (
            "ACME",
            {**RIGHT, "runtime_backend_acme.py": "from .core import RuntimeBackendACME"},
            None,
        ),
        ("ACME", {**RIGHT, "runtime_backend_acme.py": "from .core import *"}, None),
        ("ACME", {**RIGHT, "runtime_backend_acme.py": "RuntimeBackendACME = make()"}, None),
        ("Acme", RIGHT, "the folder is called Acme"),
        ("AC-ME", {}, "rename it to AC_ME"),
        (
            "ACME",
            {"compile_backend_acme.py": RIGHT["compile_backend_acme.py"]},
            "no runtime_backend_acme.py",
        ),
        ("ACME", {**RIGHT, "acme.json": ""}, "called acme.json"),
        (
            "ACME",
            {**RIGHT, "compile_backend_acme.py": "class CompileBackendAcme: pass"},
            "has a class CompileBackendAcme",
        ),
        (
            "ACME",
            {**RIGHT, "compile_backend_acme.py": "class Compiler: pass"},
            "has no class CompileBackendACME",
        ),
        ("ACME", {**RIGHT, "compile_backend_acme.py": "class Compile("}, "is not Python, line 1"),
        (
            "ACME",
            {
                "Compile_Backend_ACME.py": RIGHT["compile_backend_acme.py"],
                "runtime_backend_acme.py": RIGHT["runtime_backend_acme.py"],
            },
            "Compile_Backend_ACME.py is not in lower case",
        ),
    ],
)
def test_names(tmp_path, folder, files, words):
    made = tmp_path / folder
    made.mkdir()
    for name, text in files.items():
        (made / name).write_text(text)
    outcome = names.judge(made)
    assert outcome.status == (PASS if words is None else FAIL), outcome
    assert words is None or words in f"{outcome.reason}; {outcome.fix}"


def test_a_class_that_derives_from_nothing_needs_every_method():
    methods = dict.fromkeys(contract.ARGUMENTS["runtime"], "ok") | {"benchmark": "missing"}
    about = {
        "class": "R",
        "derived": False,
        "methods": methods,
        "version": "1",
        "version_type": "str",
    }
    outcome = contract.judge_classes({"runtime": about})
    assert "R is not a RuntimeBackend; R.benchmark is missing" in outcome.reason
    assert not outcome.blocks
    outcome = contract.judge_classes(
        {"runtime": {**about, "methods": methods | {"predict": "not written"}}}
    )
    assert outcome.blocks


TRACEBACK = """Traceback (most recent call last):
  File "/x/engine/child.py", line 9, in answer
  File "/v/ACME/runtime_backend_acme.py", line 7, in predict
  File "/v/ACME/core/run.py", line 3, in go
  File "/lib/numpy/core.py", line 1, in dot
"""
DUMP = """Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/lib/ctypes/__init__.py", line 1, in string_at
  File "/v/ACME/core/run.py", line 3 in go
  File "/v/ACME/runtime_backend_acme.py", line 7 in predict
"""


def test_the_vendors_own_line_is_named_in_tracebacks_and_in_dumps():
    for text in (TRACEBACK, DUMP):
        assert vendor_place(text, Path("/v/ACME")) == "core/run.py, line 3, in go"
        assert vendor_place(text, Path("/v/OTHER")) is None


def test_what_is_shown():
    bad = judged([Problem("a is wrong", "mend it"), Problem("b is wrong", "mend it")], "")
    assert bad == Outcome(FAIL, "a is wrong; b is wrong", "mend it", blocks=True)
    results = [
        CheckResult("one", "about one", Outcome(PASS, "good"), 0.1),
        CheckResult("two", "about two", bad, 0.2),
    ]
    assert counts(results) == "1 passed, 1 failed"
    assert (verdict(results[:1]), verdict(results)) == (PASS, FAIL)
    assert verdict([CheckResult("three", "", Outcome(SKIP, "none"), 0)]) == PASS
    assert plain_lines(results[0]) == ["pass  one           good"]
    assert plain_lines(results[1])[1].split("to fix it:")[1].strip() == "mend it"
    shown = json.loads(json.dumps(to_json(results, "ACME", "tiny")))
    assert shown["verdict"] == FAIL
    assert shown["checks"][1] == {
        "name": "two",
        "about": "about two",
        "status": FAIL,
        "reason": "a is wrong; b is wrong",
        "fix": "mend it",
        "seconds": 0.2,
    }
    assert table(results).row_count == 2


def test_prints_are_said_and_never_failed():
    assert [
        resources.judge_prints(begin, end).status
        for begin, end in ((0, 0), (7, 7), (7, 57), (90, 7))
    ] == [PASS] * 4
    assert resources.judge_prints(0, 0).reason == "nothing"
    assert "the rest printed 7 bytes" in resources.judge_prints(7, 7).reason
    assert "prints 10 bytes a call" in resources.judge_prints(7, 57).reason
    assert "shortened" in resources.judge_prints(90, 7).reason
