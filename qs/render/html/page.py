"""report.html: a result on one self-contained page."""

from __future__ import annotations

import base64
from pathlib import Path

from qs.render.html.curves import charts_of
from qs.render.html.rendering import render
from qs.result.beside import content_of
from qs.result.columns import columns
from qs.result.story import Story

PNG = b"\x89PNG\r\n\x1a\n"
PICTURE_BYTES = 600_000  # a larger picture stays beside the page
COLUMNS = columns(
    "items_per_s",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p99_9_ms",
    "max_ms",
    "completed",
    "errors",
)


def result_page(story: Story) -> bytes:
    """The page, with charts of what lies in the story's folder."""
    drawn = charts_of(story)
    thinned = "series" in drawn and drawn["series"].pop("thinned")
    cells = [
        (case.name, [(column.of(case.row), column.text(case.row)) for column in COLUMNS], case.row)
        for case in story.cases
    ]
    return render(
        "page.html.j2",
        drawn,
        title=story.title,
        story=story,
        result=story.result,
        headed=[column.heading for column in COLUMNS],
        cells=cells,
        scores=scores(story),
        doubts=[*map(str, story.doubts), *story.machine_doubts],
        picture=picture(story.answers.picture),
        thinned=thinned,
    )


def scores(story: Story) -> list[tuple[str, str, str]]:
    """(metric, value, interval): those of the data set, then the agreement with the reference."""
    return [each.words(6) for each in (*story.answers.metrics, *story.answers.agreement)]


def picture(path: Path | None) -> str | None:
    """The picture as data in the page; None if it is none, or too large."""
    found = path and content_of(path.parent, path.name, PICTURE_BYTES)
    if not found or not found.startswith(PNG):
        return None
    return "data:image/png;base64," + base64.b64encode(found).decode()
