"""Which combination to take: for response time, for throughput, and under bounds; each with the
command that measures it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from qs.base.pareto import frontier
from qs.base.words import number
from qs.limit.goals import Goal
from qs.sweep.grid import Combination
from qs.sweep.table import TableLine, figures_of, ranking

LATENCY, MOST, BOUNDED, LIMIT = "latency", "throughput", "slo", "limit"
ALIKE = 0.01  # throughputs this close count as equal: the one that answers sooner is taken
NS_PER_MS = 1e6


@dataclass(frozen=True)
class Recommendation:
    """A combination to take, with the command that measures it again. No combination: none meets
    the bounds, and `why` says so.
    """

    purpose: str
    why: str
    combination: Combination | None = None
    command: str | None = None

    @property
    def name(self) -> str | None:
        return None if self.combination is None else self.combination.name

    def to_dict(self) -> dict[str, Any]:
        return {
            "for": self.purpose,
            "name": self.name,
            "setting": None if self.combination is None else self.combination.to_dict(),
            "why": self.why,
            "command": self.command,
        }


def recommended(
    lines: Sequence[TableLine], goals: Sequence[Goal], command: Sequence[str]
) -> list[Recommendation]:
    """For response time, for throughput, and under bounds if there are any. `command` measures the
    task without a combination: qs run --task T --hardware_type H.
    """
    by = ranking(lines)
    figures = figures_of(lines, by)
    if not figures:
        return []
    combinations = {line.name: line.combination for line in lines}

    def take(purpose: str, name: str, why: str) -> Recommendation:
        chosen = combinations[name]
        return Recommendation(purpose, why, chosen, shlex.join([*command, *chosen.flags()]))

    def fastest(purpose: str, names: Collection[str], why: str) -> Recommendation:
        most = max(figures[name][0] for name in names)
        near = [name for name in names if figures[name][0] >= most * (1 - ALIKE)]
        name = min(near, key=lambda name: figures[name][1])
        return take(purpose, name, f"{why}, {number(figures[name][0], 4)} items/s")

    quickest = min(figures, key=lambda name: (figures[name][1], -figures[name][0]))
    least = f"the least {_words(by)}, {number(figures[quickest][1])} ms"
    found = [
        take(LATENCY, quickest, least),
        fastest(MOST, figures, "the most throughput"),
    ]
    if goals:
        bounds = ", ".join(map(str, goals))
        holding = [
            line.name
            for line in lines
            if line.name in figures and all(holds(goal, line) for goal in goals)
        ]
        found.append(
            fastest(BOUNDED, holding, f"the most throughput within {bounds}")
            if holding
            else Recommendation(BOUNDED, f"no setting holds {bounds} in closed loop")
        )
    return found


def at_the_limit(
    combination: Combination, rate_per_s: float, goals: Sequence[Goal], command: Sequence[str]
) -> Recommendation:
    """The combination that a limit was found for, with the command that puts that load on it."""
    bounds = ", ".join(map(str, goals))
    why = f"the highest Poisson rate within {bounds}, {number(rate_per_s, 4)} requests/s"
    load = ("--rate", f"{rate_per_s:.6g}", "--duration", "30s")
    return Recommendation(
        LIMIT, why, combination, shlex.join([*command, *combination.flags(), *load])
    )


def holds(goal: Goal, line: TableLine) -> bool:
    """Whether a combination met a bound in closed loop; False if there were too few queries to
    tell.
    """
    total = line.completed + line.errors
    if goal.bound_ns is None:
        return bool(total) and line.errors / total <= (goal.share or 0.0)
    key = "AVG Latency" if goal.percentile is None else f"P{goal.percentile:g} Latency"
    value = line.figures.get(key)
    return value is not None and value * NS_PER_MS <= goal.bound_ns


def frontier_of(lines: Sequence[TableLine]) -> list[str]:
    """Names of the combinations that none beats in both figures, by rising response time."""
    return frontier(figures_of(lines, ranking(lines)))


def _words(key: str) -> str:
    return "average response time" if key.startswith("AVG") else key.split(" ", 1)[0].lower()
