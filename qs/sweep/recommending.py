"""Which combination to take: for response time, for throughput, and under bounds; which others may
be as good, as far as the trials tell; each with the command that measures it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from qs.base.pareto import frontier
from qs.base.scenarios import CONCURRENCY
from qs.base.words import number
from qs.limit.goals import ERRORS, GOODPUT, Goal, of_the_run, with_implied
from qs.limit.limit import Limit
from qs.limit.trial_plan import load_words
from qs.result.columns import BY_SHORT, Column
from qs.result.sweep import Recommendation, SweepLine, SweepSetting
from qs.sweep.again import Again
from qs.sweep.grid import Combination
from qs.sweep.plan import SweepPlan
from qs.sweep.table import Figures, figures_of, ranking
from qs.sweep.telling import Known, candidates, repeats_that_tell

LATENCY, MOST, BOUNDED, LIMIT = "latency", "throughput", "slo", "limit"
ALIKE = 0.01  # throughputs this close count as equal: the one that answers sooner is taken
NS_PER_MS = 1e6
# What tells settings apart: so many repeats, and trials at least this long.
REPEATS, LEAST_S = (5, 10, 20, 30), 1.0
LONGER = 4  # times as long, where a trial was too short for an interval


@dataclass(frozen=True)
class _Choice:
    """A purpose's settings, by what they are chosen for."""

    figures: Mapping[str, Known]
    most: bool
    # What chooses among those that count as equal.
    other: Callable[[str], float]

    def best(self) -> str:
        """Of those within ALIKE of the best one, that which is better in the other figure."""
        values = {name: each.value for name, each in self.figures.items()}
        if not self.most:
            return min(values, key=lambda name: (values[name], self.other(name)))
        most = max(values.values())
        near = [name for name, value in values.items() if value >= most * (1 - ALIKE)]
        return min(near, key=self.other)


def recommended(
    lines: Sequence[SweepLine], figures: Figures, goals: Sequence[Goal], again: Again
) -> list[Recommendation]:
    """For response time, for throughput, and under bounds if there are any."""
    if not figures.throughput:
        return []
    by, rates, times = figures.by, figures.throughput, figures.times
    settings = {line.name: combination_of(line.setting) for line in lines}
    trials = {line.name: line.trials or 1 for line in lines}

    def take(purpose: str, choice: _Choice, why: Callable[[str], str]) -> Recommendation:
        name = choice.best()
        tied = candidates(choice.figures, choice.most)
        tied = tied if len(tied) > 1 else []
        if tied and name not in tied:
            tied = [name, *tied]
        return _recommendation(
            purpose,
            why(name),
            settings[name],
            again.setting(settings[name]),
            tied,
            _telling(tied, choice.figures, settings, trials, again),
        )

    def fastest(purpose: str, names: Collection[str], why: str) -> Recommendation:
        choice = _Choice(
            {name: rates[name] for name in rates if name in names},
            True,
            lambda name: times[name].value,
        )
        return take(purpose, choice, lambda name: f"{why}, {_said(rates[name], 'items/s', 4)}")

    quickest = _Choice(times, False, lambda name: -rates[name].value)
    found = [
        take(
            LATENCY, quickest, lambda name: f"the lowest {_words(by)}, {_said(times[name], 'ms')}"
        ),
        fastest(MOST, rates, "the highest throughput"),
    ]
    if goals:
        bounds = in_words(goals)
        holding = within(lines, figures, goals)
        found.append(
            fastest(BOUNDED, holding, f"the highest throughput within {bounds} in closed loop")
            if holding
            else _recommendation(BOUNDED, f"no setting was seen to keep {bounds} in closed loop")
        )
    return found


def within(lines: Sequence[SweepLine], figures: Figures, goals: Sequence[Goal]) -> list[str]:
    """The settings that keep all the bounds in closed loop."""
    return [line.name for line in lines if line.name in figures.throughput and keeps(goals, line)]


