"""What the trials of each combination come to: figures over all of them together, and how far they
differ from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from qs.comparison.measured import METRICS, CaseRuns, ComparedMetric, runs_of
from qs.engine.statistics import samples_needed
from qs.evaluate.slo import CODE
from qs.result.columns import Column, columns
from qs.result.row import Row, Verdict
from qs.result.sweep import SweepLine, SweepSetting
from qs.result.verdict import DoubtEntry
from qs.sweep.grid import Combination
from qs.sweep.telling import Known, Seen, known

# The response times that combinations are ranked by: the first that all of them have enough queries
# for.
RANKED_BY = columns("p99_ms", "p90_ms", "p50_ms", "mean_ms")


class Table:
    """The table of a sweep as it goes on. A line is made anew only where a trial came to it: it
    takes reading the logs of all its trials.
    """

    def __init__(
        self,
        combinations: Sequence[Combination],
        rows: Callable[[], Mapping[str, Sequence[Row]]],
        folder: Path,
    ):
        """`rows` gives the rows of each combination's trials, `folder` is where their logs lie."""
        self._combinations = combinations
        self._rows = rows
        self._folder = folder
        self._known: dict[str, tuple[int, SweepLine]] = {}

    def lines(self) -> list[SweepLine]:
        rows = self._rows()
        for each in self._combinations:
            trials = rows.get(each.name, ())
            if trials and self._known.get(each.name, (0, None))[0] != len(trials):
                self._known[each.name] = len(trials), _line(each, trials, self._log)
        return [
            self._known[each.name][1] for each in self._combinations if each.name in self._known
        ]

    def figures(self, lines: Sequence[SweepLine]) -> Figures:
        return Figures.of(lines, self._rows())

    def _log(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


@dataclass(frozen=True)
class Figures:
    """What is known of the valid settings, by name: throughput in items/s, and the response time in
    ms that they are ranked by.
    """

    by: Column
    throughput: Mapping[str, Known]
    times: Mapping[str, Known]

    @staticmethod
    def of(lines: Sequence[SweepLine], rows: Mapping[str, Sequence[Row]]) -> Figures:
        """From the table and the rows of each setting's trials."""
        by = ranking(lines)
        plain = figures_of(lines, by)
        valid = {name: [row for row in rows.get(name, ()) if row.valid] for name in plain}
        return Figures(
            by,
            known({name: Seen(plain[name][0], _throughputs(valid[name])) for name in plain}),
            known({name: Seen(plain[name][1], _times(valid[name], by)) for name in plain}),
        )


def with_intervals(lines: Sequence[SweepLine], figures: Figures) -> list[SweepLine]:
    """The lines with half the width of their intervals, where it is known."""

    def half(known: Mapping[str, Known], name: str) -> float | None:
        return known[name].half_width if name in known else None

    return [
        line.changed(
            items_per_s_half_width=half(figures.throughput, line.name),
            ranked_half_width_ms=half(figures.times, line.name),
        )
        for line in lines
    ]


def ranking(lines: Sequence[SweepLine]) -> Column:
    """The response time that combinations are ranked by; the mean if they have nothing else in
    common.
    """
    valid = [line for line in lines if line.valid]
    return next(
        (each for each in RANKED_BY if all(each.of(line) is not None for line in valid)),
        RANKED_BY[-1],
    )


def figures_of(lines: Sequence[SweepLine], by: Column) -> dict[str, tuple[float, float]]:
    """(throughput, response time) of the combinations whose trials were all valid, by name."""
    return {
        line.name: (line.items_per_s, time)
        for line in lines
        if line.valid and line.items_per_s and (time := by.of(line))
    }


def _throughputs(rows: Sequence[Row]) -> list[tuple[float, float | None]]:
    """Items/s of each trial, with half the width of the interval."""
    return [
        (row.items_per_s, None if (share := _share(row)) is None else share * row.items_per_s)
        for row in rows
        if row.items_per_s
    ]


def _share(row: Row) -> float | None:
    """Half the width of the throughput's interval, as a share of it."""
    estimate = row.confidence and row.confidence.queries_per_s
    if not estimate or estimate.half_width is None or not row.queries_per_s:
        return None
    return estimate.half_width / row.queries_per_s


def _times(rows: Sequence[Row], by: Column) -> list[tuple[float, float | None]]:
    """The response time of each trial that has it, with half the width of the interval; that of a
    mean in closed loop is, as a share, the throughput's (J. D. C. Little: clients = rate x mean).
    """
    found: list[tuple[float, float | None]] = []
    for row in rows:
        value = by.of(row)
        if not value:
            continue
        if by.percentile is None:
            share = _share(row)
            half = None if share is None else share * value
        else:
            estimate = getattr(row.confidence, by.name, None)
            half = None if estimate is None else estimate.half_width
        found.append((value, half))
    return found


def _line(
    combination: Combination, trials: Sequence[Row], log: Callable[[str], str | None]
) -> SweepLine:
    valid = [row for row in trials if row.valid]
    rates = [row.items_per_s for row in valid if row.items_per_s is not None]
    runs = runs_of(log, valid) if valid else None
    figures: dict[str, Any] = {metric.column.name: _figure(runs, metric) for metric in METRICS}
    spread = 100.0 * (max(rates) - min(rates)) / median(rates) if len(rates) > 1 else None
    return SweepLine(
        name=combination.name,
        setting=SweepSetting(**combination.to_dict()),
        trials=len(trials),
        seconds=sum(row.wall_s or 0.0 for row in valid),
        completed=sum(row.completed or 0 for row in valid),
        errors=sum(row.errors or 0 for row in trials),
        verdict=Verdict.VALID if len(valid) == len(trials) else Verdict.INVALID,
        first_fault=next((row.first_fault for row in trials if row.first_fault), None),
        reasons=list(dict.fromkeys(reason for row in trials for reason in row.reasons)),
        doubts=_doubts(trials),
        held=_held(valid),
        output_per_s=_over_trials(
            valid, lambda row: row.tokens.output_per_s if row.tokens else None
        ),
        user_per_s=_over_trials(
            valid, lambda row: row.tokens.output_per_s_of_user if row.tokens else None
        ),
        good_per_s=_over_trials(valid, lambda row: row.goodput.good_per_s if row.goodput else None),
        spread_percent=spread,
        **figures,
    )


def _held(rows: Sequence[Row]) -> dict[str, bool]:
    """By name, which bounds held as measured in every trial."""
    found: dict[str, bool] = {}
    for rule in (rule for row in rows for rule in row.rules or () if rule.code == CODE):
        found[rule.name] = found.get(rule.name, True) and rule.passed
    return found


def _over_trials(rows: Sequence[Row], figure: Callable[[Row], float | None]) -> float | None:
    """The mean of a figure, each trial for as long as it lasted; None if one of them has none."""
    known = [(figure(row), row.wall_s or 0.0) for row in rows]
    seconds = sum(lasted for _, lasted in known)
    if not seconds or any(value is None for value, _ in known):
        return None
    return sum((value or 0.0) * lasted for value, lasted in known) / seconds


def _doubts(trials: Sequence[Row]) -> list[DoubtEntry]:
    """Each kind once, of the trial that would have to be measured longest."""
    found: dict[str, DoubtEntry] = {}
    for doubt in (each for row in trials for each in row.doubts):
        kind = doubt.code or doubt.text
        if kind not in found or (doubt.needed_s or 0.0) > (found[kind].needed_s or 0.0):
            found[kind] = doubt
    return list(found.values())


def _figure(runs: CaseRuns | None, metric: ComparedMetric) -> float | None:
    """Over all trials together, from their logs. None if these do not support it, as in the row of
    a run.
    """
    if runs is None or runs.series is None:
        return None
    if metric.percentile is not None and runs.series.completed < samples_needed(metric.percentile):
        return None
    return runs.value(metric)
