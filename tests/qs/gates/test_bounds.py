"""A result held to bounds: three answers, and the command that would turn the third into one of the
others.
"""

from __future__ import annotations

import pytest

from qs.gates.bounds import judged
from qs.gates.grammar import parse
from qs.result.gate import GateEntry, GateOutcome, overall
from qs.result.result import Result
from qs.result.row import Row

COMMAND = ["/x/bin/qs", "load", "m.onnx", "--duration", "2s", "--iterations=5", "--quiet"]


def row(**more: object) -> Row:
    plain = {
        "BS": 8,
        "QPS": 800.0,
        "Queries Per Second": 100.0,
        "AVG Latency": 10.0,
        "P50 Latency": 9.0,
        "P99 Latency": 40.0,
        "P99.9 Latency": None,
        "Wall Time": 10.0,
        "Completed": 1000,
        "Errors": 0,
        "Peak Memory Bytes": 1_500_000_000,
        "Mode": "QS",
        "Verdict": "VALID",
        "Reasons": [],
        "Warnings": [],
        "Confidence": {
            "Level": 0.95,
            "Queries Per Second": {"Half Width": 5.0},
            "P50 Latency": {"Half Width": None, "Why": "too short"},
            "P99 Latency": {"Half Width": 10.0},
        },
    }
    return Row.model_validate(plain | more)


def result(*rows: Row, **more: object) -> Result:
    plain = {
        "Model": "M",
        "Backend": "CPU",
        "Host Info": None,
        "Version": None,
        "Execution Date": "",
        "schema_version": 1,
        "Status": "complete",
        "Verdict": "VALID",
        "Reasons": [],
        "Warnings": [],
        "Task": "m",
        "Command": COMMAND,
        "QS Version": "1",
        "Started": "2026-01-01T00:00:00",
    }
    found = Result.model_validate(plain | more)
    return found.model_copy(update={"performance": list(rows)})


def entries(text: str, found: Result) -> list[GateEntry]:
    return judged(parse([text], metrics=None), found, lambda name: None)


HOLDS, NOT, UNCLEAR = GateOutcome.HOLDS, GateOutcome.NOT, GateOutcome.UNCLEAR


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("p99>25ms", HOLDS, "BS 8: p99 40 ms (30 .. 50)"),
        ("p99>45ms", UNCLEAR, "p99 40 ms (30 .. 50): the interval includes the bound"),
        ("p99>60ms", NOT, "p99 40 ms (30 .. 50)"),
        ("p99>50ms", NOT, ""),
        ("p99>=50ms", UNCLEAR, ""),
        ("items/s<700", NOT, "items/s 800 (760 .. 840)"),
        ("items/s<900", HOLDS, ""),
        ("queries/s<100", UNCLEAR, "queries/s 100 (95 .. 105)"),
        ("p50>1ms", UNCLEAR, "p50 9 ms: too short"),
        ("p99.9>1ms", UNCLEAR, "fewer than 10000 queries"),
        ("mean>1ms", UNCLEAR, "histogram is not there"),
        ("errors>0", NOT, "errors 0"),
        ("errors>1%", NOT, "errors 0 % (0 .. 0.368)"),
        ("errors>0.1%", UNCLEAR, ""),
        ("peak_memory>1GB", HOLDS, "peak_memory 1.5 GB"),
        ("first_inference>1ms", UNCLEAR, "it was not measured"),
        ("bs16.p99>1ms", UNCLEAR, "no case is bs16; measured: bs8"),
        ("accuracy<0.5", UNCLEAR, "no accuracy was measured"),
    ],
)
def test_three_answers(text, outcome, said):
    (found,) = entries(text, result(row()))
    assert found.outcome is outcome and said in found.sentence, found.sentence


SCORED = {
    "Accuracy": {
        "Data Percent": 100,
        "Top-1": 0.98,
        "Top-5": 0.99,
        "Max Diff": 1e-6,
        "Confidence Intervals": {"Top-1": [0.96, 0.99]},
    }
}


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("accuracy<0.97", NOT, "Top-1 0.98 (0.96 .. 0.99)"),
        ("accuracy<98.5%", HOLDS, ""),
        ("top-5<0.5", NOT, "Top-5 0.99"),
        ("Max Diff>1e-3", NOT, "Max Diff"),
        ("Top-2<0.5", UNCLEAR, "the data set reports Top-1, Top-5, Max Diff; did you mean"),
    ],
)
def test_a_score_is_a_fact_of_its_items(text, outcome, said):
    (found,) = entries(text, result(**SCORED))
    assert found.outcome is outcome and said in found.sentence, found.sentence


def test_any_case_counts_and_a_holding_one_decides():
    found = entries("p99>45ms", result(row(), row(**{"BS": 1, "P99 Latency": 80.0})))
    assert [each.outcome for each in found] == [UNCLEAR, HOLDS]
    assert overall(found) is HOLDS and overall(found[:1]) is UNCLEAR and overall([]) is NOT


def test_the_command_that_would_decide_measures_as_long_as_the_dearest_case_needs():
    """Half-width 10 ms, 5 ms from the bound: four times as long, and half as much again."""
    found = entries("p99>45ms,items/s<830", result(row()))
    commands = {each.decide for each in found}
    assert commands == {"qs load m.onnx --duration 60s"}
    assert entries("p99>40ms", result(row()))[0].decide is None  # no time would tell them apart


def test_a_case_that_was_not_measured_cannot_be_told():
    broken = row(**{"Verdict": "INVALID", "Completed": 0, "QPS": None, "P99 Latency": None})
    (found,) = entries("p99>1ms", result(broken))
    assert found.outcome is UNCLEAR and "could not be measured" in found.sentence
