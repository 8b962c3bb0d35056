"""PDF: the page's story with the same charts, drawn without a browser. Needs the package fpdf2."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qs.base.errors import UserError
from qs.base.private import at_home, private
from qs.base.words import counted
from qs.render.answers import answers_line
from qs.render.html.curves import charts_of
from qs.render.html.look import LIGHT
from qs.render.html.page import scores
from qs.render.html.rendering import short
from qs.render.nodes import side_table, sides_of
from qs.render.performance import columns_of
from qs.render.tiles import Tile, tiles_of
from qs.result.server_words import Table as Words
from qs.result.story import Story
from qs.result.tokens_words import brief_table

if TYPE_CHECKING:
    from fpdf import FPDF

CHART_WIDTH, CHART_HEIGHT = 640, 260
MOST_NODES, MOST_SIDES = 24, 3  # nodes of all cases; cases
MOST = 500  # characters of a text
HEADING = 12  # mm that a heading takes
INK = (28, 34, 48)
COLOURS = {"good": (11, 107, 69), "doubtful": (122, 79, 0), "bad": (166, 27, 43)}
TITLES = {
    "percentiles": "Response time by percentile",
    "batches": "Items per second and p99 by batch size",
    "pareto": "Throughput against p99",
    "series": "Over time",
    "parts": "Response time, service time and lateness",
    "rates": "Response time against rate",
    "measures": "Times of a token, by percentile",
    "tokens": "Tokens and requests in flight over time",
    "timeline": "Single requests",
    "lengths": "Lengths as drawn and as served",
    "goodput": "Goodput against rate",
    "interactivity": "Tokens of all users against those of each",
    "limit": "How much traffic holds",
    "power": "Power",
    "server": "Server beside client",
    "metrics": "The server's metrics",
    "nodes": "Node by node",
    "nodes-time": "Node by node, over time",
    "nodes-clock": "How far apart the nodes began",
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
    made.set_text_color(*COLOURS[story.tone])
    _line(made, story.standing, 12, "B")
    made.set_text_color(*INK)
    for reason in story.reasons:
        _line(made, f"- {short(reason, MOST)}", 10)
    of, tiles = tiles_of(story)
    _tiles(made, tiles)
    if of:
        _line(made, f"At {of}, the case with the highest throughput.", 9)
    if not tiles:
        _line(made, story.headline, 11, "B")
    if story.doubts:
        _heading(made, counted(len(story.doubts), "doubt"))
        for doubt in story.doubts:
            _line(made, f"- {short(doubt, MOST)}", 9)
    if story.cases:
        _heading(made, "Performance")
        if story.shared:
            _line(made, f"All: {story.shared}", 9)
        _table(made, story)
        _words(made, brief_table(story.cases))
        for side in [] if story.result.sweep else sides_of(story.cases, MOST_NODES)[:MOST_SIDES]:
            _line(made, f"{side.case}: {side.caption}", 9)
            _words(made, side_table(side))
            _line(made, side.left_out, 9)
    for name, spec in charts_of(story).items():
        spec.pop("thinned", None)
        _picture(made, TITLES.get(name, name.capitalize()), picture_of(spec))
    if story.answers:
        _heading(made, "Are the answers right?")
        _line(made, answers_line(story.answers), 9)
        for name, value, interval in scores(story):
            _line(made, f"{name}: {value}{f' ({interval})' if interval else ''}", 9)
    _heading(made, "What was run")
    for name, text in (*story.facts, *(("machine", text) for text in story.machine_doubts)):
        _line(made, f"{name}: {short(text, MOST)}", 9)
    _heading(made, "Run it again")
    _as_it_is(made, at_home(story.command), 9)
    return bytes(made.output())


def _tiles(made: FPDF, tiles: Sequence[Tile]) -> None:
    """The figures side by side: name, value, note."""
    if not tiles:
        return
    made.ln(2)
    width, top = made.epw / len(tiles), made.get_y()
    for at, tile in enumerate(tiles):
        left = made.l_margin + at * width
        for row, (text, size, style) in enumerate(
            (
                (tile.name, 9, ""),
                (f"{tile.value} {tile.unit}", 14, "B"),
                (tile.note, 9, ""),
            )
        ):
            made.set_xy(left, top + 6 * row)
            made.set_font("Helvetica", style, size)
            made.cell(width, 6, _plain(text))
    made.set_xy(made.l_margin, top + 20)


def _picture(made: FPDF, title: str, png: bytes) -> None:
    """A chart with its heading on the same page."""
    from PIL import Image

    width, height = Image.open(io.BytesIO(png)).size
    if made.will_page_break(made.epw * height / width + HEADING):
        made.add_page()
    _heading(made, title)
    made.image(io.BytesIO(png), w=made.epw)


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
    if made.will_page_break(HEADING + 15):  # it would stand alone at the foot of the page
        made.add_page()
    made.ln(3)
    _line(made, text, 12, "B")


def _line(made: FPDF, text: str, size: int, style: str = "") -> None:
    _as_it_is(made, private(text), size, style)


def _as_it_is(made: FPDF, text: str, size: int, style: str = "") -> None:
    made.set_font("Helvetica", style, size)
    made.multi_cell(0, size * 0.5, _latin(text), new_x="LMARGIN", new_y="NEXT")


def _table(made: FPDF, story: Story) -> None:
    shown = columns_of(story.cases)
    made.set_font("Helvetica", "", 7)
    widths = (20, *(10,) * len(shown), 16)
    aligned = ("LEFT", *("RIGHT",) * (len(shown) + 1))
    with made.table(col_widths=widths, text_align=aligned, padding=0.5) as table:
        heads = table.row()
        for heading in ("case", *(each.heading for each in shown), "verdict"):
            heads.cell(_plain(heading))
        for at, case in enumerate(story.cases):
            cells = table.row()
            for text in (case.name, *(each.texts[at] for each in shown), case.row.standing):
                cells.cell(_plain(text))


def _words(made: FPDF, found: Words) -> None:
    """A small table of words and figures."""
    if not found:
        return
    made.ln(2)
    made.set_font("Helvetica", "", 8)
    with made.table(text_align=("LEFT",) * (len(found.headings) - 3) + ("RIGHT",) * 3) as table:
        for line in (found.headings, *found.lines):
            cells = table.row()
            for text in line:
                cells.cell(_plain(text))


def _plain(text: object) -> str:
    return _latin(private(str(text)))


def _latin(text: str) -> str:
    """What the built-in fonts can show; the rest becomes question marks."""
    return text.encode("latin-1", "replace").decode("latin-1")
