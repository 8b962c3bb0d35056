"""The section of the result: what was swept, what came out, and what to take."""

from __future__ import annotations

from qs.base.scenarios import CONCURRENCY
from qs.limit import Limit
from qs.result.sweep import LimitEntry, SweepEntry
from qs.sweep.again import Again
from qs.sweep.answering import of_the_search, of_the_settings, without_bounds
from qs.sweep.grid import Combination
from qs.sweep.interactivity import interactivity
from qs.sweep.plan import SweepPlan
from qs.sweep.recommending import after_the_search, frontier_of, recommended, within
from qs.sweep.table import Table, with_intervals

# What a search over concurrency calls its figures.
USERS = {
    "rate_per_s": "users",
    "holds_per_s": "holds_users",
    "fails_per_s": "fails_users",
    "likely_per_s": "likely_users",
}


def summary(
    plan: SweepPlan,
    table: Table,
    again: Again,
    limit: Limit | None = None,
    limited: Combination | None = None,
) -> SweepEntry:
    """As far as the sweep has come. `limited` is the combination that a limit was looked for
    with.
    """
    lines = table.lines()
    figures = table.figures(lines)
    lines = with_intervals(lines, figures)
    if plan.goals:
        kept = within(lines, figures, plan.goals)
        lines = [line.changed(within=line.name in kept) for line in lines]
    found = recommended(lines, figures, plan.goals, again)
    met: bool | None = None
    entry = None
    if limit is not None and limited is not None:
        entry = limit_entry(limit, limited.name)
        found = after_the_search(found, limit, limited, plan, again)
        answer, met = of_the_search(entry, limited, plan)
    elif plan.goals:
        answer, met = of_the_settings(lines, figures, plan, found)
        met = None if plan.searches else met
    else:
        answer = without_bounds(found, plan)
    return SweepEntry(
        axes=plan.axes.to_dict(),
        method=plan.method,
        ranked_by=figures.by.key,
        table=lines,
        pareto=frontier_of(lines),
        recommendations=found,
        goals=[str(goal) for goal in plan.goals],
        slo_met=met,
        answer=answer,
        limit=entry,
        interactivity=interactivity(lines, entry),
    )


def limit_entry(limit: Limit, setting: str) -> LimitEntry:
    """As the result has it. `setting` is what it was looked for with."""
    plain = limit.to_dict(trials=False)
    if limit.over == CONCURRENCY:
        for name, users in USERS.items():
            plain[users] = plain.pop(name)
        points = [*plain["points"], *plain["curve"]]
        points += [plain["confirmation"]] if plain["confirmation"] else []
        for point in points:
            point["users"], point["rate_per_s"] = point["rate_per_s"], point["answered_per_s"]
        at = (point for point in plain["points"] if point["users"] == plain["users"])
        plain["rate_per_s"] = next((point["rate_per_s"] for point in at), None)
    return LimitEntry(setting=setting, **plain)
