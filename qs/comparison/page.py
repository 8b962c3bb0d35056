"""A comparison side by side: for every case each figure of A and B and its change with the
interval, and how the two results differ in what was run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from qs.comparison.comparing import Compared, Comparison
from qs.comparison.curves import curves_of, measure_curves
from qs.comparison.difference import CANNOT_TELL, SAME
from qs.comparison.measured import ComparedMetric
from qs.comparison.sides import Side
from qs.comparison.verdict import ComparedCase
from qs.render.html import compare_charts
from qs.render.html.rendering import render
from qs.result.keys import title_of
from qs.result.result import Result
from qs.result.tokens_words import NAMES

ABOUT: tuple[tuple[str, Callable[[Side], str]], ...] = (
    ("run", lambda side: side.name),
    ("of", lambda side: f"{side.result.kind} of {side.result.task} on {side.result.backend}"),
    ("measured", lambda side: when(side.result)),
    ("processor", lambda side: str(side.result.host.get("CPU") or "not stated")),
    ("system", lambda side: str(side.result.host.get("System") or "not stated")),
)


def when(result: Result) -> str:
    """When it began, with the zone."""
    try:
        began = datetime.fromisoformat(result.started.replace("Z", "+00:00"))
        return f"{began.astimezone(began.tzinfo or timezone.utc):%Y-%m-%d %H:%M:%S %Z}"
    except (ValueError, OverflowError):
        return result.execution_date


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
    drawn: dict[str, Any] = {}
    for each in sections:
        if points := _points(each.case):
            drawn[each.id] = compare_charts.changes(points, compared.margin)
        if points := curves_of(each.case):
            drawn[f"{each.id}-curves"] = compare_charts.overlaid(points, ("A", "B"))
        for name, points in measure_curves(each.case).items():
            drawn[f"{each.id}-curves-{name}"] = compare_charts.overlaid(
                points, ("A", "B"), NAMES[name]
            )
    return render(
        "compare.html.j2",
        drawn,
        title="Comparison",
        compared=compared,
        sections=sections,
        title_of=title_of,
        figure_name=figure_name,
        about=ABOUT,
        measures=NAMES,
    )


def figure_name(metric: ComparedMetric) -> str:
    """A figure, and which direction of it is better."""
    return f"{metric.heading} ({'more' if metric.rate else 'less'} is better)"


def _points(case: ComparedCase) -> list[dict[str, Any]]:
    return [
        {
            "figure": figure_name(each.metric),
            "change": each.change * 100,
            "low": each.low * 100,
            "high": each.high * 100,
            "verdict": each.verdict if stands or each.verdict == SAME else CANNOT_TELL,
        }
        for each, stands in zip(case.differences, case.stands)
        if each.change is not None and each.low is not None and each.high is not None
    ]
