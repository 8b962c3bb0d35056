"""A comparison side by side: for every case each figure of A and B and its change with the
interval, and how the two results differ in what was run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.render.html import charts
from qs.render.html.rendering import render


def comparison_page(compared: Mapping[str, Any]) -> bytes:
    """The page of a comparison, given as what qs.compare's Compared.to_dict returns."""
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
