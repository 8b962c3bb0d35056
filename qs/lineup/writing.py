"""A comparison of backends in the forms that people and programs read: lines for a terminal,
Markdown, and plain data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from qs.base.console import console, open_table
from qs.base.words import NOTHING, half_width, number
from qs.comparison.difference import LEVEL
from qs.comparison.level import Level
from qs.lineup.comparing import Entry, LinedCase, Lineup
from qs.lineup.saying import how, score_of, sentence
from qs.render.markdown import escaped, table
from qs.result.keys import title_of
from qs.result.result import Result

HEADINGS = (
    "batch size",
    "backend",
    "items/s",
    "p50 ms",
    "p99 ms",
    "times best",
    "interval",
    "speed",
)
POWER = ("W", "J/item")  # where the machine tells
PRECISION = "precision"


def headings_of(lineup: Lineup) -> list[str]:
    return [*HEADINGS, *(POWER if _powered(lineup) else ()), "verdict"]


def _powered(lineup: Lineup) -> bool:
    entries = (entry for case in lineup.cases for entry in case.entries)
    return any(entry.row.mean_power_w is not None for entry in entries)


def lines_of(lineup: Lineup) -> Iterator[list[str]]:
    """The table, a line for each backend of each case, with a cell for each of `headings_of`."""
    powered = _powered(lineup)
    for case in lineup.cases:
        for entry in case.entries:
            row = entry.row
            yield [
                case.name,
                entry.backend,
                *(level_words(entry.levels.get(name)) for name in ("throughput", "p50", "p99")),
                *against_best(case, entry.backend),
                *([number(row.mean_power_w), number(row.energy_per_item_j)] if powered else []),
                str(row.verdict),
            ]
        for name in case.left_out:
            yield [case.name, name, *[NOTHING] * 3, *[""] * (5 if powered else 3), "INVALID"]


def level_words(level: Level | None) -> str:
    """523 ± 2.4 %."""
    if level is None or level.value is None:
        return NOTHING
    if not level.low or not level.high:
        return number(level.value)
    return f"{number(level.value)} ± {half_width(math.sqrt(level.high / level.low) - 1.0)}"


def against_best(case: LinedCase, name: str) -> list[str]:
    """How many times the leading figure of the best it has, with the interval, and what follows."""
    best = case.by_speed[0]
    if len(case.entries) < 2:
        return ["", "", ""]
    if name == best:
        return ["1", "", "best"]
    found = case.pair(best, name).ratio(name)
    if found is None:
        return [NOTHING, "", case.verdict(name, best)]
    value, low, high = found
    ends = "" if low is None or high is None else f"{number(low)} .. {number(high)}"
    return [number(value), ends, case.verdict(name, best)]


def print_lineup(lineup: Lineup, stream: TextIO) -> None:
    """The table, what failed, and the sentence last."""
    from rich.text import Text

    out = console(stream, 120)
    if lineup.cases:
        made = open_table()
        for heading in ("BS", *headings_of(lineup)[1:]):
            left = heading in ("BS", "backend", "speed", "verdict")
            made.add_column(heading, justify="left" if left else "right", no_wrap=True)
        for line in lines_of(lineup):
            made.add_row(*map(Text, line))
        out.print(made)
    for text in answers_lines(lineup):
        out.print(text, markup=False, soft_wrap=True)
    out.print(Text(sentence(lineup), style="bold"), soft_wrap=True)


def answers_lines(lineup: Lineup) -> Iterator[str]:
    """Precision, accuracy and agreement of each backend, where there is something to tell apart."""
    found = {side.name: answers_of(side.result) for side in lineup.sides}
    if len({tuple(each) for each in found.values()}) == 1 and not any(
        value for each in found.values() for name, value in each if name != PRECISION
    ):
        return
    for backend, answers in found.items():
        said = ", ".join(f"{name} {value}" for name, value in answers if value)
        if said:
            yield f"{backend}: {said}"


def answers_of(result: Result) -> list[tuple[str, str]]:
    """Precision, the score of the data set, and how it agrees with the reference."""
    section, score = result.accuracy, score_of(result)
    precision = result.graph_compile.precision if result.graph_compile else None
    found = [(PRECISION, precision or "")]
    if score is not None:
        found.append((score.name, number(score.value, 4)))
    if section is not None:
        numbers = section.numbers()
        for name in ("Cosine Similarity", "Max Diff"):
            if name in numbers:
                found.append((name, number(numbers[name], 6 if name[0] == "C" else 3)))
    return found


def markdown(lineup: Lineup) -> str:
    """For a pull request or a page of documentation."""
    said = [f"## {escaped(lineup.title)}: {escaped(', '.join(lineup.names))}", ""]
    said += [escaped(sentence(lineup)), ""]
    lines = list(lines_of(lineup))
    if lines:
        said += [*table(headings_of(lineup), lines), ""]
    names = list(
        dict.fromkeys(name for side in lineup.sides for name, _ in answers_of(side.result))
    )
    rows = [[side.name, *_cells(names, side.result)] for side in lineup.sides]
    said += [*table(["backend", *names], rows), ""]
    said += [f"- {escaped(text)}" for text in how(lineup)]
    return "\n".join([*said, ""])


def _cells(names: Sequence[str], result: Result) -> list[str]:
    known = dict(answers_of(result))
    return [known.get(name) or NOTHING for name in names]


def to_dict(lineup: Lineup) -> dict[str, Any]:
    """Plain data: figures in items/s and ms, ratios as b over a."""
    return {
        "title": lineup.title,
        "sentence": sentence(lineup),
        "backends": [
            {
                "backend": side.name,
                "status": side.result.status,
                "verdict": side.result.verdict,
                "runtime": side.result.runtime_version,
                "absent": lineup.absent.get(side.name),
                "result": None if side.path is None else str(side.path),
                **dict(answers_of(side.result)),
            }
            for side in lineup.sides
        ],
        "rounds": lineup.rounds,
        "level": LEVEL,
        "margin": lineup.margin,
        "tests": lineup.tests,
        "spread_between_runs": {"share": lineup.known.share, "origin": lineup.known.origin},
        "cases": [_case(case) for case in lineup.cases],
    }


def _case(case: LinedCase) -> dict[str, Any]:
    return {
        "case": case.name,
        "batch_size": case.row.requested_batch_size or case.row.batch_size,
        "scenario": case.row.scenario,
        "leaders": case.leaders,
        "by_speed": case.by_speed,
        "left_out": dict(case.left_out),
        "figures": {entry.backend: _figures(entry) for entry in case.entries},
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "verdict": pair.verdict,
                "figure": case.leading,
                "differences": [
                    each.to_dict() | {"stands": stands}
                    for each, stands in zip(pair.case.differences, pair.case.stands)
                ],
            }
            for pair in case.pairs
        ],
    }


def _figures(entry: Entry) -> dict[str, Any]:
    return {
        "case": title_of(entry.row),
        "turns": entry.runs.runs,
        "verdict": entry.row.verdict,
        "clients": entry.row.clients,
        "instances": entry.row.instances,
        "intra_op_threads": entry.row.intra_op_threads,
        "mean_power_w": entry.row.mean_power_w,
        "energy_per_item_j": entry.row.energy_per_item_j,
        **{
            name: {"value": level.value, "interval": _interval(level), "why": level.why or None}
            for name, level in entry.levels.items()
        },
    }


def _interval(level: Level) -> list[float] | None:
    return None if level.low is None or level.high is None else [level.low, level.high]
