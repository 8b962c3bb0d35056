"""The setting to take: for response time, for throughput, and under bounds; each with the command
that measures it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from qs.base.pareto import frontier
from qs.base.words import number
from qs.limit.goals import Goal
from qs.sweep.grid import Setting
from qs.sweep.table import Line, figures_of, ranking

LATENCY, THROUGHPUT, BOUNDED, LIMIT = "latency", "throughput", "slo", "limit"
ALIKE = 0.01  # throughputs this near count as equal: the one that answers sooner is taken
NS_PER_MS = 1e6


def recommended(
    lines: Sequence[Line], goals: Sequence[Goal], command: Sequence[str]
) -> list[dict[str, Any]]:
    """[{"for", "name", "setting", "why", "command"}]; `name` is None, and `why` says it, where no
    setting meets the bounds.

    command  what measures the task, without a setting: qs run --task T --hardware_type H
    """
    by = ranking(lines)
    figures = figures_of(lines, by)
    if not figures:
        return []
    of = {line["name"]: line for line in lines}
    quickest = min(figures, key=lambda name: (figures[name][1], -figures[name][0]))
    found = [
        _said(
            LATENCY,
            of[quickest],
            f"the least {_words(by)}, {number(figures[quickest][1])} ms",
            command,
        ),
        _fastest(THROUGHPUT, list(figures), figures, of, "the most throughput", command),
    ]
    if goals:
        bounds = ", ".join(map(str, goals))
        holding = [name for name in figures if all(holds(goal, of[name]) for goal in goals)]
        if holding:
            found.append(
                _fastest(
                    BOUNDED, holding, figures, of, f"the most throughput within {bounds}", command
                )
            )
        else:
            why = f"no setting holds {bounds} in closed loop"
            found.append(
                {"for": BOUNDED, "name": None, "setting": None, "why": why, "command": None}
            )
    return found


def at_the_limit(
    line: Line, rate_per_s: float, goals: Sequence[Goal], command: Sequence[str]
) -> dict[str, Any]:
    """The setting that a limit was found for, with the command that loads it so."""
    setting = Setting.from_dict(line["setting"])
    why = f"the highest Poisson rate within {', '.join(map(str, goals))}, {number(rate_per_s, 4)} requests/s"
    typed = shlex.join(
        [*command, *setting.flags(), "--rate", f"{rate_per_s:.6g}", "--duration", "30s"]
    )
    return {
        "for": LIMIT,
        "name": line["name"],
        "setting": line["setting"],
        "why": why,
        "command": typed,
    }


def holds(goal: Goal, line: Line) -> bool:
    """Whether a setting met a bound in closed loop; not, where there were too few queries to tell."""
    total = line["completed"] + line["errors"]
    if goal.bound_ns is None:
        return bool(total) and line["errors"] / total <= (goal.share or 0.0)
    key = "AVG Latency" if goal.percentile is None else f"P{goal.percentile:g} Latency"
    value = line.get(key)
    return value is not None and value * NS_PER_MS <= goal.bound_ns


def frontier_of(lines: Sequence[Line]) -> list[str]:
    """Names of the settings that none beats in both, by rising response time."""
    return frontier(figures_of(lines, ranking(lines)))


def _fastest(
    purpose: str,
    names: list[str],
    figures: Mapping[str, tuple[float, float]],
    of: Mapping[str, Line],
    why: str,
    command: Sequence[str],
) -> dict[str, Any]:
    most = max(figures[name][0] for name in names)
    near = [name for name in names if figures[name][0] >= most * (1 - ALIKE)]
    chosen = min(near, key=lambda name: figures[name][1])
    return _said(purpose, of[chosen], f"{why}, {number(figures[chosen][0], 4)} items/s", command)


def _said(purpose: str, line: Line, why: str, command: Sequence[str]) -> dict[str, Any]:
    setting = Setting.from_dict(line["setting"])
    typed = shlex.join([*command, *setting.flags()])
    return {
        "for": purpose,
        "name": line["name"],
        "setting": line["setting"],
        "why": why,
        "command": typed,
    }


def _words(key: str) -> str:
    return "average response time" if key.startswith("AVG") else key.split(" ", 1)[0].lower()
