"""Markdown: a summary for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.visible import one_line
from qs.render.html.page import COLUMNS, scores
from qs.result.gate import GateEntry
from qs.result.story import Story

MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|!&~$"})


def markdown(story: Story) -> str:
    """The verdict and the tables; how it was measured is folded away."""
    said = [f"## {_plain(story.title)}: {_plain(story.standing)}", "", _plain(story.headline), ""]
    said += [f"- {_plain(reason)}" for reason in story.reasons]
    if story.cases:
        lines = [
            [case.name, *(column.text(case.row) for column in COLUMNS), case.row.standing]
            for case in story.cases
        ]
        said += ["", *_table(["case", *(each.heading for each in COLUMNS), "verdict"], lines)]
        if story.shared:
            said += ["", f"All: {_plain(story.shared)}."]
    if story.result.gates:
        said += ["", *gate_lines(story.result.gates)]
    figures = scores(story)
    if figures:
        said += ["", *_table(["metric", "value", "95 % interval"], figures)]
    said += ["", "<details><summary>How it was measured</summary>", ""]
    said += [f"- {name}: {_plain(text)}" for name, text in story.facts]
    said += [f"- doubt: {_plain(text)}" for text in (*story.doubts, *story.machine_doubts)]
    return "\n".join([*said, "", f"    {story.command}", "", "</details>", ""])


def gate_lines(entries: Sequence[GateEntry]) -> list[str]:
    """A table of the conditions, and below it the commands that would tell."""
    lines = [
        [each.condition, each.case or "", each.seen or each.why or "", each.outcome]
        for each in entries
    ]
    commands = dict.fromkeys(each.decide for each in entries if each.decide)
    said = _table(["fail if", "case", "measured", "outcome"], lines)
    return said + [line for each in commands for line in ("", f"To decide: `{one_line(each)}`")]


def _table(headings: Sequence[str], lines: Sequence[Sequence[Any]]) -> list[str]:
    made = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    return made + ["| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines]


def _plain(text: object) -> str:
    """One line in which no mark has a meaning."""
    return one_line(text).translate(MARKS)
