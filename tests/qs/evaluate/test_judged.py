"""Verdict, reasons and doubts of a case, in the words of the command line."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from qs.engine import Cause, Confidence, Doubt, Ending, Estimate, Reason
from qs.engine.judging.caveats import RULES
from qs.engine.ruling import Caveat
from qs.evaluate import cures
from qs.evaluate.judged import judged
from qs.result.verdict import Verdict
from qs.settings.case import Case
from qs.settings.traffic import ScenarioSettings
from tests.engine.judging.test_caveats import result_of

CLOSED = Case("bs1-c1", 1, 1, 1, 100, None, None, "thread", 1, None, ())
RATE = replace(CLOSED, iterations=None, scenario=ScenarioSettings("Poisson", rate_per_s=100.0))
SERVER = replace(RATE, scenario=ScenarioSettings("Server", rate_per_s=100.0, bound_s=0.01))
OVERLOAD = Caveat(Doubt.OVERLOAD, "the backlog grew by 400 requests", "lower the rate")
KNOWN = Estimate(100.0, 4.0, 12)
RESPONSE = {50.0: KNOWN, 90.0: KNOWN, 99.0: KNOWN, 99.9: KNOWN}
SURE = Confidence(KNOWN, RESPONSE)


def cause(code: Cause, text: str = "why", advice: str = "raise max_duration_s") -> Reason:
    return Reason(code, text, advice)


@pytest.mark.parametrize(
    ("case", "changes", "verdict"),
    [
        (CLOSED, {}, "VALID"),
        (CLOSED, {"causes": [cause(Cause.FAILED)]}, "INVALID"),
        (RATE, {"caveats": [OVERLOAD]}, "OVERLOADED"),
        # what never had its turn is what overload means
        (
            RATE,
            {
                "caveats": [OVERLOAD],
                "causes": [cause(Cause.FAILED)],
                "errors_by_kind": {"dropped": 9},
            },
            "OVERLOADED",
        ),
        (
            RATE,
            {
                "caveats": [OVERLOAD],
                "causes": [cause(Cause.FAILED)],
                "errors_by_kind": {"dropped": 9, "ValueError": 1},
            },
            "INVALID",
        ),
        (RATE, {"caveats": [OVERLOAD], "causes": [cause(Cause.INTERRUPTED)]}, "INVALID"),
        (SERVER, {"causes": [cause(Cause.BOUND), cause(Cause.EARLY_STOPPING)]}, "SLO NOT MET"),
        (SERVER, {"causes": [cause(Cause.BOUND)], "caveats": [OVERLOAD]}, "OVERLOADED"),
        # nobody knows whether it holds: MLPerf wants more queries
        (SERVER, {"causes": [cause(Cause.EARLY_STOPPING)]}, "INVALID"),
        (SERVER, {"causes": [cause(Cause.BOUND), cause(Cause.MINIMUM_QUERIES)]}, "INVALID"),
    ],
)
def test_the_verdict(case, changes, verdict):
    result = result_of(case.open_loop, confidence=SURE, **changes)
    found, reasons, _ = judged(case, result)
    assert found == Verdict(verdict) and bool(reasons) == (verdict != "VALID")


def test_overload_says_what_was_offered_and_served():
    result = result_of(True, caveats=[OVERLOAD], warnings=[str(OVERLOAD)], offered_s=5.0)
    verdict, (reason,), doubts = judged(RATE, result)
    assert (verdict, doubts) == (Verdict.OVERLOADED, [])
    assert reason.startswith("offered 200 queries/s, served 100/s (50 %): the target is saturated")
    assert reason.endswith("a lower --rate, or more --clients")


def test_every_doubt_and_reason_has_its_cure_in_the_words_of_the_command_line():
    from qs.cli.load import command as load

    flags = {flag for option in load.params for flag in option.opts}
    assert {rule.__name__ for rule in RULES} - {"throughput_drift"} <= {str(each) for each in Doubt}
    assert set(cures.CURES) == set(Doubt)
    result = result_of(True)
    for case in (CLOSED, RATE, replace(RATE, pool="async"), replace(CLOSED, affinity=((0,),))):
        said = [cures.cure(code, case, result) for code in Doubt]
        said += [known(case, result) for known in cures.REASONS.values()]
        for text in filter(None, said):
            assert set(re.findall(r"--[a-z_]+", text)) <= flags, text
            assert "max_duration_s" not in text and "(pool" not in text, text
        assert all(cures.cure(code, case, result) for code in Doubt)


def test_a_reason_names_the_flag_and_not_the_plan():
    limited = replace(CLOSED, time_limit_s=1.0)
    result = result_of(confidence=SURE, causes=[cause(Cause.MINIMUM_QUERIES, "too few")])
    assert judged(limited, result)[1] == ["too few; a longer --time_limit, or none"]
    assert judged(CLOSED, result)[1] == ["too few; more --iterations"]


@pytest.mark.parametrize(
    ("case", "estimate", "wall_s", "cure"),
    [
        (CLOSED, Estimate(9.0, None, why="few", longer=100.0), 0.009, "--duration 3s"),
        (CLOSED, Estimate(9.0, None, why="correlated", longer=4.0), 6.0, "--duration 30s"),
        (
            replace(CLOSED, iterations=None, until_known=0.05),
            Estimate(9.0, None, why="correlated", longer=4.0),
            10.0,
            "--time_limit 60s",
        ),
        (CLOSED, Estimate(9.0, None, why="few", longer=20.0), 60.0, "--duration 25m"),
    ],
)
def test_a_run_without_an_interval_is_too_short_to_tell(case, estimate, wall_s, cure):
    confidence = Confidence(estimate, RESPONSE)
    verdict, _, (doubt,) = judged(case, result_of(confidence=confidence, wall_s=wall_s))
    assert (verdict, doubt.code, doubt.cure) == (Verdict.VALID, "too_short", cure)
    assert doubt.needed_s == pytest.approx(1.2 * estimate.longer * wall_s)


@pytest.mark.parametrize(("half", "codes"), [(9.5, ["too_short"]), (8.5, [])])
def test_an_interval_as_wide_as_its_figure_tells_nothing(half, codes):
    confidence = Confidence(Estimate(9.0, half, 5), RESPONSE)
    verdict, _, doubts = judged(CLOSED, result_of(confidence=confidence, wall_s=2.0))
    assert (verdict, [doubt.code for doubt in doubts]) == (Verdict.VALID, codes)
    if codes:
        assert "the throughput is known only to within 106 %" in doubts[0].text
        assert doubts[0].needed_s == pytest.approx(2.0 * (9.5 / 9.0 / 0.5) ** 2)


def test_in_open_loop_it_is_the_response_time_that_is_to_be_known():
    none = Estimate(9.0, None, why="few", longer=2.0)
    sure = Confidence(none, RESPONSE)
    assert judged(RATE, result_of(True, confidence=sure))[2] == []
    unsure = Confidence(KNOWN, RESPONSE | {99.0: none})
    (doubt,) = judged(RATE, result_of(True, confidence=unsure))[2]
    assert (doubt.code, doubt.cure) == ("too_short", "--duration 30s")
    assert "p99 of the response time" in doubt.text
    stages = replace(RATE, scenario=ScenarioSettings("Stages"))
    assert judged(stages, result_of(True, confidence=unsure))[2][0].cure.startswith("--stages")


def test_a_case_that_did_not_come_to_know_its_throughput_says_so():
    case = replace(CLOSED, iterations=None, until_known=0.05)
    rough = Confidence(Estimate(100.0, 10.0, 12), RESPONSE)
    ended = {"confidence": rough, "ended_by": Ending.TIME_LIMIT}
    verdict, _, (doubt,) = judged(case, result_of(**ended))
    assert (verdict, doubt.code, doubt.cure) == (Verdict.VALID, "imprecise", "--time_limit 45s")
    assert doubt.text == "after 10 s the throughput is known to 10 %, not to 5 %"
    assert judged(case, result_of(**ended | {"ended_by": Ending.STABLE}))[2] == []
    assert judged(CLOSED, result_of(**ended))[2] == []
