"""Pictures as files, drawn from Vega-Lite specifications by vl-convert: no display, no browser.

The published report's picture of the distributions stands here; the curve of a rate search is
qs.render.curve's, the charts of the page are qs.render.html's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import write_atomic

FORMATS = (".png", ".svg")
MOST_OUTPUTS = 6
PANELS = (
    ("difference", "difference (reference - backend)", "#b2182b"),
    ("reference", "reference (fp32, ONNX Runtime CPU)", "#4d4d4d"),
    ("backend", "backend", "#2166ac"),
)
_LEAST_COUNT = 0.7  # where bars begin: a logarithmic axis has no 0, and a count of 1 must show
_LEAST_PLAIN = 1e-3  # values below it are written with an exponent
_PANEL = {"width": 420, "height": 300}


def draw(spec: Mapping[str, Any], path: Path) -> None:
    """Write a specification as .png or .svg, by the file's ending. Raises UserError for another
    ending.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: a picture is a .png or an .svg file")
    import vl_convert

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".svg":
        write_atomic(path, vl_convert.vegalite_to_svg(dict(spec)).encode())
    else:
        write_atomic(path, vl_convert.vegalite_to_png(dict(spec), scale=2))


def draw_distributions(outputs: Mapping[str, Mapping[str, Any]], path: Path) -> str | None:
    """Draw how the differences, the reference's values and the backend's are distributed: a row of
    three panels for each output, counts on a log scale. Returns the file's name, or None if there
    is nothing to draw.

    `outputs`: output -> panel -> {"counts", "edges"}, as qs.tensors.numeric.distributions gives
    them.
    """
    shown = list(outputs.items())[:MOST_OUTPUTS]
    if not shown:
        path.unlink(missing_ok=True)
        return None
    rows = [
        {
            "hconcat": [
                _panel(panels[key], f"{name}: {title}" if key == "difference" else title, colour)
                for key, title, colour in PANELS
            ]
        }
        for name, panels in shown
    ]
    draw({"vconcat": rows, "config": {"font": "sans-serif"}}, path)
    return path.name


def _panel(histogram: Mapping[str, Sequence[float]], title: str, colour: str) -> dict[str, Any]:
    counts, edges = histogram["counts"], histogram["edges"]
    form = "~g" if max(map(abs, edges)) >= _LEAST_PLAIN else "~e"
    bins = [
        {"low": float(low), "high": float(high), "count": int(count)}
        for count, low, high in zip(counts, edges, edges[1:])
        if count
    ]
    return _PANEL | {
        "title": title,
        "data": {"values": bins},
        "mark": {"type": "bar", "color": colour, "binSpacing": 0},
        "encoding": {
            "x": {
                "field": "low",
                "type": "quantitative",
                "scale": {"zero": False, "domain": [float(edges[0]), float(edges[-1])]},
                "axis": {"title": "value", "format": form, "labelOverlap": True, "tickCount": 6},
            },
            "x2": {"field": "high"},
            "y": {
                "field": "count",
                "type": "quantitative",
                "scale": {"type": "log", "domainMin": _LEAST_COUNT},
                "axis": {"title": "elements (log scale)", "format": "~s"},
            },
            "y2": {"datum": _LEAST_COUNT},
        },
    }
