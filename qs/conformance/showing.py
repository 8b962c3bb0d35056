"""Results for a person (a table on a terminal, plain lines elsewhere) and for a machine (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from qs.conformance.outcome import FAIL, PASS, SKIP
from qs.conformance.running import Result

_STYLES = {PASS: "green", FAIL: "bold red", SKIP: "yellow"}


def verdict(results: Sequence[Result]) -> str:
    """A check that was skipped is no failure."""
    return FAIL if any(result.outcome.status == FAIL for result in results) else PASS


def to_json(results: Sequence[Result], hardware: str, task: str) -> dict[str, Any]:
    """Plain data; `seconds` are of wall time."""
    return {
        "hardware_type": hardware,
        "task": task,
        "verdict": verdict(results),
        "checks": [
            {
                "name": result.name,
                "about": result.about,
                "status": result.outcome.status,
                "reason": result.outcome.reason,
                "fix": result.outcome.fix,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def counts(results: Sequence[Result]) -> str:
    """ "14 passed, 1 failed, 1 skipped"; zeros are left out."""
    words = {PASS: "passed", FAIL: "failed", SKIP: "skipped"}
    each = {status: sum(result.outcome.status == status for result in results) for status in words}
    return ", ".join(f"{each[status]} {word}" for status, word in words.items() if each[status])


def plain_lines(result: Result) -> list[str]:
    """One line on a check, and one on how to fix it where it failed."""
    status = result.outcome.status
    shown = status.upper() if status == FAIL else status
    lines = [f"{shown:<4}  {result.name:<12}  {result.outcome.reason}"]
    return [*lines, f"      to fix it:    {result.outcome.fix}"] if result.outcome.fix else lines


class PlainView:
    """A line for every check as it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def begun(self, name: str) -> None:
        pass

    def ended(self, result: Result) -> None:
        for line in plain_lines(result):
            print(line, file=self._stream, flush=True)

    def close(self, results: Sequence[Result]) -> None:
        pass


class TerminalView:
    """Says which check runs; at the end a table of all."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._status = self._console.status("starting")
        self._status.start()

    def begun(self, name: str) -> None:
        self._status.update(f"checking {name}")

    def ended(self, result: Result) -> None:
        pass

    def close(self, results: Sequence[Result]) -> None:
        with suppress(Exception):
            self._status.stop()
        if results:
            self._console.print(table(results))


def table(results: Sequence[Result]) -> Any:
    """A row for every check: what was seen, and under it how to fix it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD)
    for heading in ("check", "", "what was seen"):
        made.add_column(heading, no_wrap=heading != "what was seen")
    for result in results:
        outcome = result.outcome
        said = Text(outcome.reason)
        if outcome.fix:
            said.append(f"\nto fix it: {outcome.fix}", style="italic")
        made.add_row(Text(result.name), Text(outcome.status, style=_STYLES[outcome.status]), said)
    return made
