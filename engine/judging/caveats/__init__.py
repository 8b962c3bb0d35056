"""What could have moved a result, in plain words and with advice. Each rule is a pure function of a
result and its plan.

A caveat does not make a result INVALID; that is for the verdict. It says how far to trust the
number and what to change. Nothing is measured here, and a rule does not judge what it does not know
(None).
"""

from __future__ import annotations

from collections.abc import Callable

from qs.engine.judging.caveats.backlog import behind, held_back, overload
from qs.engine.judging.caveats.cost import (
    collector,
    engine_bound,
    engine_cost,
    late_issue,
    loop_bound,
)
from qs.engine.judging.caveats.load import (
    gil_bound,
    out_of_range,
    slow_warm_up,
    throughput_drift,
    too_few_samples,
)
from qs.engine.judging.caveats.machine import other_load, preempted, steal, throttled
from qs.engine.judging.caveats.nodes import (
    clock,
    nodes_together,
    nodes_unlike,
    slow_node,
    start_skew,
)
from qs.engine.judging.caveats.reading import misread, unread, written
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.ruling import Caveat

CaveatRule = Callable[[RunResult, RunPlan], "Caveat | None"]

# The gravest first.
RULES: tuple[CaveatRule, ...] = (
    engine_bound,
    gil_bound,
    out_of_range,
    unread,
    misread,
    overload,
    behind,
    slow_node,
    held_back,
    loop_bound,
    collector,
    written,
    late_issue,
    start_skew,
    nodes_together,
    nodes_unlike,
    engine_cost,
    slow_warm_up,
    throughput_drift,
    steal,
    other_load,
    throttled,
    preempted,
    clock,
    too_few_samples,
)


def caveats_of(result: RunResult, plan: RunPlan) -> list[Caveat]:
    """All that apply."""
    found = (rule(result, plan) for rule in RULES)
    return [caveat for caveat in found if caveat is not None]
