"""What the benchmarks share: run the sides in turn, compare them pair by pair, check goals, and
print or dump the report.

A machine drifts (frequency, neighbours, heat), so a figure taken now and another taken a minute
later do not compare. Here every round runs every side once, A B A B ..., and a ratio is formed
within each round; the report gives the median of the rounds with their quartiles and extremes. How
a benchmark measures stands in its own file.
"""

from __future__ import annotations

import argparse
import gc
import json
import operator
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

import machine

RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Spread:
    """A figure over rounds: the median, and how far to trust it."""

    median: float
    least: float
    lower_quartile: float
    upper_quartile: float
    most: float
    rounds: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("a spread needs at least one value")
        low, _, high = (
            quantiles(values, method="inclusive") if len(values) > 1 else (values[0],) * 3
        )
        return Spread(median(values), min(values), low, high, max(values), len(values))


def interleaved(
    sides: Mapping[str, Callable[[], Any]], rounds: int, say: Say = lambda text: None
) -> dict[str, list[Any]]:
    """What each side returned in each round: all sides once, then all again. The garbage of one
    side is collected before the next.
    """
    given: dict[str, list[Any]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            say(f"round {number + 1} of {rounds}: {name}")
            gc.collect()
            given[name].append(side())
    return given


def pairwise(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """above / below, round by round."""
    return [one / other for one, other in zip(above, below, strict=True)]


class Report:
    """What a benchmark found: figures with units, and goals with whether they were met. `values` is
    None for what was not measured.
    """

    def __init__(self, bench: str, compares: str, quick: bool):
        self.bench = bench
        self.compares = compares
        self.quick = quick
        self.figures: list[dict[str, Any]] = []
        self.goals: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def figure(self, name: str, unit: str, values: Sequence[float] | None) -> None:
        self.figures.append({"name": name, "unit": unit, **_spread(values)})

    def goal(
        self, what: str, relation: str, limit: float, values: Sequence[float] | None, unit: str = ""
    ) -> None:
        """A goal is met if the median over the rounds is on the right side of the limit."""
        spread = _spread(values)
        met = None if values is None else RELATIONS[relation](spread["median"], limit)
        needed = f"{relation} {limit:,.10g}"
        self.goals.append({"what": what, "needed": needed, "unit": unit, **spread, "met": met})

    def note(self, text: str) -> None:
        self.notes.append(text)

    def to_dict(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "compares": self.compares,
            "quick": self.quick,
            "figures": self.figures,
            "goals": self.goals,
            "notes": self.notes,
        }


def _spread(values: Sequence[float] | None) -> dict[str, Any]:
    if values is None:
        return {**dict.fromkeys(Spread.__dataclass_fields__), "rounds": 0}
    return asdict(Spread.of(values))


Measure = Callable[[argparse.Namespace, Report, Say], None]
AddOptions = Callable[[argparse.ArgumentParser], None]


def command(
    bench: str,
    description: str,
    measure: Measure,
    rounds: int,
    add_options: AddOptions = lambda parser: None,
) -> None:
    """The command line of one benchmark. `rounds` is the default of a full run; --quick makes three
    short ones.

    `description` is the script's docstring. The report goes to standard output,
    progress to standard error.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--quick", action="store_true", help="short runs: shows that it works, not how fast"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"how many times each side runs (default {rounds}; 3 with --quick)",
    )
    add_options(parser)
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 3 if options.quick else rounds
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not allowed, it must be at least 1")

    def say(text: str) -> None:
        print(f"{bench}: {text}", file=sys.stderr, flush=True)

    report = Report(bench, description.partition("\n")[0], options.quick)
    load = machine.Load()
    began = time.time()
    measure(options, report, say)
    whole = {
        **report.to_dict(),
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "took_s": round(time.time() - began, 1),
        "machine": machine.facts(),
        "load": load.since(),
        "versions": machine.versions(),
    }
    print(json.dumps(whole, indent=1) if options.json else text_of(whole))


def text_of(whole: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    facts, load = whole["machine"], whole["load"]
    lines = [
        f"{whole['bench']}: {whole['compares']}",
        f"{facts['cpu']}, {facts['usable_cores']} cores, {facts['system']}; "
        f"other load {load['others_percent']:.0f} % before "
        f"{load['before_percent']:.0f} %, stolen {load['stolen_percent']:.1f} %",
        "",
    ]
    for figure in whole["figures"]:
        lines.append(f"  {figure['name']:<58} {spread_text(figure)}")
    lines.append("")
    for goal in whole["goals"]:
        verdict = {True: "met", False: "MISSED", None: "n/a"}[goal["met"]]
        lines.append(
            f"  {verdict:<6} {goal['what']} {goal['needed']} {goal['unit']}: {spread_text(goal)}"
        )
    lines += [f"  note: {note}" for note in whole["notes"]]
    if whole["quick"]:
        lines.append("  quick: shows that the benchmark works; its figures mean little")
    return "\n".join(lines)


def spread_text(spread: Mapping[str, Any]) -> str:
    """Median, quartiles and extremes, such as `172 ns [170 .. 181; 168 .. 190]`, or n/a."""
    if spread["median"] is None:
        return "n/a"
    unit = f" {spread['unit']}" if spread["unit"] else ""
    if spread["rounds"] == 1:
        return f"{short(spread['median'])}{unit}"
    quartiles = f"{short(spread['lower_quartile'])} .. {short(spread['upper_quartile'])}"
    extremes = f"{short(spread['least'])} .. {short(spread['most'])}"
    return f"{short(spread['median'])}{unit} [{quartiles}; {extremes}]"


def short(value: float) -> str:
    """Three significant digits, thousands grouped."""
    if abs(value) >= 1000:
        return f"{round(value, 2 - (len(str(int(abs(value)))) - 1)):,.0f}"
    return f"{value:.3g}"
