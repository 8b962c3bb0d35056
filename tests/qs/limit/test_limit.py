"""What a search says: as data, in a sentence, in a table and as a picture."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import struct
import xml.etree.ElementTree as ElementTree

import pytest

from qs.base.errors import UserError
from qs.base.words import number
from qs.limit import Limit, LimitSettings, find_limit, parse_goals
from qs.limit.limit import limit_table
from qs.limit.trial import CONFIRM
from tests.qs.limit.queues import Queue


@functools.cache
def found(bounds: str = "p99=4ms,errors=1%") -> Limit:
    settings = LimitSettings(hint_per_s=2_000.0, budget_s=60.0)
    return asyncio.run(find_limit(parse_goals([bounds]), Queue(2, 0.001).trial, settings))


def test_a_limit_survives_json():
    limit = found()
    plain = json.loads(json.dumps(limit.to_dict()))
    again = Limit.from_dict(plain)
    assert again == limit
    assert again.to_dict() == plain
    assert [trial.response.counts.sum() for trial in again.trials] == [
        trial.completed for trial in limit.trials
    ]


def test_without_its_trials_it_is_small():
    small = found().to_dict(trials=False)
    assert "trials" not in small
    assert len(json.dumps(small)) < len(json.dumps(found().to_dict())) / 4
    assert Limit.from_dict(small).rate_per_s == found().rate_per_s


def test_every_rate_is_there_with_what_was_measured_and_what_is_allowed():
    limit = found()
    assert len(limit.points) == len({trial.rate_per_s for trial in limit.trials})
    for point in limit.points:
        trials = [trial for trial in limit.trials if trial.rate_per_s == point.rate_per_s]
        assert point.trials == len(trials)
        assert point.requests == sum(trial.requests for trial in trials)
        p99, errors = point.goals["p99=4ms"], point.goals["errors=1%"]
        assert p99["allowed"] == 0.01
        low, high = p99["interval"]
        assert low <= p99["measured"] <= high
        assert errors["measured"] == 0
        assert p99["effective_requests"] <= point.requests
        if point.verdict == "holds":
            assert point.rate_per_s <= limit.rate_per_s * 1.1
    above = [point for point in limit.points if point.verdict == "fails"]
    assert above[0].rate_per_s == limit.fails_per_s > limit.rate_per_s


def test_merged_percentiles_are_those_of_all_trials_of_a_rate():
    limit = found()
    point = next(point for point in limit.points if point.trials > 1)
    whole = sum(
        trial.response.counts for trial in limit.trials if trial.rate_per_s == point.rate_per_s
    )
    trials = [trial.response for trial in limit.trials if trial.rate_per_s == point.rate_per_s]
    merged = type(trials[0])(whole)
    merged.count = int(whole.sum())
    merged.max_ns, merged.min_ns = (
        max(each.max_ns for each in trials),
        min(each.min_ns for each in trials),
    )
    assert point.percentiles_ns["p99_ns"] == merged.percentile_ns(99)


def test_the_confirmation_is_of_fresh_trials_alone():
    limit = found()
    confirming = [
        trial
        for trial in limit.trials
        if trial.phase == CONFIRM and trial.rate_per_s == limit.rate_per_s
    ]
    assert limit.confirmation.requests == sum(trial.requests for trial in confirming)
    assert limit.confirmation.seconds == pytest.approx(
        sum(trial.duration_s for trial in confirming)
    )


def test_the_sentence_says_the_rate_its_confidence_and_its_bounds():
    sentence = found().sentence()
    assert sentence.startswith(
        f"p99=4ms, errors=1% holds up to {number(found().rate_per_s, 4)} requests/s ("
    )
    assert "confidence, confirmed)" in sentence
    assert f"{number(found().fails_per_s, 4)} requests/s fail" in sentence


def printed(limit: dict, width: int = 110) -> str:
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(limit_table(limit))
    return stream.getvalue()


def test_the_table_has_a_row_a_rate_and_marks_the_limit():
    limit = found()
    text = printed(limit.to_dict())
    assert text.count("holds <") == 1
    rows = [
        line
        for line in text.splitlines()
        if line.strip().endswith(("█", "▌", "▎", "▏", "▍", "▋", "▊", "▉", "holds", "fails"))
    ]
    assert len(rows) >= len(limit.points) - 2
    for heading in ("rate/s", "answered/s", "p50 ms", "p99 ms", "verdict"):
        assert heading in text


def test_the_bar_is_longer_where_the_response_time_is():
    text = printed(found().to_dict()).splitlines()
    bars = [
        line.count("█")
        for line in text
        if " holds" in line or " fails" in line or " unclear" in line
    ]
    assert bars[0] < bars[-1] == 20


def test_a_bound_on_errors_alone_has_no_bar_and_no_line():
    limit = found("errors=5%").to_dict()
    assert "half:" not in printed(limit)


def test_a_search_that_found_nothing_prints_too():
    settings = LimitSettings(hint_per_s=2_000.0, budget_s=20.0)
    limit = asyncio.run(find_limit(parse_goals(["p99=0.1ms"]), Queue(2, 0.001).trial, settings))
    assert "even the lowest rate fails" in printed(limit.to_dict(), 200)
    assert Limit.from_dict(limit.to_dict()) == limit


def test_the_picture_is_a_png_or_an_svg_by_its_name(tmp_path):
    from qs.render.curve import draw_curve

    png, svg = tmp_path / "deep" / "curve.png", tmp_path / "curve.svg"
    draw_curve(found().to_dict(), png)
    content = png.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 800 and height > 600
    draw_curve(found().to_dict(), svg, title="two servers")
    text = svg.read_text()
    ElementTree.fromstring(text)
    for said in (
        "two servers",
        "response time (ms)",
        "requests/s",
        "p99",
        "p99=4ms",
        f"limit: {number(found().rate_per_s, 4)}/s",
        "answered",
    ):
        assert f">{said}<" in text, said


def test_a_picture_without_a_limit_or_a_line_of_time_is_drawn_as_well(tmp_path):
    from qs.render.curve import draw_curve

    settings = LimitSettings(hint_per_s=2_000.0, budget_s=20.0)
    nothing = asyncio.run(find_limit(parse_goals(["p99=0.1ms"]), Queue(2, 0.001).trial, settings))
    path = tmp_path / "curve.svg"
    draw_curve(nothing.to_dict(trials=False), path)
    text = path.read_text()
    assert "limit:" not in text  # no rate holds
    assert "p99=100us" in text and f"fails: {number(nothing.fails_per_s, 4)}/s" in text
    errors = found("errors=5%")
    draw_curve(errors.to_dict(trials=False), path)
    text = path.read_text()
    assert f"limit: {number(errors.rate_per_s, 4)}/s" in text and "response time (ms)" in text


@pytest.mark.parametrize(
    ("change", "name", "match"),
    [({}, "curve.jpg", ".png or an .svg"), ({"curve": []}, "curve.png", "nothing was measured")],
)
def test_what_cannot_be_drawn_is_said(tmp_path, change, name, match):
    from qs.render.curve import draw_curve

    with pytest.raises(UserError, match=match):
        draw_curve(found().to_dict() | change, tmp_path / name)
    assert not list(tmp_path.iterdir())
