"""What the trials of each combination come to: figures over all of them together, and how far they
differ from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from qs.compare.measured import METRICS, CaseRuns, ComparedMetric, runs_of
from qs.engine.statistics import samples_needed
from qs.result.row import Row, Verdict
from qs.sweep.grid import Combination

THROUGHPUT = "QPS"
# The response times that combinations are ranked by: the first that all of them have enough queries
# for.
RANKED_BY = ("P99 Latency", "P90 Latency", "P50 Latency", "AVG Latency")


@dataclass(frozen=True)
class TableLine:
    """All trials of one combination together."""

    combination: Combination
    trials: int
    # Measured time, and answered queries, of the valid trials.
    seconds: float
    completed: int
    errors: int
    verdict: Verdict
    first_fault: str | None
    reasons: tuple[str, ...]
    # Of the valid trials' throughputs, against their median; None for a single trial.
    spread_percent: float | None
    # By the published names of the metrics, in items/s and ms; None if the queries do not support
    # the figure.
    figures: Mapping[str, float | None]

    @property
    def name(self) -> str:
        return self.combination.name

    @property
    def valid(self) -> bool:
        return self.verdict is Verdict.VALID

    @property
    def throughput(self) -> float | None:
        return self.figures[THROUGHPUT]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "setting": self.combination.to_dict(),
            "trials": self.trials,
            "seconds": self.seconds,
            "completed": self.completed,
            "errors": self.errors,
            "verdict": str(self.verdict),
            "first_fault": self.first_fault,
            "reasons": list(self.reasons),
            "spread_percent": self.spread_percent,
            **self.figures,
        }


def table_of(
    combinations: Sequence[Combination],
    rows: Mapping[str, Sequence[Row]],
    log: Callable[[str], str | None],
) -> list[TableLine]:
    """One line for each combination that was measured, in their order, from its trials' rows by its
    name; `log` gives the text of the log that a row names.
    """
    return [_line(each, rows[each.name], log) for each in combinations if rows.get(each.name)]


def ranking(lines: Sequence[TableLine]) -> str:
    """The name of the response time that combinations are ranked by; the mean if they have nothing
    else in common.
    """
    valid = [line for line in lines if line.valid]
    return next(
        (name for name in RANKED_BY if all(line.figures[name] is not None for line in valid)),
        RANKED_BY[-1],
    )


def figures_of(lines: Sequence[TableLine], by: str) -> dict[str, tuple[float, float]]:
    """(throughput, response time) of the combinations whose trials were all valid, by name."""
    return {
        line.name: (line.throughput, time)
        for line in lines
        if line.valid and line.throughput is not None and (time := line.figures[by]) is not None
    }


def _line(
    combination: Combination, trials: Sequence[Row], log: Callable[[str], str | None]
) -> TableLine:
    valid = [row for row in trials if row.valid]
    rates = [row.items_per_s for row in valid if row.items_per_s is not None]
    runs = runs_of(log, valid) if valid else None
    return TableLine(
        combination=combination,
        trials=len(trials),
        seconds=sum(row.wall_s or 0.0 for row in valid),
        completed=sum(row.completed or 0 for row in valid),
        errors=sum(row.errors or 0 for row in trials),
        verdict=Verdict.VALID if len(valid) == len(trials) else Verdict.INVALID,
        first_fault=next((row.first_fault for row in trials if row.first_fault), None),
        reasons=tuple(dict.fromkeys(reason for row in trials for reason in row.reasons)),
        spread_percent=100.0 * (max(rates) - min(rates)) / median(rates)
        if len(rates) > 1
        else None,
        figures={metric.key: _figure(runs, metric) for metric in METRICS},
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
