"""A limit as a table on the terminal and as a picture."""

from __future__ import annotations

import asyncio
import functools
import io
import struct
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from qs.base.errors import UserError
from qs.base.words import number
from qs.limit import LimitSettings, find_limit, parse_goals
from qs.render.curve import draw_curve
from qs.render.sweep import limit_table
from qs.result.sweep import LimitEntry
from tests.qs.limit.queues import Queue


@functools.cache
def found(bounds: str = "p99=4ms,errors=1%", budget_s: float = 60.0) -> LimitEntry:
    settings = LimitSettings(hint_per_s=2_000.0, budget_s=budget_s)
    limit = asyncio.run(find_limit(parse_goals([bounds]), Queue(2, 0.001).trial, settings))
    return LimitEntry(setting="bs1", **limit.to_dict(trials=False))


def printed(limit: LimitEntry, width: int = 110) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(limit_table(limit))
    return stream.getvalue()


def test_the_table_has_a_row_a_rate_and_marks_the_limit():
    limit = found()
    text = printed(limit)
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
    text = printed(found()).splitlines()
    bars = [
        line.count("█")
        for line in text
        if " holds" in line or " fails" in line or " unclear" in line
    ]
    assert bars[0] < bars[-1] == 20


def test_a_bound_on_errors_alone_has_no_bar_and_no_line():
    assert "half:" not in printed(found("errors=5%"))


def test_a_search_that_found_nothing_prints_too():
    assert "even the lowest rate fails" in printed(found("p99=0.1ms", 20.0), 200)


def test_the_picture_is_a_png_or_an_svg_by_its_name(tmp_path):
    png, svg = tmp_path / "deep" / "curve.png", tmp_path / "curve.svg"
    draw_curve(found(), png)
    content = png.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 800 and height > 600
    draw_curve(found(), svg, title="two servers")
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
    nothing = found("p99=0.1ms", 20.0)
    path = tmp_path / "curve.svg"
    draw_curve(nothing, path)
    text = path.read_text()
    assert "limit:" not in text  # no rate holds
    assert "p99=100us" in text and f"fails: {number(nothing.fails_per_s, 4)}/s" in text
    errors = found("errors=5%")
    draw_curve(errors, path)
    text = path.read_text()
    assert f"limit: {number(errors.rate_per_s, 4)}/s" in text and "response time (ms)" in text


@pytest.mark.parametrize(
    ("change", "name", "match"),
    [({}, "curve.jpg", ".png or an .svg"), ({"curve": []}, "curve.png", "nothing was measured")],
)
def test_what_cannot_be_drawn_is_said(tmp_path, change, name, match):
    with pytest.raises(UserError, match=match):
        draw_curve(found().changed(**change), tmp_path / name)
    assert not list(tmp_path.iterdir())
