"""Runs every benchmark, one after the other, and prints one table of goals; --write-readme puts it
into bench/README.md.

Each runs in a process of its own, with the command that a person would type. A benchmark that fails
gets a row that says so, and the exit status is 1; a missed goal is a finding, not a failure.

    python bench/all.py [--quick] [--write-readme] [--only closed_loop,recorder]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare import spread_text

FOLDER = Path(__file__).resolve().parent
README = FOLDER / "README.md"
BEGIN, END = "<!-- the table: begin -->", "<!-- the table: end -->"
BENCHES = (
    "closed_loop",
    "threads_processes",
    "poisson_rate",
    "lateness",
    "queue_model",
    "async_clients",
    "measures",
    "recorder",
    "two_runs",
    "verify",
    "telemetry",
    "memory",
    "confidence",
    "limit",
    "newcomer",
    "nodes",
    "overhead",
    "openvino_app",
    "remote",
    "stream",
    "triton",
    "live_view",
    "nodes_scale",
)
FULL = {"memory": ["--full"]}
HEAD = "| bench | goal | reached: median [quartiles; extremes] | |\n|---|---|---|---|\n"


def run_bench(bench: str, quick: bool) -> dict[str, Any] | None:
    """The benchmark's report; None if it failed, with its error on standard error."""
    asked = ["--quick"] if quick else FULL.get(bench, [])
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{bench}.py"), "--json", *asked],
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def table_of(reports: Sequence[tuple[str, dict[str, Any] | None]]) -> str:
    """Markdown: one row a goal, and under it where and when it was measured."""
    lines = []
    for bench, report in reports:
        if report is None:
            lines.append(f"| {bench} | | failed to run | |")
            continue
        for goal in report["goals"]:
            met = {True: "met", False: "**missed**", None: "n/a"}[goal["met"]]
            needed = f"{goal['what']} {goal['needed']} {goal['unit']}".strip()
            lines.append(f"| {bench} | {needed} | {spread_text(goal)} | {met} |")
    return HEAD + "\n".join(lines) + "\n" + "\n".join(_circumstances(reports))


def _circumstances(reports: Sequence[tuple[str, dict[str, Any] | None]]) -> list[str]:
    whole = [report for _, report in reports if report is not None]
    if not whole:
        return []
    first, facts = whole[0], whole[0]["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in first["versions"].items() if value)
    machine = (
        f"{facts['cpu']}{' (virtual)' if facts['virtual'] else ''}, {facts['usable_cores']} cores, "
    )
    machine += f"{facts['memory_gb']:g} GB, {facts['system']}"
    busiest = max(report["load"]["others_percent"] for report in whole)
    stolen = max(report["load"]["stolen_percent"] for report in whole)
    measured = (
        f"Measured {first['started_at']} to {whole[-1]['started_at']} on {machine}; {versions}. "
        f"Other load while measuring: up to {busiest:.0f} % of the CPUs, "
        f"stolen up to {stolen:.1f} %."
    )
    lines = ["", _wrapped(measured)]
    if any(report["quick"] for report in whole):
        lines.append(
            "\n**Preliminary: from quick runs, which show that the benchmarks work "
            "and not how fast anything is.**"
        )
    notes = [
        _wrapped(f"- {report['bench']}: {note}", indent="  ")
        for report in whole
        for note in report["notes"]
    ]
    return [*lines, "", *notes] if notes else lines


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def with_table(text: str, table: str) -> str:
    """The text with everything between the markers replaced; ValueError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN} and {END} are not in the text")
    return f"{before}{BEGIN}\n{table.strip()}\n{END}{after}"


def write_whole(path: Path, text: str) -> None:
    """The file appears whole or stays as it was."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, path.stat().st_mode)
    os.replace(name, path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="short runs: shows that everything works, not how fast"
    )
    parser.add_argument(
        "--write-readme", action="store_true", help=f"replace the table in {README.name}"
    )
    parser.add_argument(
        "--only", help="names, separated by commas; --write-readme then writes these rows alone"
    )
    options = parser.parse_args()
    benches = tuple(options.only.split(",")) if options.only else BENCHES
    unknown = sorted(set(benches) - set(BENCHES))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is not allowed; it takes {', '.join(BENCHES)}")
    reports = [(bench, run_bench(bench, options.quick)) for bench in benches]
    table = table_of(reports)
    print(table)
    if options.write_readme:
        write_whole(README, with_table(README.read_text(encoding="utf-8"), table))
    return 0 if all(report is not None for _, report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
