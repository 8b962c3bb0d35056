"""Rounds that nobody measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qs.ci.gate import CiCase
from qs.result.row import Row

BASE = {
    "BS": 8,
    "Completed": 1000,
    "Errors": 0,
    "Mode": "QS",
    "Scenario": "closed loop",
    "Clients": 1,
    "Verdict": "VALID",
    "Reasons": [],
    "Warnings": [],
}


def row(ms: float, **more: object) -> Row:
    """One block whose queries took so long on average."""
    rate = 1000.0 / ms
    times = {"AVG Latency": ms, "P50 Latency": ms, "P99 Latency": 3 * ms}
    rates = {"QPS": 8 * rate, "Queries Per Second": rate}
    return Row.model_validate(BASE | rates | times | more)


def case(logs: Sequence[float], name: str = "bs8", **more: object) -> CiCase:
    """Rounds whose new side takes exp(log) times as long as the old."""
    made = CiCase(name, name)
    made.rounds = [(row(1.0, **more), row(math.exp(each), **more)) for each in logs]
    return made
