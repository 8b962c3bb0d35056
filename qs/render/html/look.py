"""How charts look, on light and on dark paper: configurations of Vega-Lite. The page takes both,
a PDF the light one.

Colours have meanings, by the names of styles: good, doubt, bad, and guide for what is drawn to read
others by. Cases are told apart by colours that also those distinguish who do not see red and green
(M. Okabe and K. Ito, "Color Universal Design", 2008).
"""

from __future__ import annotations

from typing import Any

Look = dict[str, Any]

_ON_LIGHT = ["#0072B2", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#009E73", "#8C6D31", "#555555"]
_ON_DARK = ["#56B4E9", "#E7A9CB", "#F2C14E", "#9CC9FF", "#C39BE0", "#3FD1A4", "#D2B48C", "#BBBBBB"]


def _look(ink: str, line: str, good: str, doubt: str, bad: str, cases: list[str]) -> Look:
    words = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12}
    axis = words | {"gridColor": line, "domainColor": line, "tickColor": line}
    guide = {"strokeDash": [4, 4], "stroke": ink, "strokeOpacity": 0.65}
    return {
        "background": "transparent",
        "font": "system-ui, DejaVu Sans, sans-serif",
        "axis": axis,
        "legend": words | {"orient": "bottom", "columns": 3, "labelLimit": 600, "symbolLimit": 60},
        "header": {"labelColor": ink, "titleColor": ink},
        "title": {"color": ink, "fontSize": 13, "anchor": "start"},
        "view": {"stroke": None},
        "mark": {"color": cases[0]},
        "text": {"color": ink, "fill": ink, "fontSize": 12},
        "rule": {"color": ink},
        "rect": {"color": ink},
        "range": {"category": cases, "verdicts": [good, doubt, bad]},
        "style": {
            # A mark takes a `color` before what its style strokes or fills it with.
            "good": {"color": good, "fill": good, "stroke": good},
            "doubt": {"color": doubt, "fill": doubt, "stroke": doubt},
            "bad": {"color": bad, "fill": bad, "stroke": bad},
            "guide": guide,
            "bound": {"color": bad, "stroke": bad, "strokeWidth": 1.5, "strokeDash": [6, 3]},
            "bound-name": {"color": bad, "fill": bad, "fontWeight": "bold"},
            "difference": {"fill": bad, "stroke": bad},
        },
    }


LIGHT = _look("#1c2230", "#d5dae3", "#0b6b45", "#8a5a00", "#a61b2b", _ON_LIGHT)
DARK = _look("#e7eaf0", "#39414f", "#5fd3a0", "#f2b84b", "#ff9aa5", _ON_DARK)