def keeps(goals: Sequence[Goal], line: SweepLine) -> bool:
    """Whether a setting keeps all the bounds in closed loop."""
    judged = [
        goal for goal in of_the_run(with_implied(goals)) if goal.name != ERRORS or not goal.implied
    ]
    return all(holds(goal, line) for goal in judged)


def after_the_search(
    found: Sequence[Recommendation],
    limit: Limit,
    combination: Combination,
    plan: SweepPlan,
    again: Again,
) -> list[Recommendation]:
    """With what the search for a limit came to: the rate that it found, and nothing that it
    refuted.
    """
    if limit.rate_per_s is not None:
        return [*found, _at_the_limit(combination, limit, plan, again)]
    if not limit.refuted:
        return list(found)
    who = "the server" if plan.endpoint else combination.name
    what = "number of users" if limit.over == CONCURRENCY else "rate of Poisson arrivals"
    why = f"{who} keeps {in_words(plan.goals)} at no {what} that was tried"
    return [_recommendation(BOUNDED, why) if each.purpose == BOUNDED else each for each in found]


def _at_the_limit(
    combination: Combination, limit: Limit, plan: SweepPlan, again: Again
) -> Recommendation:
    """The combination that a limit was found for, with the command that puts that load on it."""
    load = limit.rate_per_s or 0.0
    if limit.over == CONCURRENCY:
        most, chosen = "the most users", replace(combination, clients=round(load))
        command = again.users(chosen)
    else:
        most, chosen = "the highest Poisson rate", combination
        command = again.rate(combination, load)
    why = f"{most} within {in_words(plan.goals)}, {load_words(limit.over, load)}"
    return _recommendation(LIMIT, why, chosen, command)


def in_words(goals: Sequence[Goal]) -> str:
    """p99 <= 50 ms and errors <= 0.1 %."""
    return " and ".join(goal.words for goal in goals)


def combination_of(setting: SweepSetting) -> Combination:
    return Combination(**setting.to_dict())


def holds(goal: Goal, line: SweepLine) -> bool:
    """Whether a combination met a bound in closed loop; False if there were too few queries to
    tell.
    """
    if goal.limit is not None or goal.name == GOODPUT:
        return line.held.get(goal.name.replace("_", " "), False)
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


def _recommendation(
    purpose: str,
    why: str,
    chosen: Combination | None = None,
    command: str | None = None,
    tied: Sequence[str] = (),
    tell_apart: str | None = None,
) -> Recommendation:
    return Recommendation(
        purpose=purpose,
        name=None if chosen is None else chosen.name,
        setting=None if chosen is None else SweepSetting(**chosen.to_dict()),
        why=why,
        command=command,
        not_told_apart=list(tied),
        tell_apart=tell_apart,
    )


def _telling(
    tied: Sequence[str],
    figures: Mapping[str, Known],
    settings: Mapping[str, Combination],
    trials: Mapping[str, int],
    again: Again,
) -> str | None:
    """The command that would tell these settings apart, if they differ as much as measured: as many
    repeats as that takes, or if a trial was too short to show how it varies, longer ones.
    """
    if not tied:
        return None
    seconds = max(again.seconds or LEAST_S, LEAST_S)
    done = max(trials[name] for name in tied)
    if any(math.isinf(figures[name].variance) for name in tied):
        return again.tell(
            [settings[name] for name in tied], max(done, REPEATS[0]), LONGER * seconds
        )
    needed = repeats_that_tell(figures, tied, done)
    # What they differ by is itself uncertain: half as much again.
    least = max(1.5 * needed, done + 2)
    repeats = next((each for each in REPEATS if each >= least), max(REPEATS[-1], done + 2))
    return again.tell([settings[name] for name in tied], repeats, seconds)


def _said(figure: Known, unit: str, digits: int | None = None) -> str:
    """96,619 items/s ± 3.1 %."""
    half = figure.half_width
    reach = (
        "" if half is None or not figure.value else f" ± {number(100 * half / figure.value, 2)} %"
    )
    return f"{number(figure.value, digits)} {unit}{reach}"


def _words(column: Column) -> str:
    return "average response time" if column.percentile is None else column.short
