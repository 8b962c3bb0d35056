"""What the trials of each setting come to: figures over all of them together, and how far they
differ from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from qs.compare.measured import METRICS, CaseRuns, Metric, runs_of
from qs.result.row import Row
from qs.sweep.grid import Setting

Line = dict[str, Any]
# The response times that settings are ranked by: the first that all of them have enough queries
# for.
RANKED_BY = ("P99 Latency", "P90 Latency", "P50 Latency", "AVG Latency")


def table_of(
    settings: Sequence[Setting],
    rows: Mapping[str, Sequence[Row]],
    histogram: Callable[[str], str | None],
) -> list[Line]:
    """One line a setting, in their order; those not measured yet are left out.

    rows       by the setting's name, its trials' rows
    histogram  the text of the log that a row names
    """
    found = []
    for setting in settings:
        trials = list(rows.get(setting.name, ()))
        if trials:
            found.append(_line(setting, trials, histogram))
    return found


def ranking(lines: Sequence[Line]) -> str:
    """The name of the response time that settings are ranked by; the mean where they have nothing
    else in common.
    """
    valid = [line for line in lines if line["verdict"] == "VALID"]
    return next(
        (name for name in RANKED_BY if all(line[name] is not None for line in valid)), RANKED_BY[-1]
    )


def figures_of(lines: Sequence[Line], by: str) -> dict[str, tuple[float, float]]:
    """(throughput, response time) of the settings whose every trial was valid."""
    return {
        line["name"]: (line["QPS"], line[by])
        for line in lines
        if line["verdict"] == "VALID" and line["QPS"] is not None and line[by] is not None
    }


def _line(setting: Setting, trials: list[Row], histogram: Callable[[str], str | None]) -> Line:
    valid = [row for row in trials if row.valid]
    rates = [row.items_per_s for row in valid if row.items_per_s is not None]
    line: Line = {
        "name": setting.name,
        "setting": setting.to_dict(),
        "trials": len(trials),
        "seconds": sum(row.wall_s or 0.0 for row in valid),
        "completed": sum(row.completed or 0 for row in valid),
        "errors": sum(row.errors or 0 for row in trials),
        "verdict": "VALID" if len(valid) == len(trials) else "INVALID",
        "first_fault": next((row.first_fault for row in trials if row.first_fault), None),
        "reasons": list(dict.fromkeys(reason for row in trials for reason in row.reasons)),
        "spread_percent": 100.0 * (max(rates) - min(rates)) / median(rates)
        if len(rates) > 1
        else None,
    }
    whole = runs_of(histogram, valid) if valid else None
    for metric in METRICS:
        line[metric.key] = _figure(whole, metric)
    return line


def _figure(whole: CaseRuns | None, metric: Metric) -> float | None:
    """Over all trials together, from their logs. None where these do not support it, as for the row
    of a run.
    """
    from qs.engine.statistics import samples_needed

    if whole is None or whole.series is None:
        return None
    if metric.percentile is not None and whole.series.completed < samples_needed(metric.percentile):
        return None
    return whole.value(metric)
