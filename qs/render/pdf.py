"""PDF: the page's story with the same charts, drawn without a browser. Needs the package fpdf2."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import write_atomic
from qs.base.words import number
from qs.render.html.page import (
    COLUMNS,
    accuracy_rows,
    charts_of,
    command_of,
    doubts,
    facts,
    headline,
    named_rows,
    shared_by_all,
)
from qs.render.html.rendering import short

SUFFIX = ".pdf"
CHART_WIDTH, CHART_HEIGHT = 640, 260
TITLES = {
    "percentiles": "Response time by percentile",
    "batches": "Items per second by batch size",
    "pareto": "Throughput against p99",
    "series": "Over time",
    "parts": "Response time, service time and lateness",
    "rates": "Response time against rate",
    "limit": "How much traffic holds",
}


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    try:
        from fpdf import FPDF
    except ImportError:
        raise UserError(
            f"{out}: a PDF is written by fpdf2: pip install 'quicksilver-perf[pdf]'"
        ) from None
    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(True, margin=15)
    pdf.set_title(_plain(f"{result['Task']} on {result['Backend']}"))
    pdf.add_page()
    _line(pdf, f"{result['Task']} on {result['Backend']}", 16, "B")
    _line(pdf, f"{result['Verdict']}. {headline(result)}", 11, "B")
    for reason in result["Reasons"]:
        _line(pdf, f"- {short(reason, 500)}", 10)
    _heading(pdf, "What was run")
    for name, text in facts(result):
        _line(pdf, f"{name}: {short(text, 500)}", 9)
    rows = named_rows(result)
    if rows:
        _heading(pdf, "Performance")
        if shared_by_all(result):
            _line(pdf, f"All: {shared_by_all(result)}", 9)
        _table(pdf, rows)
    drawn = charts_of(result, rows, folder)
    for name, spec in drawn.items():
        spec.pop("thinned", None)
        _heading(pdf, TITLES[name])
        pdf.image(io.BytesIO(picture_of(spec)), w=pdf.epw)
    metrics = accuracy_rows(result.get("Accuracy") or {})
    if metrics:
        _heading(pdf, "Are the answers right")
        for name, value, interval in metrics:
            _line(pdf, f"{name}: {value} {f'({interval})' if interval else ''}", 9)
    if doubts(result):
        _heading(pdf, "Doubts")
        for text in doubts(result):
            _line(pdf, f"- {short(text, 500)}", 9)
    _heading(pdf, "Do it again")
    _line(pdf, command_of(result), 9)
    write_atomic(out, bytes(pdf.output()))


def picture_of(spec: Mapping[str, Any]) -> bytes:
    """A chart as PNG: a fixed width in place of the page's own."""
    import vl_convert

    return vl_convert.vegalite_to_png(_sized(dict(spec)), scale=2)


def _sized(spec: dict[str, Any]) -> dict[str, Any]:
    if spec.get("width") == "container":
        spec["width"] = CHART_WIDTH
        if isinstance(spec.get("height"), int):
            spec["height"] = min(spec["height"], CHART_HEIGHT)
    if "vconcat" in spec:
        spec["vconcat"] = [_sized(dict(each)) for each in spec["vconcat"]]
    return spec


def _heading(pdf: Any, text: str) -> None:
    pdf.ln(3)
    _line(pdf, text, 12, "B")


def _line(pdf: Any, text: str, size: int, style: str = "") -> None:
    pdf.set_font("Helvetica", style, size)
    pdf.multi_cell(0, size * 0.5, _plain(text), new_x="LMARGIN", new_y="NEXT")


def _table(pdf: Any, rows: Any) -> None:
    pdf.set_font("Helvetica", "", 7)
    widths = (24, *(10,) * len(COLUMNS), 12)
    with pdf.table(
        col_widths=widths, text_align=("LEFT", *("RIGHT",) * (len(COLUMNS) + 1)), padding=0.5
    ) as table:
        heads = table.row()
        for heading in ("case", *(heading for _, heading in COLUMNS), "verdict"):
            heads.cell(heading)
        for name, row in rows:
            cells = table.row()
            for text in (name, *(number(row.get(key)) for key, _ in COLUMNS), row["Verdict"]):
                cells.cell(_plain(text))


def _plain(text: Any) -> str:
    """What the built-in fonts can show; the rest becomes question marks."""
    return str(text).encode("latin-1", "replace").decode("latin-1")
