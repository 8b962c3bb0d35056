"""The settings of a scenario: which load arrives, and what it is judged by.

A QS config and a report's rows spell some of them in their own way (`target_qps`, and the bound in
ms as `latency_slo_ms`); that spelling is read and written here and used nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from qs.base.scenarios import (
    CONSTANT_RATE,
    MULTI_STREAM,
    OFFLINE,
    OPEN_LOOP,
    POISSON,
    REPLAY,
    SERVER,
    SINGLE_STREAM,
    STAGES,
)
from qs.config.qs_config import Scenario, Stage

# What each scenario reads, beside its name.
USES: Mapping[str, tuple[str, ...]] = {
    POISSON: ("rate_per_s", "duration_s", "seed"),
    CONSTANT_RATE: ("rate_per_s", "duration_s"),
    STAGES: ("stages", "arrivals", "seed"),
    REPLAY: ("due_file", "column", "speed"),
    SINGLE_STREAM: ("percentile", "duration_s"),
    MULTI_STREAM: ("percentile", "duration_s", "samples_per_query"),
    SERVER: ("rate_per_s", "bound_s", "percentile", "duration_s", "seed"),
    OFFLINE: ("rate_per_s", "duration_s", "samples_per_query"),
}
_PUBLISHED = {"rate_per_s": "target_qps", "bound_s": "latency_slo_ms"}
_MS_PER_S = 1e3


@dataclass(frozen=True)
class ScenarioSettings:
    """A scenario by name, with its settings; None: not stated."""

    name: str
    # Queries/s that arrive; in Offline the samples/s that are expected.
    rate_per_s: float | None = None
    # The bound of the response time's percentile.
    bound_s: float | None = None
    percentile: float | None = None
    # How long load arrives; of MLPerf's scenarios the least duration.
    duration_s: float | None = None
    samples_per_query: int | None = None
    # Of the arrivals.
    seed: int | None = None
    stages: tuple[Stage, ...] | None = None
    # "poisson" or "even", within stages.
    arrivals: str | None = None
    # The file of recorded due times, its column, and how many times as fast it is replayed.
    due_file: str | None = None
    column: str | None = None
    speed: float | None = None

    @classmethod
    def of_config(cls, entry: Scenario) -> ScenarioSettings:
        """An entry of a QS config's `scenarios`."""
        own = {name: getattr(entry, name) for name in _SAME}
        bound_ms = entry.latency_slo_ms
        bound_s = None if bound_ms is None else bound_ms / _MS_PER_S
        return cls(**own, rate_per_s=entry.target_qps, bound_s=bound_s)

    @property
    def open_loop(self) -> bool:
        return self.name in OPEN_LOOP

    @property
    def used(self) -> ScenarioSettings:
        """Without the settings that mean nothing in it."""
        nothing: dict[str, Any] = dict.fromkeys(self._unused)
        return replace(self, **nothing)

    @property
    def warnings(self) -> list[str]:
        """One for each setting that means nothing in it."""
        return [
            f"{_PUBLISHED.get(name, name)} means nothing in {self.name}; it has no effect"
            for name in self._unused
        ]

    def published(self) -> dict[str, Any]:
        """What was stated, by the keys of a QS config, with its name."""
        stated = {"name": self.name}
        for each in fields(self)[1:]:
            if getattr(self, each.name) is not None:
                stated |= self._entry(each.name)
        return stated

    def settings(self) -> dict[str, Any]:
        """What a row of the report shows: every setting that the scenario reads, by the keys of a
        QS config; None: the scenario's own.
        """
        found: dict[str, Any] = {}
        for name in USES[self.name]:
            found |= self._entry(name)
        return found

    @property
    def _unused(self) -> list[str]:
        return [
            each.name
            for each in fields(self)[1:]
            if each.name not in USES[self.name] and getattr(self, each.name) is not None
        ]

    def _entry(self, name: str) -> dict[str, Any]:
        value = getattr(self, name)
        if name == "bound_s" and value is not None:
            value = round(value * _MS_PER_S, 9)  # 0.07 s are 70 ms, not 70.00000000000001
        if name == "stages" and value is not None:
            value = [list(stage) for stage in value]
        return {_PUBLISHED.get(name, name): value}


_SAME = [each.name for each in fields(ScenarioSettings) if each.name not in _PUBLISHED]
