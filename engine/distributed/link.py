"""The driver's side of one node: what it is asked to do, and what it tells.

A node is not trusted: it may lie, flood, hang or go silent. Then this link is lost, with the
reason, and no other is held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from qs.engine.distributed.places import Where
from qs.engine.distributed.updates import RunOptions, Update
from qs.engine.outcome import Ending
from qs.engine.plan import Factory, RunPlan
from qs.engine.result import RunResult

DEFAULTS = RunOptions()


class Link:
    """A node that has connected and proved that it knows the secret. Its calls raise NodeLost once
    it is lost.
    """

    number: int
    facts: dict[str, Any]
    clock: Any  # the Clock of qs.engine.distributed.clocks
    heard_ns: int  # when something was heard of it last, on this process's clock
    updates: asyncio.Queue[Update]  # of the run that is prepared or goes on

    @property
    def lost(self) -> str:
        """Why the node is lost; "" while it is not."""
        raise NotImplementedError

    async def until_lost(self) -> str:
        """Wait until the node is lost, and say why."""
        raise NotImplementedError

    async def build(self, place: Factory, deadline_s: float | None = None) -> None:
        """Make an object in the node's process, in place of one of before. Raises HostError with
        what that raised, HostTimeout.
        """
        raise NotImplementedError

    async def call(self, method: str, deadline_s: float | None = None, /, **kwargs: Any) -> Any:
        """Call a method of that object; what it returns has to be plain data. Raises HostError with
        what it raised, and HostTimeout: then, as after a cancelled call, the node is lost unless
        the method was a coroutine and has ended.
        """
        raise NotImplementedError

    async def prepare(
        self,
        share: RunPlan,
        target: Any,
        samples: Sequence[Any] | None = None,
        options: RunOptions = DEFAULTS,
    ) -> None:
        """Build and warm up what a share needs. Raises PlanError, HostError, HostTimeout."""
        raise NotImplementedError

    async def synchronise(self, round_trips: int = 16) -> None:
        """Read the node's clock so many times, as fast as it answers."""
        raise NotImplementedError

    def go(self, start_ns: int) -> None:
        """Start what was prepared at an instant on the node's clock."""
        raise NotImplementedError

    def end(self, why: Ending) -> None:
        """End the run in order, as the rule `why` would have ended it; its result says so. An
        INTERRUPT may follow another ending. A run that is still prepared ends as one that was
        interrupted before its start.
        """
        raise NotImplementedError

    async def finish(self) -> RunResult:
        """Wait for the run's end: the node's own result. Raises what `prepare` raises."""
        raise NotImplementedError

    def kill(self, why: str = "it was ended") -> None:
        """Cut the node off; it ends with all that it has started, and is lost."""
        raise NotImplementedError

    async def close(self) -> None:
        """Tell the node to end, and wait a moment for that."""
        raise NotImplementedError


class Links:
    """Where nodes connect to, for as long as it is entered."""

    def __init__(self, address: str, silent_s: float = 10.0):
        """`address` is this machine's, as nodes reach it; only that is listened on. A node of which
        nothing is heard for `silent_s` is lost.
        """
        raise NotImplementedError

    def where_of(self, number: int) -> Where:
        """What the process of this node is to be told. Each has a secret of its own, so that none
        can pass for another; numbers that were not asked for are refused.
        """
        raise NotImplementedError

    async def __aenter__(self) -> Links:
        """Raises OSError if the address cannot be listened on."""
        raise NotImplementedError

    async def __aexit__(self, *_: object) -> None:
        raise NotImplementedError

    async def connected(self, number: int, deadline_s: float) -> Link:
        """Wait for a node to connect. Raises NodeLost if it does not in time, or is refused."""
        raise NotImplementedError
