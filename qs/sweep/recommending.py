"""Which combination to take: for response time, for throughput, and under bounds; each with the
command that measures it again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qs.base.pareto import frontier
from qs.base.visible import typed_word
from qs.base.words import number
from qs.limit.goals import Goal
from qs.result.columns import BY_SHORT, Column
from qs.result.sweep import Recommendation, SweepLine, SweepSetting
from qs.sweep.grid import Combination
from qs.sweep.table import figures_of, ranking

LATENCY, MOST, BOUNDED, LIMIT = "latency", "throughput", "slo", "limit"
ALIKE = 0.01  # throughputs this close count as equal: the one that answers sooner is taken
NS_PER_MS = 1e6


def recommended(
    lines: Sequence[SweepLine], goals: Sequence[Goal], command: Sequence[str]
) -> list[Recommendation]:
    """For response time, for throughput, and under bounds if there are any. `command` measures the
    task without a combination: qs run --task T --hardware_type H.
    """
    by = ranking(lines)
    figures = figures_of(lines, by)
    if not figures:
        return []
    settings = {line.name: line.setting for line in lines}

    def take(purpose: str, name: str, why: str) -> Recommendation:
        chosen = combination_of(settings[name])
        return _recommendation(purpose, why, chosen, [*command, *chosen.flags()])

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
            else _recommendation(BOUNDED, f"no setting holds {bounds} in closed loop")
        )
    return found


def at_the_limit(
    combination: Combination, rate_per_s: float, goals: Sequence[Goal], command: Sequence[str]
) -> Recommendation:
    """The combination that a limit was found for, with the command that puts that load on it."""
    bounds = ", ".join(map(str, goals))
    why = f"the highest Poisson rate within {bounds}, {number(rate_per_s, 4)} requests/s"
    load = ("--rate", f"{rate_per_s:.6g}", "--duration", "30s")
    words = [*_without(command, "--duration"), *combination.flags(), *load]
    return _recommendation(LIMIT, why, combination, words)


def _without(command: Sequence[str], flag: str) -> list[str]:
    """The words of a command but for a flag and its value."""
    return [
        word
        for at, word in enumerate(command)
        if word != flag and (at == 0 or command[at - 1] != flag)
    ]


def combination_of(setting: SweepSetting) -> Combination:
    return Combination(**setting.to_dict())


def _recommendation(
    purpose: str, why: str, chosen: Combination | None = None, command: Sequence[str] = ()
) -> Recommendation:
    return Recommendation(
        purpose=purpose,
        name=None if chosen is None else chosen.name,
        setting=None if chosen is None else SweepSetting(**chosen.to_dict()),
        why=why,
        command=" ".join(map(typed_word, command)) or None,
    )


def holds(goal: Goal, line: SweepLine) -> bool:
    """Whether a combination met a bound in closed loop; False if there were too few queries to
    tell.
    """
    errors = line.errors or 0
    total = (line.completed or 0) + errors
    if goal.bound_ns is None:
        return bool(total) and errors / total <= (goal.share or 0.0)
    column = BY_SHORT.get(goal.name)
    value = None if column is None else column.of(line)
    return value is not None and value * NS_PER_MS <= goal.bound_ns


def frontier_of(lines: Sequence[SweepLine]) -> list[str]:
    """Names of the combinations that none beats in both figures, by rising response time."""
    return frontier(figures_of(lines, ranking(lines)))


def _words(column: Column) -> str:
    return "average response time" if column.percentile is None else column.short
