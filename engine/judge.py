"""What judges the result of a plan."""

from __future__ import annotations

from typing import Protocol

from qs.engine.result import RunResult
from qs.engine.ruling import Metric, Rule


class Judge(Protocol):
    """Judges the result of a plan: a scenario."""

    @property
    def name(self) -> str: ...

    @property
    def percentile(self) -> float | None:
        """The percentile of response time that it judges, if any."""
        ...

    def rules(self, result: RunResult) -> list[Rule]:
        """Every rule, with what it needed and what was measured."""
        ...

    def metric(self, result: RunResult) -> Metric:
        """The number that results are compared by."""
        ...
