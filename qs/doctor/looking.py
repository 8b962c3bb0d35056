"""All probes, in the order in which they are shown; what a report says of its machine; and the
findings on a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from qs.base.console import console
from qs.doctor import cpu, host, self_benchmark
from qs.doctor.finding import OK, WARN, Finding, Planned
from qs.doctor.self_benchmark import SelfBenchmark
from qs.settings.settings import Settings

ROOT = Path("/")
WATCH_S = 1.0
MARKS = {OK: "ok", WARN: "WARN", "unknown": "?"}
STYLES = {OK: "green", WARN: "bold yellow", "unknown": "dim"}


def look(planned: Planned | None = None, root: Path = ROOT, watch_s: float = 0.0) -> list[Finding]:
    """What the machine is like now.

    planned   what a run is going to ask of it, for the probes that depend on that
    root      the folder that holds the kernel's files
    watch_s   how long to watch for stolen time and other load; 0: not at all, and the findings say
              so
    """
    planned = planned or Planned()
    return [
        *cpu.cores(planned, root),
        *cpu.clocks(root),
        *host.memory(root),
        cpu.thread_variables(planned),
        *host.whole(root, watch_s),
    ]


def sentence(findings: Sequence[Finding], benchmark: SelfBenchmark | None, age: str = "") -> str:
    """Whether it is fit, or what is wrong; and which differences it resolves, if that was
    measured.
    """
    warned = [each for each in findings if each.status == WARN]
    first = "; ".join(f"{each.name}: {each.value}" for each in warned)
    first = first or "no problem found"
    if benchmark is None:
        return f"{first}. How small a difference it can tell was not measured: run qs doctor"
    when = f" (qs doctor, {age})" if age else ""
    return (
        f"{first}. A difference below {benchmark.resolves:.1%} between two runs is noise here{when}"
    )


def machine_check(
    findings: Sequence[Finding], benchmark: SelfBenchmark | None, age: str = ""
) -> dict[str, Any]:
    """For a report: plain data."""
    return {
        "summary": sentence(findings, benchmark, age),
        "findings": [each.to_dict() for each in findings],
        "self_benchmark": None if benchmark is None else benchmark.to_dict(),
    }


def check_now(settings: Settings | None = None) -> dict[str, Any]:
    """machine_check for the run that is about to begin: a few milliseconds, and the results of the
    last self-benchmark.
    """
    last = self_benchmark.last()
    return machine_check(look(Planned.of(settings)), last, "" if last is None else last.age())


def print_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """One line per finding; below each warning what it does and how to change it."""
    from rich.text import Text

    shown = console(stream)
    width = max(len(each.name) for each in findings)
    for each in findings:
        line = Text(f"{MARKS[each.status]:>4}  ", style=STYLES[each.status])
        line.append(f"{each.name:<{width}}  {each.value}", style="default")
        shown.print(line, soft_wrap=True)
        if each.status == WARN:
            for text in filter(None, (each.effect, each.fix and f"fix: {each.fix}")):
                shown.print(Text(f"{'':>6}{'':<{width}}  {text}"), soft_wrap=True)
