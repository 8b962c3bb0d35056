"""How the differences from the reference are distributed, drawn in the page from the numbers that
lie beside the published picture.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from qs.render.html.charts import SCHEMA, Spec
from qs.result.beside import content_of

MOST_OUTPUTS = 6
MOST_BYTES = 400_000
PANELS = {"difference": "difference", "reference": "reference (fp32)", "backend": "backend"}
# An axis of logarithms has no 0, and a count of 1 must show.
_LEAST_COUNT = 0.7


class Bins(BaseModel):
    """Counts between rising edges."""

    counts: list[int]
    edges: list[float]

    @property
    def sound(self) -> bool:
        rising = all(low < high for low, high in zip(self.edges, self.edges[1:]))
        finite = all(map(math.isfinite, self.edges))
        return finite and rising and len(self.edges) == len(self.counts) + 1


_FILE = TypeAdapter(dict[str, dict[str, Bins]])


def distribution_charts(picture: Path | None) -> dict[str, Spec]:
    """A chart for each output by the id of its figure; nothing if the numbers are not there."""
    if picture is None:
        return {}
    name = picture.with_suffix(".json").name
    content = content_of(picture.parent, name, MOST_BYTES)
    try:
        outputs = _FILE.validate_json(content or b"")
    except ValidationError:
        return {}
    return {
        f"spread-{at}": _chart(name, panels)
        for at, (name, panels) in enumerate(list(outputs.items())[:MOST_OUTPUTS])
        if set(PANELS) <= set(panels) and all(each.sound for each in panels.values())
    }


def _chart(name: str, panels: dict[str, Bins]) -> Spec:
    return {
        "$schema": SCHEMA,
        "description": f"Three histograms of output {name}: the difference, the reference's "
        "values, the backend's values; counts on a logarithmic axis",
        "vconcat": [
            _panel(panels[key], f"{name}: {title}", key == "difference")
            for key, title in PANELS.items()
        ],
    }


def _panel(bins: Bins, title: str, difference: bool) -> dict[str, Any]:
    edges = bins.edges
    values = [
        {"low": low, "high": high, "count": count}
        for count, low, high in zip(bins.counts, edges, edges[1:])
        if count > 0
    ]
    form = "~g" if max(map(abs, edges)) >= 1e-3 else "~e"
    return {
        "title": title,
        "width": "container",
        "height": 110,
        "data": {"values": values},
        "mark": {
            "type": "bar",
            "binSpacing": 0,
            **({"style": "difference"} if difference else {}),
        },
        "encoding": {
            "x": {
                "field": "low",
                "type": "quantitative",
                "scale": {"zero": False, "domain": [edges[0], edges[-1]]},
                "axis": {"title": None, "format": form, "labelOverlap": True, "tickCount": 6},
            },
            "x2": {"field": "high"},
            "y": {
                "field": "count",
                "type": "quantitative",
                "scale": {"type": "log", "domainMin": _LEAST_COUNT},
                "axis": {"title": "elements", "format": "~s", "tickCount": 4},
            },
            "y2": {"datum": _LEAST_COUNT},
            "tooltip": [
                {"field": "low", "title": "from"},
                {"field": "high", "title": "to"},
                {"field": "count", "title": "elements"},
            ],
        },
    }
