"""What a run over nodes is asked for, checked before anything starts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from qs.engine.checks import choice, faults_of, is_finite, number, shown
from qs.engine.conduct.progress import OnProgress
from qs.engine.conduct.sendable import checked, faults_of_call
from qs.engine.distributed.splitting.shares import faults_over, whole_of
from qs.engine.distributed.targets import NodesTarget
from qs.engine.errors import PlanError
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import Factory, RunPlan
from qs.engine.workers.target import is_async

# A node of which nothing is heard for so long is lost.
SILENT_S = 10.0
ON_LOSS = ("continue", "stop", "replace")


@dataclass(frozen=True)
class Manner:
    """How a run is to be led: the options of `Nodes.run`."""

    on_loss: str
    on_progress: OnProgress | None
    interrupt: asyncio.Event
    keep_columns: bool
    beside: AbstractContextManager[object]
    silent_s: float


def checked_plan(
    plan: RunPlan | Scenario, target: Any, samples: Sequence[Any] | None, of: int, manner: Manner
) -> RunPlan:
    """The plan of the whole, if it can be run over so many nodes. Raises PlanError with all
    faults.
    """
    if not isinstance(plan, RunPlan):
        if not hasattr(plan, "plan"):
            must_be = "it must be a RunPlan or a scenario"
            raise PlanError([f"plan: {shown(plan)} is not allowed, {must_be}"])
        plan = plan.plan()
    found = plan.faults()
    if not found:
        if is_async(target) and plan.pool.kind != "async":
            plan = replace(plan, pool=replace(plan.pool, kind="async"))
        found = faults_over(plan, of)
    # What the nodes' objects make needs no sending; the samples do.
    sent = Factory(target.method) if isinstance(target, NodesTarget) else target
    found += faults_of(
        choice("on_loss", manner.on_loss, ON_LOSS),
        number(
            "silent_s",
            manner.silent_s,
            is_finite(manner.silent_s) and 0 < manner.silent_s <= SILENT_S,
            f"above 0 and at most {SILENT_S:g} s",
        ),
    )
    found += faults_of_call(sent, samples)
    if found:
        raise PlanError(found)
    checked(sent, samples)
    return whole_of(plan, of)
