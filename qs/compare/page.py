"""A comparison side by side: for every case each figure of A and B and its change with the
interval, and how the two results differ in what was run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qs.compare.comparing import Compared, Comparison
from qs.compare.verdict import ComparedCase
from qs.render.html import charts
from qs.render.html.rendering import render
from qs.result.keys import title_of


@dataclass(frozen=True)
class Section:
    """One case of one comparison, under the id of its chart."""

    id: str
    comparison: Comparison
    case: ComparedCase


def comparison_page(compared: Compared) -> bytes:
    """The page, self-contained."""
    sections = [
        Section(f"case-{number}-{at}", comparison, case)
        for number, comparison in enumerate(compared.comparisons)
        for at, case in enumerate(comparison.cases)
    ]
    drawn = {
        each.id: charts.differences(points, compared.margin)
        for each in sections
        if (points := _points(each.case))
    }
    return render(
        "compare.html.j2",
        drawn,
        title="Comparison",
        compared=compared,
        sections=sections,
        title_of=title_of,
    )


def _points(case: ComparedCase) -> list[dict[str, Any]]:
    return [
        {
            "figure": f"{each.metric.name} ({each.metric.unit})",
            "change": each.change * 100,
            "low": each.low * 100,
            "high": each.high * 100,
            "verdict": each.verdict,
        }
        for each in case.differences
        if each.change is not None and each.low is not None and each.high is not None
    ]
