"""Conditions over rounds: what holds, what does not, what cannot be told."""

from __future__ import annotations

import math

import pytest

from qs.ci.gate import Gate
from qs.gates.grammar import parse
from qs.result.gate import GateOutcome
from qs.result.measure_entry import MeasureEntry
from qs.result.tokens_entry import GoodputEntry, TokensEntry
from tests.qs.ci.made import case, row

HOLDS, NOT, UNCLEAR = GateOutcome.HOLDS, GateOutcome.NOT, GateOutcome.UNCLEAR
EQUAL = [0.001, -0.002, 0.002, -0.001, 0.0, 0.001]
SLOWER = [each + math.log(1.10) for each in EQUAL]
NOISY = [0.2, -0.2, 0.3, -0.25, 0.1, -0.2]


def gate(text: str, *cases) -> Gate:
    made = Gate(parse([text], changes=True), cases)
    made.look()
    return made


@pytest.mark.parametrize(
    ("text", "logs", "outcome", "said"),
    [
        ("slower:5%", EQUAL, NOT, "change of throughput"),
        ("slower:5%", SLOWER, HOLDS, "bs8: change of"),
        ("slower:5%", NOISY, UNCLEAR, "the interval includes the bound"),
        ("slower:20%", SLOWER, NOT, "change of throughput -9.1"),
        ("mean.slower:10%", SLOWER, UNCLEAR, "change of mean 10"),
        ("p99.slower:5%", SLOWER, HOLDS, "change of p99 10 %"),
        ("throughput.slower:5%", [-each for each in SLOWER], NOT, ""),
        ("slower:200%", NOISY, NOT, ""),
        ("p99.9.slower:5%", EQUAL, UNCLEAR, "p99.9 was not measured in every round"),
        ("bs1.slower:5%", EQUAL, UNCLEAR, "no case is bs1"),
        ("bs8-c1.slower:5%", SLOWER, HOLDS, ""),
        ("slower:5%", EQUAL[:3], UNCLEAR, "too few rounds"),
        ("p99>2ms", EQUAL, HOLDS, "new p99 3 ms"),
        ("p99>4ms", EQUAL, NOT, "new p99 3 ms"),
        ("items/s<8000", NOISY, UNCLEAR, "new items/s"),
        ("p99>0ms", EQUAL, HOLDS, ""),
        ("errors>0", EQUAL, NOT, "new errors 0"),
        ("completed<7000", EQUAL, HOLDS, "new completed 6,000"),
        ("peak_memory>1GB", EQUAL, UNCLEAR, "peak_memory was not measured"),
    ],
)
def test_three_answers(text, logs, outcome, said):
    found = gate(text, case(logs))
    found.look(last=True)
    (entry,) = found.entries()
    assert entry.outcome is outcome and said in entry.sentence, entry.sentence


def test_it_ends_as_soon_as_the_answer_is_known():
    assert gate("slower:5%", case(EQUAL)).done and gate("slower:5%", case(SLOWER)).done
    assert not gate("slower:5%", case(NOISY)).done
    # One slower case is enough; one equal case is not, beside one that cannot be told.
    assert gate("slower:5%", case(NOISY, "bs1"), case(SLOWER)).done
    assert not gate("slower:5%", case(NOISY, "bs1"), case(EQUAL)).done


def test_what_was_decided_stays_so():
    measured = case(EQUAL)
    found = gate("slower:5%", measured)
    measured.rounds += case([3.0, 3.0]).rounds
    found.look()
    assert [each.outcome for each in found.entries()] == [NOT]


def test_a_tail_that_cannot_be_told_does_not_keep_a_gate_from_passing_unless_it_is_named():
    wild = case(EQUAL)
    wild.rounds = [
        (old, new.changed(p99_ms=3 * math.exp(log))) for (old, new), log in zip(wild.rounds, NOISY)
    ]
    assert [each.outcome for each in gate("slower:5%", wild).entries()] == [NOT]
    assert [each.outcome for each in gate("p99.slower:5%", wild).entries()] == [UNCLEAR]


def test_in_open_loop_the_mean_leads():
    (entry,) = gate("slower:5%", case(EQUAL, Scenario="Poisson")).entries()
    assert entry.figure == "change of mean"


def test_where_neither_side_keeps_up_only_throughput_is_compared():
    overloaded = case(SLOWER, **{"Scenario": "Poisson", "Warning Codes": ["overload"]})
    assert [each.name for each in overloaded.metrics] == ["throughput"]
    (entry,) = gate("p99.slower:5%", overloaded).entries()
    assert entry.outcome is UNCLEAR and "neither side keeps up" in entry.sentence


def test_errors_hold_at_once_and_are_counted_over_all_rounds():
    broken = case(EQUAL)
    broken.rounds[2] = (broken.rounds[2][0], row(1.0, Errors=3))
    found = gate("errors>0", broken)
    assert found.done and found.entries()[0].sentence == "errors>0 holds: bs8: new errors 3"
    share = gate("errors>0.1%", broken)
    share.look(last=True)
    assert share.entries()[0].outcome is NOT


def test_how_many_rounds_would_tell():
    assert gate("slower:5%", case(NOISY)).needed() > 100
    assert gate("slower:5%", case(EQUAL)).needed() is None


def test_measures_of_a_language_model_are_gated_like_response_times():
    def with_measures(plain, ms: float):
        tokens = TokensEntry(output_per_s=1000.0 / ms, goodput=GoodputEntry(good_per_s=5.0))
        ttft = MeasureEntry(count=900, p50=ms, p95=ms * 2, p99=ms * 3)
        return plain.changed(measures={"ttft": ttft}, tokens=tokens)

    measured = case(EQUAL)
    measured.rounds = [
        (with_measures(old, 100.0), with_measures(new, 100.0 * math.exp(each)))
        for (old, new), each in zip(measured.rounds, SLOWER)
    ]
    for text, outcome, said in (
        ("ttft.p99.slower:5%", HOLDS, "change of ttft.p99 10 %"),
        ("ttft.p50.slower:20%", NOT, "change of ttft.p50"),
        ("slower:5%", HOLDS, "change of "),
        ("output_tokens/s.slower:5%", HOLDS, "change of output_tokens/s -9.1"),
        ("tpot.p50.slower:5%", UNCLEAR, "tpot.p50 was not measured"),
        ("ttft.p95>150ms", HOLDS, "new ttft.p95 220"),
        ("goodput<1", NOT, "new goodput 5"),
    ):
        found = gate(text, measured)
        found.look(last=True)
        (entry,) = found.entries()
        assert entry.outcome is outcome and said in entry.sentence, entry.sentence
