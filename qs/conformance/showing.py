"""What the checks found: a table on a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from qs.base.console import console, wrap_streams
from qs.conformance.outcome import FAIL, PASS, SKIP
from qs.conformance.running import CheckResult

_STYLES = {PASS: "green", FAIL: "bold red", SKIP: "yellow"}


def verdict(results: Sequence[CheckResult]) -> str:
    """FAIL if any check failed; skipped checks do not count."""
    return FAIL if any(result.outcome.status == FAIL for result in results) else PASS


def to_json(results: Sequence[CheckResult], hardware: str | None, task: str) -> dict[str, Any]:
    """Plain data for --json; `seconds` is wall time, `hardware` is None for a task alone."""
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


def counts(results: Sequence[CheckResult]) -> str:
    """ "14 passed, 1 failed, 1 skipped"; zeros are left out."""
    words = {PASS: "passed", FAIL: "failed", SKIP: "skipped"}
    each = {status: sum(result.outcome.status == status for result in results) for status in words}
    return ", ".join(f"{each[status]} {word}" for status, word in words.items() if each[status])


def plain_lines(result: CheckResult) -> list[str]:
    """A line on the outcome, and one on how to fix a failure."""
    status = result.outcome.status
    shown = status.upper() if status == FAIL else status
    lines = [f"{shown:<4}  {result.name:<12}  {result.outcome.reason}"]
    return [*lines, f"      to fix it:    {result.outcome.fix}"] if result.outcome.fix else lines


class PlainView:
    """Prints each check as it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def begun(self, name: str) -> None:
        pass

    def ended(self, result: CheckResult) -> None:
        for line in plain_lines(result):
            print(line, file=self._stream, flush=True)

    def close(self, results: Sequence[CheckResult]) -> None:
        pass


class TerminalView:
    """Names the check that is running; prints a table of all at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._console = console(stream)
        self._status = self._console.status("starting")
        self._status.start()
        wrap_streams()  # which rich has put into others that obey colours and links

    def begun(self, name: str) -> None:
        self._status.update(f"checking {name}")

    def ended(self, result: CheckResult) -> None:
        pass

    def close(self, results: Sequence[CheckResult]) -> None:
        with suppress(Exception):
            self._status.stop()
        if results:
            self._console.print(table(results))


def table(results: Sequence[CheckResult]) -> Any:
    """A row for each check: what was seen, and below it how to fix it."""
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
