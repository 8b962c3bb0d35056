"""Markdown: a summary for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qs.base.files import write_atomic
from qs.base.words import number
from qs.render.html.page import (
    COLUMNS,
    accuracy_rows,
    command_of,
    doubts,
    facts,
    headline,
    named_rows,
    shared_by_all,
)

SUFFIX = ".md"
MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|!"})


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    write_atomic(out, text_of(result).encode())


def text_of(result: Mapping[str, Any]) -> str:
    rows = named_rows(result)
    said = [
        f"## {_plain(result['Task'])} on {_plain(result['Backend'])}: {result['Verdict']}",
        "",
        _plain(headline(result)),
        "",
    ]
    said += [f"- {_plain(reason)}" for reason in result["Reasons"]]
    if rows:
        table = [
            [name, *(number(row.get(key)) for key, _ in COLUMNS), row["Verdict"]]
            for name, row in rows
        ]
        said += ["", *_table(["case", *(heading for _, heading in COLUMNS), "verdict"], table)]
        shared = shared_by_all(result)
        said += ["", f"All: {_plain(shared)}."] if shared else []
    metrics = accuracy_rows(result.get("Accuracy") or {})
    if metrics:
        said += ["", *_table(["metric", "value", "95 % interval"], metrics)]
    said += ["", "<details><summary>How it was measured</summary>", ""]
    said += [f"- {name}: {_plain(text)}" for name, text in facts(result)]
    said += [f"- doubt: {_plain(text)}" for text in doubts(result)]
    return "\n".join([*said, "", f"    {command_of(result)}", "", "</details>", ""])


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    return lines + ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]


def _plain(text: Any) -> str:
    """One line that means itself."""
    return " ".join(str(text).split()).translate(MARKS)
