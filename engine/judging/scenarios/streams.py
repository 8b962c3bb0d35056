"""What SingleStream and MultiStream have in common: one query after the other, judged by an
estimate of a high percentile.
"""

from __future__ import annotations

from qs.engine.judging.rules import at_least
from qs.engine.judging.scenarios.early_stopping import estimate_ns, queries_needed
from qs.engine.judging.scenarios.scenario import minimum_duration, minimum_queries
from qs.engine.result import Metric, Rule, RunResult


def least_queries(min_queries: int | None, percentile: float) -> int:
    """The asked-for number, or the least with which early stopping gives an estimate (one query may
    be over: the rules' step 3).
    """
    return queries_needed(1, percentile) if min_queries is None else min_queries


def stream_rules(
    result: RunResult, percentile: float, min_duration_s: float, min_queries: int | None
) -> list[Rule]:
    early = queries_needed(1, percentile)
    return [
        minimum_duration(min_duration_s, result, "raise max_duration_s, or leave it out"),
        minimum_queries(least_queries(min_queries, percentile), result),
        at_least(
            f"early stopping of p{percentile:g}",
            early,
            result.completed,
            "queries",
            f"run at least {early} queries: set min_queries={early}",
        ),
    ]


def stream_metric(result: RunResult, percentile: float) -> Metric:
    return Metric(
        f"early-stopping estimate of the p{percentile:g} response time",
        estimate_ns(result.response, percentile, result.errors),
        "ns",
    )
