"""Markdown: a summary for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.private import at_home, private
from qs.base.visible import one_line
from qs.base.words import half_width, number
from qs.render.answers import answers_line
from qs.render.html.page import scores
from qs.render.nodes import side_table, sides_of
from qs.render.performance import columns_of
from qs.render.tiles import tiles_of
from qs.result.gate import GateEntry
from qs.result.llm_server_words import states_table, times_table
from qs.result.server_words import batches_table, client_table, parts_table
from qs.result.story import Story
from qs.result.sweep import SweepEntry
from qs.result.tokens_words import brief_table, measures_table, server_times_table

MOST_NODES, MOST_SIDES = 12, 3  # nodes of all cases; cases
MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|!&~$"})


def markdown(story: Story) -> str:
    """The verdict, the figures, the doubts and the table; how it was measured is folded away."""
    said = [f"## {escaped(story.standing)}: {escaped(story.title)}", ""]
    of, tiles = tiles_of(story)
    if tiles:
        where = f"{escaped(of)}: " if of else ""
        said += [where + ", ".join(f"**{escaped(each)}**" for each in tiles), ""]
    else:
        said += [escaped(story.headline), ""]
    said += [f"- {escaped(reason)}" for reason in story.reasons]
    said += [f"- doubt: {escaped(doubt)}" for doubt in story.doubts]
    sweep = story.result.sweep
    if sweep and sweep.table:
        said += ["", *sweep_lines(sweep)]
    elif story.cases:
        shown = columns_of(story.cases)
        lines = [
            [case.name, *(each.texts[at] for each in shown), case.row.standing]
            for at, case in enumerate(story.cases)
        ]
        said += ["", *table(["case", *(each.heading for each in shown), "verdict"], lines)]
        if story.shared:
            said += ["", f"All: {escaped(story.shared)}."]
        brief = brief_table(story.cases)
        if brief:
            said += ["", *table(brief.headings, brief.lines)]
        for side in sides_of(story.cases, MOST_NODES)[:MOST_SIDES]:
            found = side_table(side)
            said += ["", f"{escaped(side.case)}: {escaped(side.caption)}.", ""]
            said += table(found.headings, found.lines)
            said += ["", f"{escaped(side.left_out)}."] if side.left_out else []
    if story.result.gates:
        said += ["", *gate_lines(story.result.gates)]
    if story.answers:
        said += ["", escaped(answers_line(story.answers))]
    said += ["", "<details><summary>How it was measured</summary>", ""]
    said += [f"- {name}: {escaped(text)}" for name, text in story.facts]
    said += [f"- machine: {escaped(text)}" for text in story.machine_doubts]
    for made in (
        measures_table(story.cases),
        server_times_table(story.cases),
        times_table(story.cases),
        states_table(story.cases),
        parts_table(story.cases),
        client_table(story.cases),
        batches_table(story.cases),
    ):
        if made:
            said += ["", *table(made.headings, made.lines)]
    figures = scores(story)
    if figures:
        said += ["", *table(["metric", "value", "95 % interval"], figures)]
    return "\n".join([*said, "", f"    {at_home(story.command)}", "", "</details>", ""])


def sweep_lines(sweep: SweepEntry) -> list[str]:
    """A table of the settings, each over all its trials, and what to take."""
    headings = ["setting", "items/s", "±", "p50 ms", "p99 ms", "trials", "errors", "verdict"]
    lines = [
        [
            line.name,
            number(line.items_per_s),
            half_width(line.uncertain),
            *(number(each) for each in (line.p50_ms, line.p99_ms, line.trials, line.errors)),
            line.verdict,
        ]
        for line in sweep.table
    ]
    said = [*table(headings, lines), ""]
    for each in sweep.recommendations:
        text = "; ".join(filter(None, (each.why, each.tie)))
        said.append(f"- for {escaped(each.purpose)}: **{escaped(each.name or 'none')}**")
        said[-1] += f", {escaped(text)}" if text else ""
    if sweep.limit and sweep.limit.sentence:
        said.append(f"- {escaped(sweep.limit.sentence)}")
    for what, commands in (
        ("To measure it again", [each.command for each in sweep.recommendations]),
        ("To tell apart what was not", [each.tell_apart for each in sweep.recommendations]),
    ):
        each_once = dict.fromkeys(filter(None, commands))
        said += ["", f"{what}:"] if each_once else []
        said += [line for each in each_once for line in ("", f"    {at_home(one_line(each))}")]
    return said


def gate_lines(entries: Sequence[GateEntry]) -> list[str]:
    """A table of the conditions, and below it the commands that would tell."""
    lines = [
        [each.condition, each.case or "", each.seen or each.why or "", each.outcome]
        for each in entries
    ]
    commands = dict.fromkeys(each.decide for each in entries if each.decide)
    said = table(["fail if", "case", "measured", "outcome"], lines)
    return said + [line for each in commands for line in ("", f"To decide: `{one_line(each)}`")]


def table(headings: Sequence[str], lines: Sequence[Sequence[Any]]) -> list[str]:
    made = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    return made + ["| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines]


def escaped(text: object) -> str:
    """One line in which no mark has a meaning."""
    return private(one_line(text)).translate(MARKS)
