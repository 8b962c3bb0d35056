"""The highest rate at which stated bounds hold, found by measuring: `find_limit` awaits trials, and
knows nothing of how they are made.

Left out: what a trial is made on (its target, pool and host), files but the picture, and the
command line.
"""

from __future__ import annotations

from qs.limit.goals import Goal, parse_goal, parse_goals
from qs.limit.limit import Limit, Point
from qs.limit.observation import Observation
from qs.limit.search import Step, find_limit
from qs.limit.settings import LimitSettings, drain_s, interval_s
from qs.limit.trial import Trial

__all__ = [
    "Goal",
    "Limit",
    "LimitSettings",
    "Observation",
    "Point",
    "Step",
    "Trial",
    "drain_s",
    "find_limit",
    "interval_s",
    "parse_goal",
    "parse_goals",
]
