"""A comparison side by side: every case of it, each figure of A and B, the change with its
interval, what is unlike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.render.html import charts
from qs.render.html.rendering import render


def render_compare(compared: Mapping[str, Any]) -> bytes:
    """The page of what `qs.compare`'s Compared.to_dict says."""
    drawn: dict[str, Any] = {}
    sections = []
    for number, comparison in enumerate(compared["comparisons"]):
        for at, case in enumerate(comparison["cases"]):
            points = [
                {
                    "figure": f"{each['metric']} ({each['unit']})",
                    "change": each["change"] * 100,
                    "low": each["interval"][0] * 100,
                    "high": each["interval"][1] * 100,
                    "verdict": each["verdict"],
                }
                for each in case["differences"]
                if each["interval"] is not None
            ]
            name = f"case-{number}-{at}"
            if points:
                drawn[name] = charts.differences(points, compared["margin"])
            sections.append({"name": name, "a": comparison["a"], "b": comparison["b"], **case})
    return render(
        "compare.html.j2", drawn, title="Comparison", compared=compared, sections=sections
    )
