"""Conditions on what is measured of a language model's requests."""

from __future__ import annotations

import pytest

from qs.base.errors import Faults
from qs.gates.bounds import judged
from qs.gates.grammar import parse, parse_changes
from qs.result.beside import log_of
from qs.result.gate import GateOutcome
from qs.result.saved import read_result
from tests.qs.evaluate.llm_made import llm_report
from tests.qs.gates.test_bounds import entries, result, row

HOLDS, NOT, UNCLEAR = GateOutcome.HOLDS, GateOutcome.NOT, GateOutcome.UNCLEAR


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return llm_report(tmp_path_factory.mktemp("llm"))


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("ttft.p99>50ms", HOLDS, "ttft.p99 109"),
        ("ttft_p99>50ms", HOLDS, "ttft.p99 109"),
        ("TTFT.p99>1s", NOT, ""),
        ("bs1.itl.p95>10ms", HOLDS, ""),
        ("itl.mean>1ms", HOLDS, "itl.mean 8."),
        ("ttft.p99.9>1s", UNCLEAR, "fewer than 10000 values"),
        ("tpot.max>1s", NOT, ""),
        ("output_tokens/s<1000", NOT, "output_tokens/s 5,"),
        ("goodput<20", NOT, "goodput 25"),
        ("goodput<25", UNCLEAR, "the interval includes the bound"),
        ("decode_rate.p50<10", NOT, ""),
    ],
)
def test_a_measure_is_held_to_a_bound(report, text, outcome, said):
    found = read_result(report / "result-fp32.json")
    (entry,) = judged(parse([text]), found, lambda name: log_of(report, name))
    assert entry.outcome is outcome
    assert said in entry.sentence


def test_what_was_not_measured_cannot_tell():
    for text, why in (("ttft.p99>1s", "it was not measured"), ("goodput<1", "--slo")):
        (entry,) = entries(text, result(row()))
        assert entry.outcome is UNCLEAR and why in entry.sentence


@pytest.mark.parametrize("text", ["ttft.p98>1s", "ttft>1s", "ttft.p99>5", "itl.p99>50/s"])
def test_faults_say_what_is_allowed(text):
    for metrics in ((), None):
        with pytest.raises(Faults) as caught:
            parse([text], metrics=metrics)
        assert "ttft.p99" in str(caught.value) or "a time" in str(caught.value)


def test_a_change_of_a_measure_is_a_condition():
    (found,) = parse_changes(["ttft_p99.slower:10%"], 0.02)
    assert (found.figure, str(found)) == ("ttft.p99", "ttft.p99.slower:10%")
    (found,) = parse_changes(["output_tokens/s.slower:5%"], 0.02)
    assert found.figure == "output_tokens/s"
    with pytest.raises(Faults, match="ttft.p50"):
        parse_changes(["ttft.p95.slower:10%"], 0.02)
