"""A case's scenario: its settings, what it is held to, and the number that it is compared by."""

from __future__ import annotations

from typing import Any

from qs.result.part import Count, Number, Part


class ScenarioEntry(Part):
    """The scenario's own settings, as the QS config spells them."""

    target_qps: Number = None
    latency_slo_ms: Number = None
    percentile: Number = None
    duration_s: Number = None
    samples_per_query: Count = None
    seed: Count = None
    stages: list[Any] | None = None
    users: Count = None
    sessions_per_s: Number = None
    arrivals: str | None = None
    burstiness: Number = None
    think_time_s: Number = None
    due_file: str | None = None
    column: str | None = None
    speed: Number = None


class RuleEntry(Part):
    """What a scenario or a stop rule needed, and what was measured."""

    name: str
    needed: Number = None
    measured: Number = None
    passed: bool
    advice: str = ""
    unit: str = ""
    bound: str = "at least"
    code: str | None = None  # what it is about, for programs
    # of a bound of --slo: holds, fails or unclear at 95 %, the share that missed it, and where that
    # share may lie
    held: str | None = None
    share_percent: Number = None
    share_interval_percent: list[Number] | None = None


class MetricEntry(Part):
    """The one number that results of a scenario are compared by."""

    name: str
    value: Number = None
    unit: str = ""
