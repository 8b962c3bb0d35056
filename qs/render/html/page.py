"""report.html: a result on one self-contained page, in the order of its readers' questions: does it
count, what came out, what speaks against it, the rest.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from qs.render.answers import answers_line
from qs.render.html import by_setting, over_time
from qs.render.html.curves import charts_of
from qs.render.html.distributions import distribution_charts
from qs.render.html.rendering import render
from qs.render.nodes import Side, machines_table, sides_of
from qs.render.performance import Shown, columns_of
from qs.render.tiles import tiles_of
from qs.result.beside import content_of
from qs.result.llm_server_words import states_table, times_table
from qs.result.node_facts import unlike_words
from qs.result.power import why_not
from qs.result.row import Row
from qs.result.server_words import (
    Table,
    batches_table,
    client_table,
    metrics_table,
    notes_of,
    parts_table,
    stamped_table,
)
from qs.result.story import NamedCase, Story
from qs.result.telemetry_entry import ReadingEntry
from qs.result.tokens_words import measures_table, server_times_table

PNG = b"\x89PNG\r\n\x1a\n"
PICTURE_BYTES = 600_000  # a larger picture stays beside the page
MOST_READINGS, MOST_UNREAD = 500, 20
MOST_NODES, NODES_OPEN = 100, 16  # of all cases together; more are folded away
DOUBTS_SHOWN = 6  # the rest is folded away


@dataclass(frozen=True)
class Line:
    """A row of the table: its case, and (value, text) in each column."""

    name: str
    row: Row
    cells: Sequence[tuple[float | int | None, str]]


@dataclass(frozen=True)
class Live:
    """What a page shows besides while its run goes on: which version it is, what goes on, and how
    the task did in earlier runs ([{"run", "case", "items_per_s"}], oldest first).
    """

    version: int
    now: str
    over: bool
    trend: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class ServedTables:
    """What a page has of a served model."""

    parts: Table
    client: Table
    stamped: Table
    batches: Table
    metrics: Table
    notes: Sequence[str]

    @classmethod
    def of(cls, cases: Sequence[NamedCase]) -> ServedTables:
        return cls(
            parts_table(cases),
            client_table(cases),
            stamped_table(cases),
            batches_table(cases),
            metrics_table(cases),
            notes_of(cases)[:MOST_UNREAD],
        )

    def __bool__(self) -> bool:
        return any(bool(getattr(self, each.name)) for each in fields(self))


@dataclass(frozen=True)
class ModelTables:
    """What a page has of a language model, beside its charts."""

    measures: Table
    beside: Table
    told: Table
    states: Table

    @classmethod
    def of(cls, cases: Sequence[NamedCase]) -> ModelTables:
        cases = [case for case in cases if case.row.tokens is not None]
        return cls(
            measures_table(cases),
            server_times_table(cases),
            times_table(cases),
            states_table(cases),
        )

    def __bool__(self) -> bool:
        return any(bool(getattr(self, each.name)) for each in fields(self))


@dataclass(frozen=True)
class NodeTables:
    """What a page has of the nodes of one case, beside its charts."""

    open: Side
    whole: Side | None  # None: all of them are in `open`
    machines: Table

    @classmethod
    def of(cls, cases: Sequence[NamedCase]) -> list[NodeTables]:
        return [
            cls(first, None if whole == first else whole, machines_table(whole))
            for first, whole in zip(sides_of(cases, NODES_OPEN), sides_of(cases, MOST_NODES))
        ]


def result_page(story: Story, live: Live | None = None) -> bytes:
    """The page, with charts of what lies in the story's folder."""
    drawn = charts_of(story)
    if live is not None and not live.over:
        drawn["now"] = over_time.time_series(over_time.NOTHING_YET, ["now"], [], [])
    if live is not None and live.trend:
        drawn["trend"] = by_setting.trend(live.trend)
    thinned = "series" in drawn and drawn["series"].pop("thinned")
    spread = distribution_charts(story.answers.picture)
    drawn |= spread
    shown = columns_of(story.cases)
    of, tiles = tiles_of(story)
    return render(
        "page.html.j2",
        drawn,
        title=f"{story.standing}: {story.title}",
        story=story,
        result=story.result,
        tiles=tiles,
        tiles_of=of,
        shown=shown,
        opened=any(each.name == "p99_interval" for each in shown),
        lines=table_lines(story.cases, shown),
        answered=answers_line(story.answers),
        scores=scores(story),
        spread=list(spread),
        picture=None if spread else picture(story.answers.picture),
        thinned=thinned,
        readings=readings(story.cases),
        served_tables=ServedTables.of(story.cases),
        model_tables=ModelTables.of(story.cases),
        sides=[] if story.result.sweep else NodeTables.of(story.cases),
        unlike=machines_unlike(story.cases)[:MOST_UNREAD],
        unread=why_not([case.row for case in story.cases])[:MOST_UNREAD],
        most=DOUBTS_SHOWN,
        live=live,
    )


def table_lines(cases: Sequence[NamedCase], shown: Sequence[Shown]) -> list[Line]:
    return [
        Line(case.name, case.row, [(each.values[at], each.texts[at]) for each in shown])
        for at, case in enumerate(cases)
    ]


def scores(story: Story) -> list[tuple[str, str, str]]:
    """(metric, value, interval): those of the data set, then the agreement with the reference."""
    return [each.words(6) for each in (*story.answers.metrics, *story.answers.agreement)]


def readings(cases: Sequence[NamedCase]) -> list[tuple[str, ReadingEntry]]:
    """(case, reading) of the cases whose power is known."""
    found = [
        (case.name, each)
        for case in cases
        if case.row.telemetry is not None and case.row.mean_power_w is not None
        for each in case.row.telemetry.readings
    ]
    return found[:MOST_READINGS]


def machines_unlike(cases: Sequence[NamedCase]) -> list[str]:
    """In what the machines of the first case that had several differ."""
    nodes = next((case.row.nodes for case in cases if case.row.nodes), [])
    return list(unlike_words({each.name: each.facts for each in nodes}))


def picture(path: Path | None) -> str | None:
    """The picture as data in the page; None if it is none, or too large."""
    found = path and content_of(path.parent, path.name, PICTURE_BYTES)
    if not found or not found.startswith(PNG):
        return None
    return "data:image/png;base64," + base64.b64encode(found).decode()
