"""The doors: one plan over nodes that are opened for it, blocking or on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.leading.nodes import NOTHING_SHIPPED, Nodes, open_nodes
from qs.engine.distributed.places.places import Places, Shipped
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.running import blocking


def run_on(
    nodes: int | str | Places,
    plan: RunPlan | Scenario,
    target: Any,
    samples: Sequence[Any] | None = None,
    **options: Any,
) -> RunResult:
    """Run a plan over nodes and return what it measured. Blocks; options and errors are those of
    `run_on_async`. Signals do what they do in `qs.engine.run`.
    """
    if isinstance(nodes, Nodes):
        raise TypeError("open nodes are of an event loop: await their `run`, or `run_on_async`")
    signalled = asyncio.Event()
    interrupt = options.setdefault("interrupt", signalled)
    try:
        return blocking(
            "distributed.run_on",
            lambda: run_on_async(nodes, plan, target, samples, **options),
            interrupt,
        )
    except NodesError:
        if signalled.is_set():  # before there was anything to keep
            raise KeyboardInterrupt from None
        raise


async def run_on_async(
    nodes: int | str | Places | Nodes,
    plan: RunPlan | Scenario,
    target: Any,
    samples: Sequence[Any] | None = None,
    *,
    ray: str | None = None,
    shipped: Shipped = NOTHING_SHIPPED,
    say: Callable[[str], None] = lambda line: None,
    interrupt: asyncio.Event | None = None,
    **options: Any,
) -> RunResult:
    """Open nodes, run a plan over them, and close them again; open Nodes are used as they are.

    `nodes`, `ray`, `shipped` and `say` are those of `open_nodes`, further options those of
    `Nodes.run`, and so are the errors. Raises NodesError if an interrupt comes before the nodes are
    open.
    """
    if isinstance(nodes, Nodes):
        return await nodes.run(plan, target, samples, interrupt=interrupt, **options)
    opened = open_nodes(nodes, ray=ray, shipped=shipped, say=say, interrupt=interrupt)
    async with opened:
        return await opened.run(plan, target, samples, interrupt=interrupt, **options)
