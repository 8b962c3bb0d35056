"""Nodes that are objects in this process, for tests of what is done with nodes: parts of a plan run
at the same time on one event loop, and are put together by adding what tests look at.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from qs.engine import HostError, NodePart, RunPlan, RunResult, Stop, run_async
from qs.engine.distributed import NodeLost, NodesTarget, Shipped, shares_of, words_of


class NodesHere:
    """As qs.engine.distributed.Nodes."""

    def __init__(self, count: int, shipped: Shipped | None = None, machines: int = 1):
        self.names = tuple(f"node-{at + 1}" for at in range(count))
        self.facts = tuple({"machine": str(at % machines)} for at in range(count))
        self.lost: dict[int, str] = {}
        self.places: list[Any] = []
        self.calls: list[str] = []
        self._shipped = shipped
        self.joining: Any = None

    async def __aenter__(self) -> NodesHere:
        return self

    async def __aexit__(self, *_: object) -> None:
        for place in self.places:
            await place.__aexit__(None, None, None)

    async def build(self, place: Any, deadline_s: float = 0.0, *, on_loss: str = "stop") -> None:
        module, _, name = place.reference.partition(":")
        made = getattr(__import__(module, fromlist=[name]), name)
        before = Path.cwd()
        if self._shipped is not None and self._shipped.folder is not None:
            os.chdir(self._shipped.folder)
        try:
            self.places = [made(**place.kwargs) for _ in self.names]
        finally:
            os.chdir(before)
        for each in self.places:
            await each.__aenter__()

    async def call(
        self,
        method: str,
        deadline_s: float,
        *,
        each: Any = None,
        on_loss: str = "stop",
        again: bool = True,
        **kw: Any,
    ) -> list[Any]:
        self.calls.append(method)

        async def one(number: int) -> Any:
            if number in self.lost:
                return None
            more = {} if each is None else each(number)
            try:
                return await getattr(self.places[number], method)(**kw, **more)
            except Exception as fault:
                error = HostError.of(fault)
                said = f"node {self.names[number]}: {error.message}"
                return HostError(error.kind, said, error.traceback, error.classes)

        answers = await asyncio.gather(*map(one, range(len(self.names))))
        for number, answer in enumerate(answers):
            if isinstance(answer, HostError):
                if on_loss == "stop" or len(self.lost) + 1 == len(self.names):
                    raise answer
                self.lost[number] = answer.message
                answers[number] = None
        return answers

    async def run(
        self, plan: RunPlan, target: NodesTarget, samples: Any = None, *, on_loss: str, **how: Any
    ) -> RunResult:
        there = [number for number in range(len(self.names)) if number not in self.lost]
        if not there:
            raise NodeLost("none is left")
        shares = shares_of(plan, len(there))
        options = {name: how.get(name) for name in ("interrupt", "keep_columns")}

        async def one(number: int, share: RunPlan) -> RunResult:
            own = target.of(number, share).kwargs
            made = await getattr(self.places[number], target.method)(**own)
            stop = share.stop
            if not stop.has_end and not share.load.ends:
                stop = Stop(max_duration_s=plan.stop.max_duration_s or 1.0)
            return await run_async(replace(share, part=None, stop=stop), made, **options)

        with how["beside"]:
            results = await asyncio.gather(*map(one, there, shares))
        whole = results[0]
        parts = [
            NodePart(self.names[number], "127.0.0.1", words_of(share, plan), result)
            for number, share, result in zip(there, shares, results, strict=True)
        ]
        for other in results[1:]:
            whole = replace(
                whole,
                completed=whole.completed + other.completed,
                wall_s=max(whole.wall_s, other.wall_s),
                causes=[*whole.causes, *other.causes],
                errors_by_kind=_added(whole.errors_by_kind, other.errors_by_kind),
                first_fault=whole.first_fault or other.first_fault,
                losses=[*whole.losses, *other.losses],
            )
        return replace(whole, nodes=parts)


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
