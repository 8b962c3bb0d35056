"""Markdown: a summary for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.private import at_home, private
from qs.base.visible import one_line
from qs.render.answers import answers_line
from qs.render.html.page import scores
from qs.render.performance import columns_of
from qs.render.tiles import tiles_of
from qs.result.gate import GateEntry
from qs.result.story import Story

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
    if story.cases:
        shown = columns_of(story.cases)
        lines = [
            [case.name, *(each.texts[at] for each in shown), case.row.standing]
            for at, case in enumerate(story.cases)
        ]
        said += ["", *table(["case", *(each.heading for each in shown), "verdict"], lines)]
        if story.shared:
            said += ["", f"All: {escaped(story.shared)}."]
    if story.result.gates:
        said += ["", *gate_lines(story.result.gates)]
    if story.answers:
        said += ["", escaped(answers_line(story.answers))]
    said += ["", "<details><summary>How it was measured</summary>", ""]
    said += [f"- {name}: {escaped(text)}" for name, text in story.facts]
    said += [f"- machine: {escaped(text)}" for text in story.machine_doubts]
    figures = scores(story)
    if figures:
        said += ["", *table(["metric", "value", "95 % interval"], figures)]
    return "\n".join([*said, "", f"    {at_home(story.command)}", "", "</details>", ""])


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
