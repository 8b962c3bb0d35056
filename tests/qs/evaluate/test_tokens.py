"""What a language model's case comes to in the report: from a run's result, made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import ClosedLoop, Doubt, Histogram, RunPlan
from qs.evaluate.cures import CURES
from qs.evaluate.measure_logs import coarser, write_logs
from qs.evaluate.rows import measured
from qs.evaluate.tokens import TokensBeside, lengths, peak
from qs.llm.asked import LlmAsked
from qs.result.logs import read_log
from qs.result.row import Row
from tests.qs.evaluate.llm_made import CASE, MS, llm_result, llm_row


def test_a_row_has_every_measure_in_its_unit():
    result = llm_result()
    row = llm_row(result)
    assert row.measures is not None and set(row.measures) == set(result.measures)
    ttft, found = row.measures["ttft"], result.measures["ttft"].histogram
    assert (ttft.unit, ttft.count) == ("ms", found.count)
    assert ttft.p99 == found.percentile_ns(99) / MS
    assert ttft.p99_9 is None  # 600 requests cannot tell
    assert ttft.half_widths["p99"] == pytest.approx(ttft.p99 * 0.03)
    rate = row.measures["decode_rate"]
    assert rate.unit == "tokens/s"
    assert rate.p50 == result.measures["decode_rate"].histogram.percentile_ns(50) / 1000
    assert row.measures["output_tokens"].unit == "tokens"


def test_tokens_are_counted_over_the_measured_time():
    result = llm_result()
    tokens = llm_row(result).tokens
    assert tokens is not None
    whole = result.measures["output_tokens"].histogram.sum_ns
    assert tokens.output_tokens == whole == result.happened["output tokens"].sum()
    assert tokens.output_per_s == whole / 12
    assert 0 < tokens.output_per_s_half_width < tokens.output_per_s
    assert tokens.output_per_s_of_user == llm_row(result).measures["decode_rate"].p50
    assert tokens.peak_output_per_s > tokens.output_per_s
    assert tokens.counted_by == {"server's usage": 600}
    assert (tokens.differing, tokens.outcomes) == (0, {"length": 400, "stop": 200})
    assert tokens.goodput.good_per_s == 25
    assert tokens.client_us_per_stream == 1.5e6 / 600


def test_the_most_in_a_second_is_found_wherever_the_second_begins():
    happened = np.zeros(40, np.int64)
    happened[8:13] = 7  # across the border of the first second
    assert peak(happened, 4.0) == 35
    assert peak(happened[:10], 60.0) == 14  # nothing came after the first second
    assert peak(happened[:9], 0.9) is None
    assert peak(None, 4.0) is None


def test_counts_differ_only_where_there_are_two():
    both = llm_result()
    assert llm_row(both).tokens.differing == 0
    one = replace(both, measures={n: m for n, m in both.measures.items() if n != "counted_tokens"})
    assert llm_row(one).tokens.differing is None


def test_what_was_not_read_makes_no_rate():
    """Ctrl-C while answers are read, or no room for them: the others are no rate of the run."""
    tokens = llm_row(replace(llm_result(), unread=300)).tokens
    assert (tokens.output_per_s, tokens.peak_output_per_s, tokens.input_per_s) == (None,) * 3
    assert tokens.output_per_s_half_width is None and tokens.output_tokens > 0
    assert llm_row(replace(llm_result(), unread=3)).tokens.output_per_s > 0


def test_a_run_without_answers_has_no_numbers():
    row = llm_row(llm_result(requests=0, read={}, outcomes={}, good=0))
    assert row.measures["ttft"].p50 is None and row.measures["ttft"].count == 0
    tokens = row.tokens
    assert (tokens.output_tokens, tokens.output_per_s, tokens.sample) == (None, None, [])
    assert Row.model_validate(row.to_dict()) == row


def test_single_requests_are_told_from_due_to_the_last_byte():
    sample = llm_row(llm_result()).tokens.sample
    assert len(sample) == 120
    assert [each.due_ms for each in sample] == sorted(each.due_ms for each in sample)
    for each in sample:
        assert each.due_ms < each.sent_ms < each.first_token_ms <= each.last_ms


def test_the_series_adds_up_to_the_whole():
    tokens = llm_row(llm_result()).tokens
    series = tokens.series
    assert series.window_s == 0.2
    assert sum(series.output_tokens) == tokens.output_tokens
    assert len(series.output_tokens) == len(series.in_flight) == len(series.ttft_p50_ms) == 60
    assert series.in_flight[:3] == [0, 1, 2]


def test_lengths_stand_as_drawn_beside_as_served():
    found = llm_row(llm_result()).tokens.output_lengths
    assert found.asked == [(128, 600)]
    assert sum(count for _, count in found.served) == 600


def test_many_lengths_are_put_together():
    made = Histogram()
    made.record(np.arange(1, 30_001))
    found = lengths(made)
    assert len(found) <= 200
    assert sum(count for _, count in found) == 30_000
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        ({"shorter than asked": 60}, "other_lengths"),
        ({"other input length": 60}, "other_prompts"),
        ({"ended by length unasked": 300}, "cut_answers"),
        ({"counted differently": 60}, "tokens_differ"),
        ({"counted by nobody": 60}, "tokens_uncounted"),
        ({"counted by nobody": 60, "tokens of events unknown": 60}, "tokens_uncounted"),
        ({"tokens of events unknown": 60}, "events_uncounted"),
        ({"unreadable": 1}, "unreadable"),
        ({}, None),
        ({"shorter than asked": 6, "counted differently": 6}, None),
    ],
)
def test_what_is_to_be_doubted(read, code):
    codes = [each.code for each in llm_row(llm_result(read=read)).doubts]
    ours = {"other_lengths", "other_prompts", "cut_answers", "tokens_differ", "tokens_uncounted"}
    ours |= {"events_uncounted", "unreadable"}
    assert [each for each in codes if each in ours] == ([code] if code else [])


def test_each_measure_has_its_log(tmp_path):
    (tmp_path / "latency").mkdir()
    result = llm_result()
    logs = write_logs(result, tmp_path / "latency" / "fp32-rate-0.5.hlog")
    assert logs["ttft"] == "latency/fp32-rate-0.5.ttft.hlog"
    assert "asked_input_tokens" not in logs
    for name, place in logs.items():
        series = read_log((tmp_path / place).read_text(), result.wall_s)
        assert series.completed == result.measures[name].histogram.count
    row = llm_row(result, tmp_path)
    assert row.measures["itl"].histogram == "latency/fp32-rate-50.itl.hlog"
    assert (tmp_path / row.measure_logs[0]).exists()


def test_a_long_runs_log_has_fewer_intervals_and_the_same_values():
    rows = llm_result().measures["itl"].intervals
    found = coarser(rows, 25)
    assert len(found) == 20
    assert sum(row.completed for row in found) == sum(row.completed for row in rows)
    assert sum(int(row.counts.sum()) for row in found) == sum(int(r.counts.sum()) for r in rows)
    assert [row.start_s for row in found] == pytest.approx([at * 0.6 for at in range(20)])
    assert {round(row.length_s, 6) for row in found} == {0.6}
    assert coarser(rows) == rows


def test_a_plan_measures_only_a_language_model():
    plan = RunPlan(load=ClosedLoop(iterations=1))
    assert TokensBeside(None).plan(plan) == plan
    streamed = TokensBeside(LlmAsked()).plan(plan)
    assert "ttft" in [each.name for each in streamed.measures] and streamed.sample_requests
    embedded = TokensBeside(LlmAsked(api="embeddings", stream=False)).plan(plan)
    assert "ttft" not in [each.name for each in embedded.measures]
    result = llm_result()
    assert TokensBeside(None).row(measured(CASE, result), result, {}).tokens is None
    assert replace(plan, measures=()) == plan


def test_the_servers_times_stand_beside_the_clients():
    row = llm_row(llm_result())
    found = row.tokens.server_times["prefill"]
    assert found["client"] == row.measures["ttft_sent"].p50
    assert found["difference"] == pytest.approx(0.8, abs=0.1)  # sent 0.2 ms late, told 1 ms less
    assert set(row.tokens.server_times) == {"prefill", "decode"}


def test_every_doubt_of_the_engine_has_a_cure():
    assert set(CURES) == set(Doubt)
