"""What a server of a language model gives, against what each user gets of it: every load that was
measured, in closed loop and by a search, and those that no other load beats in both.
"""

from __future__ import annotations

from collections.abc import Sequence

from qs.base.pareto import frontier
from qs.base.words import counted, number
from qs.limit.judging import FAILS, HOLDS
from qs.result.sweep import InteractivityPoint, LimitEntry, SweepLine


def interactivity(lines: Sequence[SweepLine], limit: LimitEntry | None) -> list[InteractivityPoint]:
    """By rising tokens/s of all users; empty where no tokens were counted."""
    found = [*_of_the_settings(lines), *(_of_the_search(limit) if limit else ())]
    known = {
        at: (point.output_per_s, 1.0 / point.user_per_s)
        for at, point in enumerate(found)
        if point.output_per_s and point.user_per_s
    }
    best = set(frontier(known))
    points = [found[at].changed(pareto=at in best) for at in known]
    return sorted(points, key=lambda point: (point.output_per_s or 0.0, point.load))


def _of_the_settings(lines: Sequence[SweepLine]) -> list[InteractivityPoint]:
    """Each number of users in closed loop."""
    return [
        InteractivityPoint(
            load=counted(line.setting.clients, "user") if line.setting.clients else line.name,
            users=line.setting.clients,
            rate_per_s=line.items_per_s,
            output_per_s=line.output_per_s,
            user_per_s=line.user_per_s,
            good_per_s=line.good_per_s,
            within=line.within,
        )
        for line in lines
        if line.valid
    ]


def _of_the_search(limit: LimitEntry) -> list[InteractivityPoint]:
    """Each load of the search; users that were measured in closed loop as well are two points."""
    return [
        InteractivityPoint(
            load=counted(point.users, "user")
            if point.users
            else f"{number(point.rate_per_s, 4)} requests/s",
            users=point.users,
            rate_per_s=point.rate_per_s,
            output_per_s=point.output_per_s,
            user_per_s=point.user_per_s,
            good_per_s=point.good_per_s,
            within={HOLDS: True, FAILS: False}.get(point.verdict),
        )
        for point in limit.curve
    ]
