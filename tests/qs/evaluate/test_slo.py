"""What becomes of --slo in a case's row: holds, fails, cannot tell, and what was good of each
request.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.base.errors import Faults
from qs.engine import Cause, Histogram, Reason, RunResult
from qs.evaluate.rows import measured
from qs.evaluate.slo import check_goals
from qs.limit import parse_goals
from qs.result.row import Row
from qs.result.verdict import Verdict
from qs.settings.case import Case
from qs.settings.request import Request
from tests.qs.evaluate.llm_made import llm_result

CASE = Case("bs1-c4", 1, 1, 4, None, 12.0, None, "async", 1, None, ())


def row_of(slo: str, result: RunResult) -> Row:
    return measured(CASE, result, goals=parse_goals([slo]))


def with_failures(result: RunResult, count: int) -> RunResult:
    first, *others = result.intervals
    text = f"{count} of {result.completed} requests failed"
    return replace(
        result,
        errors_by_kind={"error event": count},
        causes=[Reason(Cause.FAILED, text)],
        intervals=[replace(first, errors=count), *others],
    )


@pytest.mark.parametrize(
    ("slo", "verdict", "held"),
    [
        ("ttft_p99=1s", "VALID", "holds"),
        ("ttft_p99=20ms", "SLO NOT MET", "fails"),
        ("ttft_mean=60ms", "VALID", "holds"),
        ("ttft_mean=10ms", "SLO NOT MET", "fails"),
        ("tpot_p95=20ms", "VALID", "holds"),
        ("itl_p99=1s", "VALID", "holds"),
        ("itl_p50=1ms", "SLO NOT MET", "fails"),
        ("decode_rate_p95=50", "VALID", "holds"),
        ("decode_rate_p95=500", "SLO NOT MET", "fails"),
        ("decode_rate_mean=50", "VALID", "holds"),
        ("decode_rate_mean=500", "SLO NOT MET", "fails"),
        ("p90=60s", "VALID", "holds"),
        ("p90=100ms", "SLO NOT MET", "fails"),
        ("errors=1%", "VALID", "holds"),
    ],
)
def test_a_bound_of_any_measure_is_judged_over_the_run(slo, verdict, held):
    row = row_of(slo, llm_result())
    (rule,) = row.rules
    assert (row.verdict, rule.held, rule.passed) == (Verdict(verdict), held, verdict == "VALID")
    assert bool(row.reasons) == (verdict != "VALID")
    assert rule.code == "slo"


def test_a_reason_says_what_was_measured_and_what_share_missed_it():
    row = row_of("ttft_p99=20ms", llm_result())
    (reason,) = row.reasons
    found = llm_result().measures["ttft"].histogram.percentile_ns(99) / 1e6
    assert reason.startswith(f"--slo ttft_p99=20ms: {found:.0f} ms, needed at most 20 ms; ")
    assert reason.endswith(" of 600 requests are over it or failed, 1 % may be")
    (rule,) = row.rules
    low, high = rule.share_interval_percent
    assert low < rule.share_percent < high
    (below,) = row_of("decode_rate_p95=500", llm_result()).reasons
    assert "tokens/s, needed at least 500 tokens/s" in below and "are below it" in below


def test_of_a_measure_where_more_is_better_the_lower_tail_is_told():
    (rule,) = row_of("decode_rate_p95=50", llm_result()).rules
    rates = llm_result().measures["decode_rate"].histogram
    assert rule.measured == rates.percentile_ns(5) / 1000
    assert (rule.bound, rule.needed, rule.unit) == ("at least", 50.0, "tokens/s")


def test_what_holds_by_chance_is_a_doubt_with_what_would_tell():
    row = row_of("ttft_p99.9=5s", llm_result())
    assert row.verdict is Verdict.VALID
    doubt = next(each for each in row.doubts if each.code == "slo_unclear")
    assert "holds as measured, which may be chance: 600 requests" in doubt.text
    assert doubt.cure.startswith("--duration") and doubt.needed_s > 12


def test_what_is_missed_perhaps_by_chance_is_not_met_and_says_so():
    result = llm_result(requests=40)
    bound = result.measures["ttft"].histogram.percentile_ns(90) / 1e6
    row = row_of(f"ttft_p90={bound * 0.99:g}ms", result)
    assert row.verdict is Verdict.SLO_NOT_MET
    assert "it may be chance" in row.reasons[0]


def test_failures_are_faults_unless_a_bound_says_how_many_may_fail():
    result = with_failures(llm_result(), 3)
    assert row_of("ttft_p99=1s", result).verdict is Verdict.INVALID
    assert row_of("ttft_p99=1s,errors=2%", result).verdict is Verdict.VALID
    many = with_failures(llm_result(), 60)
    row = row_of("errors=2%", many)
    assert row.verdict is Verdict.SLO_NOT_MET
    assert row.reasons[0].startswith("--slo errors=2%: 9.091 %, needed at most 2 %")


def good_of(result: RunResult, share: float) -> RunResult:
    good = [int(row.completed * share) for row in result.intervals]
    return replace(result, good=sum(good), good_by_interval=good)


def test_goodput_is_what_the_engine_counted_by_request():
    whole = good_of(llm_result(), 1.0)
    row = row_of("ttft=1s,tpot=50ms", whole)
    (rule,) = row.rules
    assert (row.verdict, rule.name, rule.needed) == (Verdict.VALID, "goodput", 95.0)
    assert rule.measured == pytest.approx(100.0)
    assert row.goodput.goals == ["ttft=1s", "tpot=50ms"]
    assert row.goodput.good_per_s == whole.good / 12
    poor = row_of("ttft=1s,tpot=50ms,goodput=90%", good_of(llm_result(), 0.7))
    assert poor.verdict is Verdict.SLO_NOT_MET
    assert poor.reasons[0].startswith("--slo goodput=90%: ")


def test_percentiles_bound_each_request_too():
    row = row_of("ttft_p99=1s,errors=1%", good_of(llm_result(), 1.0))
    assert row.goodput.goals == ["ttft_p99=1s"]
    assert row.goodput.good == sum(each.completed for each in llm_result().intervals)
    assert [rule.name for rule in row.rules] == ["ttft p99", "errors"]


def test_where_the_response_time_alone_is_bounded_its_histogram_tells_goodput():
    result = replace(llm_result(), good=None, good_per_s=None, measures={})
    bound_ns = result.response.percentile_ns(80)
    row = row_of(f"e2e={bound_ns / 1e6:g}ms,goodput=70%", result)
    assert row.verdict is Verdict.VALID
    assert row.goodput.good == pytest.approx(0.8 * 600, abs=3)
    (rule,) = row.rules
    assert rule.measured == pytest.approx(80, abs=1.5)


def test_what_was_never_measured_is_no_verdict():
    row = row_of("ttft_p99=1s", replace(llm_result(), measures={}))
    assert row.verdict is Verdict.INVALID
    assert row.reasons == ["--slo ttft_p99=1s: ttft_p99 was not measured of any request"]
    empty = llm_result()
    empty.measures["ttft"].histogram = Histogram()
    empty.measures["ttft"].intervals = []
    assert row_of("ttft_mean=1s", empty).verdict is Verdict.INVALID


def test_crowded_waits_count_for_less():
    """The same shares, with all that is slow in one stretch of the run."""
    result = llm_result()
    values = np.full(600, 10_000_000)
    values[:12] = 900_000_000
    rows = []
    for at, row in enumerate(result.intervals):
        part = values[at * 25 : (at + 1) * 25]
        index, counts = np.unique(bins_of(part), return_counts=True)
        rows.append(replace(row, index=index, counts=counts, completed=part.size))
    result.measures["ttft"].intervals = rows
    (rule,) = row_of("ttft_p99=100ms", result).rules
    assert rule.share_percent == pytest.approx(2.0)
    assert rule.held == "unclear"


def bins_of(values: np.ndarray) -> np.ndarray:
    from qs.engine.record.histogram import indices_of

    return indices_of(values.astype(np.int64))


@pytest.mark.parametrize(
    ("hardware", "remote", "slo", "refused"),
    [
        ("CPU", {}, "p99=5ms,e2e=1s,errors=1%", False),
        ("CPU", {}, "ttft_p99=5ms", True),
        ("OPENAI", {}, "ttft_p99=5ms,itl_p99=1s", False),
        ("OPENAI", {"llm": {"stream": False}}, "ttft_p99=5ms", True),
        ("OPENAI", {"llm": {"stream": False}}, "normalised_p99=5ms", False),
        ("OPENAI", {"llm": {"api": "embeddings"}}, "output_tokens_p50=5", True),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(hardware, remote, slo, refused):
    request = Request("", hardware, remote=remote, goals=parse_goals([slo]))
    if not refused:
        check_goals(request)
        return
    with pytest.raises(Faults, match="bounds of what is measured of"):
        check_goals(request)


def test_a_trial_is_not_judged_but_failures_that_are_bounded_are_no_fault_of_it():
    result = with_failures(llm_result(), 3)
    trial = measured(CASE, result, goals=parse_goals(["ttft_p99=1ms,errors=2%"]), judging=False)
    assert trial.verdict is Verdict.VALID and len(trial.rules) == 2
    assert not trial.rules[0].passed
    unbounded = measured(CASE, result, goals=parse_goals(["ttft_p99=1ms"]), judging=False)
    assert unbounded.verdict is Verdict.INVALID
