"""The charts of a language model's page: their points, and that Vega-Lite draws them."""

from __future__ import annotations

import json

import pytest

from qs.render.html import llm_charts, llm_points
from qs.render.html.curves import charts_of
from qs.render.html.page import result_page
from qs.result.cases import named
from qs.result.saved import read_result
from qs.result.story import story_of
from qs.result.sweep import CurvePoint, InteractivityPoint, LimitEntry, SweepEntry
from qs.result.tokens_entry import LengthsEntry, RequestEntry, TokensEntry
from tests.qs.evaluate.llm_made import llm_report, llm_result, llm_row

CHARTS = {"measures", "tokens", "timeline", "lengths"}


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = llm_report(tmp_path_factory.mktemp("llm"))
    return story_of(read_result(folder / "result-fp32.json"), folder)


def case_with(**tokens):
    row = llm_row(llm_result())
    return named([row.changed(tokens=row.tokens.changed(**tokens))])


def test_a_language_model_has_its_charts(story):
    drawn = charts_of(story)
    assert set(drawn) >= CHARTS
    for name in CHARTS:
        assert drawn[name]["description"]
        json.dumps(drawn[name], allow_nan=False)


def test_vega_draws_every_one_of_them(story):
    vl_convert = pytest.importorskip("vl_convert")
    drawn = charts_of(story)
    for name in CHARTS:
        spec = drawn[name]
        sized = [spec, *spec.get("vconcat", [])]
        for part in sized:
            if part.get("width") == "container":
                part["width"] = 400
        assert "<svg" in vl_convert.vegalite_to_svg(spec)


def test_the_page_says_what_each_chart_shows(story):
    page = result_page(story).decode()
    for name in CHARTS:
        assert f'aria-labelledby="caption-{name}"' in page
    for text in ("TTFT p99", "Every measure", "Server beside client", "as served in blue"):
        assert text in page
    assert page.index("<h2>Tokens</h2>") < page.index("<h2>Response times</h2>")


def test_every_measure_has_a_curve_from_its_own_log(story):
    points = llm_charts.by_measure(
        llm_points.measure_points(story.cases, lambda name: (story.folder / name).read_text())
    )["data"]["values"]
    assert {each["measure"] for each in points} == {"TTFT", "ITL", "TPOT", "normalised", "E2E"}
    assert llm_points.measure_points(story.cases, lambda name: None) == []


def test_tokens_that_come_together_leave_the_logarithmic_axis_whole(story, monkeypatch):
    gaps = [{"case": "c", "x": x, "p": 0.0, "ms": ms, "few": False} for x, ms in ((1, 0.0), (2, 5))]
    monkeypatch.setattr(llm_points, "percentile_points", lambda *_: gaps)
    points = llm_points.measure_points(story.cases, lambda name: "")
    assert {each["ms"] for each in points} == {llm_points.LEAST_MS, 5}


def test_a_request_is_drawn_by_what_became_of_it():
    sample = [
        RequestEntry(due_ms=0, sent_ms=1, first_token_ms=5, last_ms=9, outcome="completed"),
        RequestEntry(due_ms=0, sent_ms=0, first_token_ms=None, last_ms=9, outcome="completed"),
        RequestEntry(due_ms=0, sent_ms=2, first_token_ms=5, last_ms=9, outcome="timeout"),
        RequestEntry(due_ms=5, sent_ms=None, first_token_ms=None, last_ms=2, outcome="failed"),
        RequestEntry(),
    ]
    found = llm_points.request_points(case_with(sample=sample))
    assert [(each["n"], each["phase"]) for each in found] == [
        (1, "waiting"),
        (1, "prefill"),
        (1, "decode"),
        (2, "sent to last byte"),
        (3, "waiting"),
        (3, "failed"),
    ]
    assert all(each["to"] >= each["from"] for each in found)


def test_bars_of_both_lengths_have_one_width():
    entry = LengthsEntry(asked=[(128, 50)], served=[(tokens, 1) for tokens in range(1, 1001)])
    found = llm_points.length_points(case_with(output_lengths=entry, input_lengths=None))
    assert {each["to"] - each["from"] for each in found} == {25}
    assert sum(each["requests"] for each in found) == 1050
    assert len(found) <= 2 * llm_points.BARS


def test_goodput_is_drawn_where_there_are_several_rates():
    row = llm_row(llm_result())
    rows = [row.changed(offered_per_s=rate) for rate in (10.0, 20.0)]
    found = llm_points.goodput_points(named(rows))
    assert {each["what"] for each in found} == {"good", "answered"}
    assert llm_points.goodput_points(named(rows[:1])) == []


def test_a_sweep_is_drawn_by_what_each_load_gave():
    vl_convert = pytest.importorskip("vl_convert")
    sweep = SweepEntry(
        interactivity=[
            InteractivityPoint(load="1 user", user_per_s=80.0, output_per_s=80.0, pareto=True),
            InteractivityPoint(load="4 users", user_per_s=60.0, output_per_s=240.0, within=True),
            InteractivityPoint(load="8 users", user_per_s=None, output_per_s=240.0),
        ],
        limit=LimitEntry(
            curve=[
                CurvePoint(rate_per_s=rate, good_per_s=rate * 0.9, answered_per_s=rate)
                for rate in (1.0, 2.0)
            ]
        ),
    )
    points = llm_points.interactivity_points(sweep)
    assert [each["load"] for each in points] == ["1 user", "4 users"]
    good = llm_points.goodput_points([], sweep)
    assert {(each["rate"], each["what"]) for each in good} == {
        (rate, what) for rate in (1.0, 2.0) for what in ("good", "answered")
    }
    for spec in (llm_charts.interactivity(points), llm_charts.goodput(good)):
        assert "<svg" in vl_convert.vegalite_to_svg(spec | {"width": 400})
    assert llm_points.interactivity_points(None) == []


def test_nothing_measured_draws_nothing():
    cases = named(
        [llm_row(llm_result(requests=0, read={}, good=None)).changed(tokens=TokensEntry())]
    )
    assert llm_points.measure_points(cases, lambda name: None) == []
    assert llm_points.token_points(cases) == []
    assert llm_points.request_points(cases) == []
    assert llm_points.length_points(cases) == []
