"""One open node as its driver sees it: where it is, its link, and why it was lost, if it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.places.node_process import PRINTED
from qs.engine.distributed.places.places import Placed
from qs.engine.distributed.talking.link import Link
from qs.engine.errors import HostDied, HostError, HostTimeout, PlanError

# How long to wait for word of how a process ended, once its connection has.
HOW_S = 2.0


class Node:
    """A node that has a place; `link` is there once it has connected."""

    link: Link

    def __init__(self, placed: Placed, name: str):
        self.placed = placed
        self.name = name
        self.ended = asyncio.Event()  # the place says that its process has ended
        self.how = ""  # and how
        self.log = ""  # the end of what it printed then

    @property
    def number(self) -> int:
        """That of its place."""
        return self.placed.number

    @property
    def lost(self) -> str:
        """Why it was lost; "" while it lives. How its process ended by itself says more than that
        its connection did.
        """
        link = getattr(self, "link", None)
        if link is None or link.ended_by_itself or not link.lost:
            return self.how or ("" if link is None else link.lost)
        return link.lost

    def end(self, how: str) -> None:
        """Its process has ended, its place says."""
        self.how, _, self.log = how.partition(PRINTED)
        self.ended.set()
        if hasattr(self, "link"):
            self.link.lose(self.how, by_itself=True)

    def give_up(self, why: str) -> None:
        """Cut it off, if it has connected."""
        if hasattr(self, "link"):
            self.link.kill(why)

    async def word(self) -> None:
        """Wait a moment for word of how its process ended, once its connection has."""
        try:
            await asyncio.wait_for(self.ended.wait(), HOW_S)
        except asyncio.TimeoutError:
            pass

    def named(self, fault: BaseException) -> BaseException:
        """A fault that was seen on it, with its name."""
        if isinstance(fault, NodeLost):
            return NodeLost(self.lost or fault.why, self.name)
        if isinstance(fault, HostError):
            message = f"on node {self.name}: {fault.message}"
            return HostError(fault.kind, message, fault.traceback, fault.classes)
        if isinstance(fault, HostTimeout):
            return HostTimeout(f"on node {self.name}, {fault.what}", fault.limit_s, fault.log_tail)
        if isinstance(fault, HostDied):
            how = f"{fault.exit}, on node {self.name}"
            return HostDied(how, fault.log_tail, fault.status, fault.signal)
        if isinstance(fault, PlanError):
            return PlanError([f"node {self.name}: {each}" for each in fault.faults])
        return fault


# What code on a node, or the node itself, may do to whoever asks something of it.
FAULTS = (NodeLost, HostError, HostTimeout, HostDied, PlanError)


def names_of(placed: Sequence[Placed]) -> list[str]:
    """A name for each place: that of its host, with a number behind it where several have it."""
    same = Counter(each.name for each in placed)
    seen: Counter[str] = Counter()
    taken = {name for name, times in same.items() if times == 1}
    names = []
    for each in placed:
        name = each.name
        while same[each.name] > 1 and (name == each.name or name in taken):
            seen[each.name] += 1
            name = f"{each.name} {seen[each.name]}"
        taken.add(name)
        names.append(name)
    return names


def none_left(lost: Iterable[tuple[str, str]]) -> str:
    """That all are lost, and why: by name."""
    return "; ".join(("no node is left", *(f"node {name}: {why}" for name, why in lost if why)))
