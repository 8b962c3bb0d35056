"""What a sweep comes to: one sentence, and whether the bounds that were stated hold."""

from __future__ import annotations

from collections.abc import Sequence

from qs.base.scenarios import CONCURRENCY
from qs.base.words import counted, number, percent
from qs.limit.goals import Goal
from qs.result.columns import BY_SHORT
from qs.result.sweep import LimitEntry, Recommendation, SweepLine
from qs.sweep.grid import Combination
from qs.sweep.plan import SweepPlan
from qs.sweep.recommending import BOUNDED, LATENCY, MOST, combination_of, in_words
from qs.sweep.table import Figures


def without_bounds(recommendations: Sequence[Recommendation], plan: SweepPlan) -> str:
    """For throughput and for response time: one setting for both, or one for each."""
    by = {each.purpose: each for each in recommendations}
    most, least = by.get(MOST), by.get(LATENCY)
    if most is None or least is None:
        return "No setting was measured without a fault"
    if most.name == least.name:
        return f"Take {_named(most, plan)}: {most.why}, and {least.why}{_tied(most)}"
    return (
        f"Take {_named(most, plan)}: {most.why}{_tied(most)}; "
        f"for response time {_named(least, plan)}: {least.why}{_tied(least)}"
    )


def of_the_settings(
    lines: Sequence[SweepLine],
    figures: Figures,
    plan: SweepPlan,
    recommendations: Sequence[Recommendation],
) -> tuple[str, bool | None]:
    """The sentence on a choice among what was measured in closed loop, and whether the bounds hold
    there; None: nothing was measured.
    """
    goals, bounds = plan.goals, in_words(plan.goals)
    chosen = next((each for each in recommendations if each.purpose == BOUNDED), None)
    if chosen is None:
        return "No setting was measured without a fault", None
    if chosen.name is not None:
        line = next(each for each in lines if each.name == chosen.name)
        rate = number(line.items_per_s, 4)
        reached = ", ".join(filter(None, (_reached(goal, line) for goal in goals)))
        who = _named(chosen, plan)
        said = f"Take {who}: {rate} items/s within {bounds} in closed loop ({reached})"
        return said + _in_doubt(line, figures, goals) + _tied(chosen), True
    return f"No setting keeps {bounds} in closed loop{_nearest(lines, figures, goals)}", False


def of_the_search(
    limit: LimitEntry, combination: Combination, plan: SweepPlan
) -> tuple[str, bool | None]:
    """The sentence on the most load, and whether there is any at which the bounds hold; None: it
    was not shown either way.
    """
    bounds, budget = in_words(plan.goals), plan.longer
    who = "the server" if plan.endpoint else combination.words
    over_users = limit.over == CONCURRENCY
    if (limit.users if over_users else limit.rate_per_s) is not None:
        most = _most(limit, combination)
        sure = percent(limit.confidence or 0.0)
        if limit.confirmed:
            take = f"Up to {most}" if plan.endpoint else f"Take {who}: up to {most}"
            return f"{take} within {bounds} ({sure}){_unstable(limit)}", True
        perhaps = f"Perhaps {most}" if plan.endpoint else f"Perhaps {who}: {most}"
        return (
            f"{perhaps} may keep {bounds} ({sure}, not confirmed){_unstable(limit)}; "
            f"to be sure, {budget}"
        ), None
    what = "number of users" if over_users else "rate"
    if limit.refuted:
        return f"{who} keeps {bounds} at no {what}: {limit.reason}", False
    return (f"Too short to tell at what {what} {who} keeps {bounds}; {budget} may show it"), None


def _most(limit: LimitEntry, combination: Combination) -> str:
    rate = f"{number(limit.rate_per_s, 4)} requests/s"
    items = (limit.rate_per_s or 0.0) * combination.batch_size
    more = [rate] if limit.over == CONCURRENCY and limit.rate_per_s else []
    more += [f"{number(items, 4)} items/s"] if combination.batch_size > 1 and items else []
    more += _tokens(limit)
    most = counted(limit.users or 0, "user") if limit.over == CONCURRENCY else rate
    return f"{most} ({', '.join(more)})" if more else most


def _tokens(limit: LimitEntry) -> list[str]:
    """What there is of tokens at the limit."""
    at = (
        point
        for point in limit.curve
        if (point.users == limit.users if limit.users else point.rate_per_s == limit.rate_per_s)
    )
    point = next(at, None)
    if point is None or not point.output_per_s:
        return []
    each = f", {number(point.user_per_s, 3)} for each user" if point.user_per_s else ""
    return [f"{number(point.output_per_s, 4)} tokens/s{each}"]


def _unstable(limit: LimitEntry) -> str:
    return "; the server is unstable" if limit.unstable else ""


def _named(chosen: Recommendation, plan: SweepPlan) -> str:
    assert chosen.setting is not None
    return plan.in_words(combination_of(chosen.setting))


def _tied(chosen: Recommendation) -> str:
    return f"; {said}" if (said := chosen.tie) else ""


def _reached(goal: Goal, line: SweepLine) -> str:
    column = BY_SHORT.get(goal.name)
    value = None if column is None else column.of(line)
    return "" if value is None else f"{goal.name} {number(value)} ms"


def _in_doubt(line: SweepLine, figures: Figures, goals: Sequence[Goal]) -> str:
    """What is said of a response time whose interval reaches over its bound."""
    half = line.ranked_half_width_ms
    for goal in goals:
        value = figures.by.of(line)
        if goal.name != figures.by.short or goal.bound_ns is None or half is None or value is None:
            continue
        if value + half > goal.bound_ns / 1e6:
            known = f"{number(value)} ± {number(half, 2)} ms"
            return f"; its {goal.name} of {known} is not told from the bound"
    return ""


def _nearest(lines: Sequence[SweepLine], figures: Figures, goals: Sequence[Goal]) -> str:
    """The setting that comes nearest to the first bound on a time."""
    for goal in goals:
        column = BY_SHORT.get(goal.name)
        if column is None or goal.bound_ns is None:
            continue
        known = [(value, line) for line in lines if line.valid and (value := column.of(line))]
        if known:
            value, line = min(known, key=lambda each: each[0])
            return f"; the nearest is {line.name} with {goal.name} of {number(value)} ms"
    return ""
