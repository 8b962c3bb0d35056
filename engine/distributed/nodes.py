"""Nodes that are open: a process on each, an object in it that makes targets, calls of that object,
and runs of plans over all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from qs.engine.conduct.progress import OnProgress
from qs.engine.distributed.places import Places, Shipped
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import Factory, RunPlan
from qs.engine.result import ClockReading, RunResult
from qs.engine.running import NOTHING_BESIDE

# A node of which nothing is heard for so long is lost.
SILENT_S = 10.0
NOTHING_SHIPPED = Shipped()
ON_LOSS = ("continue", "stop", "replace")


class Nodes:
    """An open set of nodes; use it with `async with`. Nodes are known by their number in `names`.

    A node that was lost stays so: later runs go over the others, and name it.
    """

    async def __aenter__(self) -> Nodes:
        """Raises NodesError."""
        raise NotImplementedError

    async def __aexit__(self, *_: object) -> None:
        """Ends what runs on the nodes."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Of the hosts; with a number behind it where several have the same."""
        raise NotImplementedError

    @property
    def facts(self) -> tuple[dict[str, Any], ...]:
        """What each node told of itself: see qs.engine.distributed.facts."""
        raise NotImplementedError

    @property
    def clocks(self) -> tuple[ClockReading | None, ...]:
        """How each node's clock stands to this one now; None of a lost node."""
        raise NotImplementedError

    @property
    def lost(self) -> dict[int, str]:
        """The nodes that were lost, and why."""
        raise NotImplementedError

    async def build(self, place: Factory, *, on_loss: str = "stop") -> None:
        """Make an object in each node's process, in place of one of before; if it has `__aenter__`
        and `__aexit__` they are awaited. Raises the first fault of any, named after its node
        (HostError, HostTimeout, NodeLost); with `on_loss` other than "stop" such nodes are lost,
        and it raises only if none is left.
        """
        raise NotImplementedError

    async def call(
        self,
        method: str,
        deadline_s: float,
        *,
        each: Callable[[int], dict[str, Any]] | None = None,
        on_loss: str = "stop",
        **kwargs: Any,
    ) -> list[Any]:
        """Call a method of each node's object at the same time, and return their answers by number
        (None of a lost node); `each` gives further arguments by number. Arguments are pickled,
        answers are plain data. Faults are as those of `build`.
        """
        raise NotImplementedError

    async def run(
        self,
        plan: RunPlan | Scenario,
        target: Any,
        samples: Sequence[Any] | None = None,
        *,
        # what a lost node means: the others go on, all end, or another takes over what is left
        on_loss: str = "continue",
        # as of `run_async`; its progress has `nodes`
        on_progress: OnProgress | None = None,
        interrupt: asyncio.Event | None = None,
        keep_columns: bool = False,
        # entered and left on this machine
        beside: AbstractContextManager[object] = NOTHING_BESIDE,
        silent_s: float = SILENT_S,
    ) -> RunResult:
        """Run a plan, or a scenario's, over all nodes: each has a part of it, and the result is
        that of the whole, with a part for each node in `nodes`.

        The target is a Factory, a function of a module that the nodes have, or a NodesTarget.
        Raises PlanError with all faults before anything starts (a plan that cannot be split among
        them), and the first fault of a node that cannot build, named after it, where `on_loss` is
        "stop" or no node is left.
        """
        raise NotImplementedError


def open_nodes(
    nodes: int | str | Places = "all",
    *,
    ray: str | None = None,
    shipped: Shipped = NOTHING_SHIPPED,
    say: Callable[[str], None] = lambda line: None,
) -> Nodes:
    """Nodes to run on: a number of them, "all" of a cluster, those with a "label=value", or Places.

    ray      the cluster's address ("host:port"); None: RAY_ADDRESS, else a cluster at hand, else
             one that is started on this machine and ended again
    shipped  what the nodes need of this machine's files: a Shipped
    say      told, a line each, what takes long

    Opened by `async with`, which raises NodesError where they cannot be had.
    """
    raise NotImplementedError
