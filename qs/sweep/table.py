"""What the trials of each combination come to: figures over all of them together, and how far they
differ from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from qs.compare.measured import METRICS, CaseRuns, ComparedMetric, runs_of
from qs.engine.statistics import samples_needed
from qs.result.columns import Column, columns
from qs.result.row import Row, Verdict
from qs.result.sweep import SweepLine, SweepSetting
from qs.sweep.grid import Combination

# The response times that combinations are ranked by: the first that all of them have enough queries
# for.
RANKED_BY = columns("p99_ms", "p90_ms", "p50_ms", "mean_ms")


def table_of(
    combinations: Sequence[Combination],
    rows: Mapping[str, Sequence[Row]],
    log: Callable[[str], str | None],
) -> list[SweepLine]:
    """One line for each combination that was measured, in their order, from its trials' rows by its
    name; `log` gives the text of the log that a row names.
    """
    return [_line(each, rows[each.name], log) for each in combinations if rows.get(each.name)]


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
        if line.valid and line.items_per_s is not None and (time := by.of(line)) is not None
    }


def _line(
    combination: Combination, trials: Sequence[Row], log: Callable[[str], str | None]
) -> SweepLine:
    valid = [row for row in trials if row.valid]
    rates = [row.items_per_s for row in valid if row.items_per_s is not None]
    runs = runs_of(log, valid) if valid else None
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
        spread_percent=spread,
        **{metric.column.name: _figure(runs, metric) for metric in METRICS},
    )


def _figure(runs: CaseRuns | None, metric: ComparedMetric) -> float | None:
    """Over all trials together, from their logs. None if these do not support it, as in the row of
    a run.
    """
    if runs is None or runs.series is None:
        return None
    if metric.percentile is not None and runs.series.completed < samples_needed(metric.percentile):
        return None
    return runs.value(metric)
