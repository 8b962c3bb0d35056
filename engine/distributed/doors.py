"""The doors: one plan over nodes that are opened for it, blocking or on an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.engine.distributed.nodes import NOTHING_SHIPPED, Nodes
from qs.engine.distributed.places import Places, Shipped
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult


def run_on(
    nodes: int | str | Places | Nodes,
    plan: RunPlan | Scenario,
    target: Any,
    samples: Sequence[Any] | None = None,
    **options: Any,
) -> RunResult:
    """Run a plan over nodes and return what it measured. Blocks; options and errors are those of
    `run_on_async`. Signals do what they do in `qs.engine.run`.
    """
    raise NotImplementedError


async def run_on_async(
    nodes: int | str | Places | Nodes,
    plan: RunPlan | Scenario,
    target: Any,
    samples: Sequence[Any] | None = None,
    *,
    ray: str | None = None,
    shipped: Shipped = NOTHING_SHIPPED,
    **options: Any,
) -> RunResult:
    """Open nodes, run a plan over them, and close them again; open Nodes are used as they are.

    `nodes`, `ray` and `shipped` are those of `open_nodes`, further options those of `Nodes.run`,
    and so are the errors.
    """
    raise NotImplementedError
