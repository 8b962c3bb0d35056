"""The HTML that a notebook shows for a result and for a comparison: a small table, and a curve
below it. Everything in it is escaped: names and reasons come from vendors and files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from qs.base.errors import UserError
from qs.base.words import NOTHING, number, signed_percent
from qs.result.columns import columns

if TYPE_CHECKING:
    from qs.api.chart import Chart
    from qs.comparison.verdict import ComparedCase
    from qs.result.story import Story

COLUMNS = columns("items_per_s", "p50_ms", "p99_ms")
MEASURED = columns("ttft_p50_ms", "ttft_p99_ms", "itl_p99_ms", "tpot_p50_ms", "output_tokens_per_s")


def result_table(story: Story, plot: Callable[[], Chart]) -> str:
    """The standing, a line for each case, and the percentile curve if there is one."""
    shown = [
        *COLUMNS,
        *(each for each in MEASURED if any(each.of(case.row) is not None for case in story.cases)),
    ]
    rows = [
        [
            case.name,
            *(column.text(case.row) for column in shown),
            number(case.row.errors) if case.row.errors is not None else NOTHING,
            str(case.row.verdict),
        ]
        for case in story.cases
    ]
    heads = ["case", *(column.heading for column in shown), "errors", "verdict"]
    title = Markup("<strong>{}</strong>: {}").format(story.title, story.standing)
    said = [str(each) for each in (*story.reasons, *story.doubts)]
    return str(
        Markup("<div><p>{}</p>{}{}{}</div>").format(
            title, table(heads, rows), listed(said), drawn(plot) if story.measured else ""
        )
    )


def comparison_table(
    sentence: str, cases: Sequence[ComparedCase], plot: Callable[[], Chart]
) -> str:
    """The verdict, a line for each figure, and the curves over each other if they are there."""
    rows = [
        [
            case.title if at == 0 else "",
            f"{each.metric.name} ({each.metric.unit})",
            number(each.a),
            number(each.b),
            signed_percent(each.change),
            f"{signed_percent(each.low)} .. {signed_percent(each.high)}"
            if each.low is not None
            else NOTHING,
            str(each.verdict),
        ]
        for case in cases
        for at, each in enumerate(case.differences)
    ]
    heads = ["case", "figure", "A", "B", "change", "95 % interval", "verdict"]
    return str(
        Markup("<div><p><strong>{}</strong></p>{}{}</div>").format(
            sentence, table(heads, rows), drawn(plot)
        )
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; all but the first column are right-aligned."""
    head = Markup("").join(Markup("<th>{}</th>").format(each) for each in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row)
        )
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def listed(texts: Sequence[str], most: int = 8) -> Markup:
    """A list of sentences; beyond `most` they are counted."""
    if not texts:
        return Markup("")
    said = [*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])]
    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(escape(each)) for each in said)
    )


def drawn(plot: Callable[[], Chart]) -> Markup:
    """A chart as it is drawn; nothing if there is nothing to draw."""
    try:
        return Markup(plot().svg)
    except UserError:
        return Markup("")
