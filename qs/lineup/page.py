"""The page of a comparison of backends, self-contained, and its chart as a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qs.base.words import data_size, number, span
from qs.lineup.comparing import LinedCase, Lineup
from qs.lineup.saying import how, sentence
from qs.lineup.writing import answers_of, headings_of, lines_of
from qs.render.html.lineup_charts import by_backend
from qs.render.html.look import LIGHT
from qs.render.html.rendering import render
from qs.result.keys import words_of
from qs.result.result import Result
from qs.result.row import Row

CHARTS = (
    ("throughput", "throughput", "items/s", "Throughput, more is better"),
    ("p50", "p50 of the response time", "p50 (ms)", "Median response time, less is better"),
    ("p99", "p99 of the response time", "p99 (ms)", "p99 of the response time, less is better"),
)
WIDTH, HEIGHT = 640, 320  # of the picture


def lineup_page(lineup: Lineup, folder: Path, command: str = "") -> bytes:
    """The page. `folder` is where it will lie: links to the backends' own reports are relative."""
    drawn = {
        name: by_backend(points, lineup.compared, figure, title)
        for name, figure, title, _ in CHARTS
        if (points := _points(lineup, name))
    }
    return render(
        "lineup.html.j2",
        drawn,
        title=f"{lineup.title}: {', '.join(lineup.names)}",
        lineup=lineup,
        sentence=sentence(lineup),
        captions=[(name, caption) for name, _, _, caption in CHARTS],
        line_headings=headings_of(lineup),
        lines=list(lines_of(lineup)),
        about=list(_about(lineup)),
        links=[_link(side.path, folder) for side in lineup.sides],
        pairs=list(_pairs(lineup)),
        how=how(lineup),
        command=command,
    )


def picture(lineup: Lineup) -> dict[str, Any] | None:
    """The chart of the leading figure, for qs.render.pictures.draw; None if nothing is to draw."""
    name = next((case.leading for case in lineup.cases if case.entries), "throughput")
    named = {each: (figure, title) for each, figure, title, _ in CHARTS}
    name = name if name in named else "p50"
    points = _points(lineup, name)
    if not points:
        return None
    figure, title = named[name]
    spec = by_backend(points, lineup.compared, figure, title)
    return spec | {
        "width": WIDTH,
        "height": HEIGHT,
        "title": lineup.title,
        "config": dict(LIGHT) | {"background": "white"},
    }


def _points(lineup: Lineup, figure: str) -> list[dict[str, Any]]:
    return [
        {
            "case": case.name,
            "backend": entry.backend,
            "value": level.value,
            "low": level.low,
            "high": level.high,
        }
        for case in lineup.cases
        for entry in case.entries
        if (level := entry.levels.get(figure)) is not None and level.value
    ]


def _about(lineup: Lineup) -> Iterator[tuple[str, list[str]]]:
    """What each backend was, a line for each thing."""
    results = [side.result for side in lineup.sides]
    yield "verdict", [str(each.verdict) for each in results]
    yield "runtime", [str(each.runtime_version or "n/a") for each in results]
    for name in dict.fromkeys(name for each in results for name, _ in answers_of(each)):
        cells = [dict(answers_of(each)).get(name) or "n/a" for each in results]
        if any(cell != "n/a" for cell in cells):
            yield name, cells
    for part in ("Scenario", "Clients", "Instances", "Intra-op Threads", "Pool"):
        cells = [_shared(each.performance, part) for each in results]
        if any(cells):
            yield part.lower(), [cell or "n/a" for cell in cells]
    yield "compiled in", [_compiled(each) for each in results]
    yield "peak memory", [_memory(each.performance) for each in results]
    yield "model file", [_model(each) for each in results]
    yield "answers", [_said(each.answers) for each in results]
    yield "doubts", [number(len(each.doubts) + _doubts(each)) for each in results]


def _shared(rows: Sequence[Row], part: str) -> str:
    return "; ".join(dict.fromkeys(text for row in rows if (text := words_of(row).get(part))))


def _compiled(result: Result) -> str:
    found = result.graph_compile
    return "n/a" if found is None or found.compile_s is None else span(float(found.compile_s))


def _memory(rows: Sequence[Row]) -> str:
    most = max((row.peak_memory_bytes or 0 for row in rows), default=0)
    return data_size(most) if most else "n/a"


def _model(result: Result) -> str:
    source = result.model_source or {}
    found = source.get("format") or Path(str(source.get("path") or "")).suffix or "n/a"
    converted = source.get("converted") or {}
    by = converted.get("by") if isinstance(converted, dict) else None
    return f"{found}, converted by {by}" if by else str(found)


def _said(answers: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in answers.items()) or "none"


def _doubts(result: Result) -> int:
    return sum(len(row.doubts) for row in result.performance)


def _pairs(lineup: Lineup) -> Iterator[list[str]]:
    for case in lineup.cases:
        for pair in case.pairs:
            yield _pair(case, pair.a, pair.b)


def _pair(case: LinedCase, a: str, b: str) -> list[str]:
    pair = case.pair(a, b)
    found = pair.ratio(b)
    value, low, high = found or (None, None, None)
    ends = f"{number(low)} .. {number(high)}" if low is not None else pair.leading.why or "n/a"
    return [case.name, a, b, pair.leading.metric.heading, number(value), ends, pair.verdict]


def _link(path: Path | None, folder: Path) -> str:
    """Of the backend's own page, from the folder of this one; "" if it has none."""
    page = path.absolute().parent / "report.html" if path else None
    if page is None or not page.is_file():
        return ""
    return quote(os.path.relpath(page, folder.absolute()))
