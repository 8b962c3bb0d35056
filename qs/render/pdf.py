"""PDF: the page's story with the same charts, drawn without a browser. Needs the package fpdf2."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qs.base.errors import UserError
from qs.render.html.curves import charts_of
from qs.render.html.look import LIGHT
from qs.render.html.page import COLUMNS, scores
from qs.render.html.rendering import short
from qs.result.story import Story

if TYPE_CHECKING:
    from fpdf import FPDF

CHART_WIDTH, CHART_HEIGHT = 640, 260
MOST = 500  # characters of a text
TITLES = {
    "percentiles": "Response time by percentile",
    "batches": "Items per second by batch size",
    "pareto": "Throughput against p99",
    "series": "Over time",
    "parts": "Response time, service time and lateness",
    "rates": "Response time against rate",
    "limit": "How much traffic holds",
}


def pdf(story: Story) -> bytes:
    """The story as a PDF. Raises UserError if fpdf2 is missing."""
    try:
        from fpdf import FPDF
    except ImportError:
        raise UserError(
            "a PDF needs the package fpdf2: pip install 'quicksilver-perf[pdf]'"
        ) from None
    made = FPDF(format="A4")
    made.set_auto_page_break(True, margin=15)
    made.set_title(_plain(story.title))
    made.add_page()
    _line(made, story.title, 16, "B")
    _line(made, f"{story.standing}. {story.headline}", 11, "B")
    for reason in story.reasons:
        _line(made, f"- {short(reason, MOST)}", 10)
    _heading(made, "What was run")
    for name, text in story.facts:
        _line(made, f"{name}: {short(text, MOST)}", 9)
    if story.cases:
        _heading(made, "Performance")
        if story.shared:
            _line(made, f"All: {story.shared}", 9)
        _table(made, story)
    for name, spec in charts_of(story).items():
        spec.pop("thinned", None)
        _heading(made, TITLES[name])
        made.image(io.BytesIO(picture_of(spec)), w=made.epw)
    figures = scores(story)
    if figures:
        _heading(made, "Are the answers right")
        for name, value, interval in figures:
            _line(made, f"{name}: {value}{f' ({interval})' if interval else ''}", 9)
    doubts = (*story.doubts, *story.machine_doubts)
    if doubts:
        _heading(made, "Doubts")
        for doubt in doubts:
            _line(made, f"- {short(doubt, MOST)}", 9)
    _heading(made, "Do it again")
    _line(made, story.command, 9)
    return bytes(made.output())


def picture_of(spec: Mapping[str, Any]) -> bytes:
    """A chart as PNG: a fixed width in place of the page's own."""
    import vl_convert

    return vl_convert.vegalite_to_png(_sized(dict(spec)), scale=2, config=LIGHT)


def _sized(spec: dict[str, Any]) -> dict[str, Any]:
    if spec.get("width") == "container":
        spec["width"] = CHART_WIDTH
        if isinstance(spec.get("height"), int):
            spec["height"] = min(spec["height"], CHART_HEIGHT)
    if "vconcat" in spec:
        spec["vconcat"] = [_sized(dict(each)) for each in spec["vconcat"]]
    return spec


def _heading(made: FPDF, text: str) -> None:
    made.ln(3)
    _line(made, text, 12, "B")


def _line(made: FPDF, text: str, size: int, style: str = "") -> None:
    made.set_font("Helvetica", style, size)
    made.multi_cell(0, size * 0.5, _plain(text), new_x="LMARGIN", new_y="NEXT")


def _table(made: FPDF, story: Story) -> None:
    made.set_font("Helvetica", "", 7)
    widths = (24, *(10,) * len(COLUMNS), 12)
    aligned = ("LEFT", *("RIGHT",) * (len(COLUMNS) + 1))
    with made.table(col_widths=widths, text_align=aligned, padding=0.5) as table:
        heads = table.row()
        for heading in ("case", *(column.heading for column in COLUMNS), "verdict"):
            heads.cell(heading)
        for case in story.cases:
            cells = table.row()
            for text in (case.name, *(column.text(case.row) for column in COLUMNS)):
                cells.cell(_plain(text))
            cells.cell(case.row.standing)


def _plain(text: str) -> str:
    """What the built-in fonts can show; the rest becomes question marks."""
    return text.encode("latin-1", "replace").decode("latin-1")
