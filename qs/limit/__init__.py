"""The highest rate at which stated bounds hold, found by measuring: `find_limit` awaits trials, and
knows nothing about how they are made.

Left out: what a trial is made on (its target, pool and host), the command line, files and pictures.
"""

from __future__ import annotations

from qs.limit.goals import Goal, parse_goal, parse_goals
from qs.limit.limit import Limit, RatePoint
from qs.limit.search import find_limit
from qs.limit.settings import LimitSettings
from qs.limit.step import Step
from qs.limit.trial import Trial
from qs.limit.trial_plan import TrialPlan

__all__ = [
    "Goal",
    "Limit",
    "LimitSettings",
    "RatePoint",
    "Step",
    "Trial",
    "TrialPlan",
    "find_limit",
    "parse_goal",
    "parse_goals",
]
