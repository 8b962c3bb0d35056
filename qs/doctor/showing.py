"""Findings on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from qs.doctor.finding import OK, WARN, Finding

MARKS = {OK: "ok", WARN: "WARN", "unknown": "?"}
STYLES = {OK: "green", WARN: "bold yellow", "unknown": "dim"}


def print_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """A line a finding; below each warning what it does and how to change it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 120)
    width = max(len(each.name) for each in findings)
    for each in findings:
        line = Text(f"{MARKS[each.status]:>4}  ", style=STYLES[each.status])
        line.append(f"{each.name:<{width}}  {each.value}", style="default")
        console.print(line, soft_wrap=True)
        if each.status == WARN:
            for text in filter(None, (each.effect, each.fix and f"fix: {each.fix}")):
                console.print(Text(f"{'':>6}{'':<{width}}  {text}"), soft_wrap=True)
