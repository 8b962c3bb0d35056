"""Nodes that are open: a process on each, an object in it that makes targets, calls of that object,
and runs of plans over all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.conduct.progress import OnProgress
from qs.engine.distributed.errors import NodeLost, NodesError
from qs.engine.distributed.leading.asked import SILENT_S, Manner
from qs.engine.distributed.leading.leading import Leading
from qs.engine.distributed.leading.open_node import FAULTS, Node, names_of, none_left
from qs.engine.distributed.leading.tasks import all_of, end_all, in_turn
from qs.engine.distributed.places.node_process import PRINTED
from qs.engine.distributed.places.places import Placed, Places, Shipped
from qs.engine.distributed.talking.link import Link
from qs.engine.distributed.talking.links import Links
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import Factory, RunPlan
from qs.engine.result import ClockReading, RunResult
from qs.engine.running import NOTHING_BESIDE

NOTHING_SHIPPED = Shipped()
# How long a node process may take from its start until it has connected: importing takes a second,
# on a busy machine ten.
CONNECT_S = 60.0
# A clock is read so often when a node joins; then twice, the second time while everything on the
# way is awake, and again after so long; of all nodes together so often a second at most.
ROUND_TRIPS = 16
AGAIN = 2
CLOCK_EVERY_S = 0.5
CLOCKS_PER_S = 200
# So many nodes are started at a time.
AT_A_TIME = 32
# How long nodes may take to end by themselves, and their places to end them.
CLOSE_S = 15.0
PLACES_CLOSE_S = 20.0

# What a node is asked, given its number; a node that joins later is asked the same.
Question = Callable[[Node, int], Awaitable[Any]]
Joining = Callable[[int, Callable[..., Awaitable[Any]]], Awaitable[None]]


class Nodes:
    """An open set of nodes; use it with `async with`. Nodes are known by their number in `names`.

    A node that was lost stays so: later runs go over the others, and name it.
    """

    def __init__(
        self,
        places: Places,
        say: Callable[[str], None] = lambda line: None,
        interrupt: asyncio.Event | None = None,
    ):
        self._places = places
        self._say = say
        self._interrupt = interrupt or asyncio.Event()
        self._members: list[Node] = []
        self._known: dict[int, Node] = {}  # by the number of their places; those of before too
        self._asked: list[Question] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._leading: Leading | None = None
        # Awaited for a node that takes the place of a lost one, with the number of that and with
        # what calls its object.
        self.joining: Joining | None = None

    async def __aenter__(self) -> Nodes:
        """Raises NodesError, also where an interrupt comes first."""
        opening = asyncio.ensure_future(self._open())
        interrupted = asyncio.ensure_future(self._interrupt.wait())
        try:
            await asyncio.wait({opening, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await end_all([opening])
            raise
        finally:
            await end_all([interrupted])
        if not opening.done():
            await end_all([opening])
            raise NodesError("interrupted before the nodes were open")
        opening.result()
        return self

    async def _open(self) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(in_time, self._places.close, PLACES_CLOSE_S)
            placed = await self._places.open()
            if not placed:
                raise NodesError("there is no node to run on")
            self._links = await stack.enter_async_context(Links(self._places.address))
            stack.push_async_callback(self._close)
            self._members = [Node(*each) for each in zip(placed, names_of(placed))]
            self._begin(self._watch_places())
            self._say(f"starting {len(placed)} node{'s' * (len(placed) > 1)}")
            await in_turn([partial(self._join, node) for node in self._members], AT_A_TIME)
            self._stack = stack.pop_all()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends what runs on the nodes; at once, if it is left by an interrupt."""
        if kind is not None and not issubclass(kind, Exception):
            for node in self._known.values():
                if not node.lost:
                    node.link.kill("the driver was interrupted")
        await self._stack.aclose()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the hosts; with a number behind it where several have the same."""
        return tuple(node.name for node in self._members)

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Where they are."""
        return tuple(node.placed for node in self._members)

    @property
    def facts(self) -> tuple[dict[str, Any], ...]:
        """What each node told of itself: see qs.engine.distributed.talking.facts."""
        return tuple(node.link.facts for node in self._members)

    @property
    def clocks(self) -> tuple[ClockReading | None, ...]:
        """How each node's clock stands to this one now; None of a lost node."""
        now_ns = MONOTONIC.now_ns()
        return tuple(
            None if node.lost else node.link.clock.reading(now_ns) for node in self._members
        )

    @property
    def lost(self) -> dict[int, str]:
        """The nodes that were lost, and why."""
        return {number: node.lost for number, node in enumerate(self._members) if node.lost}

    async def build(
        self, place: Factory, deadline_s: float | None = None, *, on_loss: str = "stop"
    ) -> None:
        """Make an object in each node's process, in place of one of before; if it has `__aenter__`
        and `__aexit__` they are awaited. Raises the first fault of any, named after its node
        (HostError, HostTimeout, NodeLost); with `on_loss` other than "stop" such nodes are lost,
        and it raises only if none is left.
        """
        self._asked.clear()
        await self._ask(lambda node, number: node.link.build(place, deadline_s), on_loss)

    async def call(
        self,
        method: str,
        deadline_s: float | None = None,
        *,
        each: Callable[[int], dict[str, Any]] | None = None,
        on_loss: str = "stop",
        again: bool = True,
        **kwargs: Any,
    ) -> list[Any]:
        """Call a method of each node's object at the same time, and return their answers by number
        (None of a lost node); `each` gives further arguments by number. Arguments are pickled,
        answers are plain data. Faults are as those of `build`.

        A node that takes the place of a lost one in a run is asked the same before, unless `again`
        is false.
        """

        def ask(node: Node, number: int) -> Awaitable[Any]:
            more = {} if each is None else each(number)
            return node.link.call(method, deadline_s, **kwargs, **more)

        return await self._ask(ask, on_loss, again)

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
        # a node of which nothing is heard for so long is lost; at most SILENT_S
        silent_s: float = SILENT_S,
    ) -> RunResult:
        """Run a plan, or a scenario's, over all nodes: each has a part of it, and the result is
        that of the whole, with a part for each node in `nodes`.

        The target is a Factory, a function of a module that the nodes have, or a NodesTarget.
        Raises PlanError with all faults before anything starts (a plan that cannot be split among
        them), and the first fault of a node that cannot build, named after it, where `on_loss` is
        "stop" or no node is left.
        """
        if self._leading is not None:
            raise RuntimeError("a run goes on over these nodes; await it first, or open others")
        manner = Manner(
            on_loss, on_progress, interrupt or asyncio.Event(), keep_columns, beside, silent_s
        )
        self._leading = Leading(self._members, plan, target, samples, manner, self._replacement)
        try:
            return await self._leading.lead()
        finally:
            self._leading = None

    async def _join(self, node: Node) -> None:
        """Start a node process, wait for it, and read its clock. Raises NodesError."""
        self._known[node.number] = node
        connecting = asyncio.ensure_future(self._connected(node))
        ended = asyncio.ensure_future(node.ended.wait())
        try:
            await asyncio.wait([connecting, ended], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                printed = f"{PRINTED}{node.log}" if node.log else ""
                why = f"it ended before it had connected: {node.how}{printed}"
                raise NodeLost(why, node.name)
            node.link = connecting.result()
        except NodeLost as fault:
            raise fault if fault.name else node.named(fault) from fault
        finally:
            await end_all([connecting, ended])
        self._begin(self._mourn(node))
        try:
            await node.link.synchronise(ROUND_TRIPS)
        except NodeLost as fault:
            raise node.named(fault) from fault
        self._begin(self._read_clock(node))

    async def _connected(self, node: Node) -> Link:
        await self._places.start(node.placed, self._links.where_of(node.number))
        return await self._links.connected(node.number, CONNECT_S)

    async def _ask(self, ask: Question, on_loss: str, again: bool = True) -> list[Any]:
        """Ask all nodes that live; remembered for those that join later, if it is `again`."""
        if again:
            self._asked.append(ask)
        living = [(number, node) for number, node in enumerate(self._members) if not node.lost]
        if not living:
            raise NodesError(none_left((node.name, node.lost) for node in self._members))
        answers: list[Any] = [None] * len(self._members)

        async def one(number: int, node: Node) -> None:
            try:
                answers[number] = await ask(node, number)
            except FAULTS as fault:
                if on_loss == "stop":
                    raise node.named(fault) from fault
                node.link.kill(str(fault))

        await all_of([one(*each) for each in living])
        if not any(not node.lost for node in self._members):
            raise NodesError(none_left((node.name, node.lost) for node in self._members))
        return answers

    async def _replacement(self, lost: Node) -> Node | None:
        """A node in the place of a lost one, which has been asked all that the others were; None if
        there is no place for it. Raises what starting it does.
        """
        number = self._members.index(lost)
        # Only what has ended can be told from what is in use: a machine may take it over itself.
        await lost.word()
        await self._places.end(lost.number)
        placed = await self._places.spare(list(self._known))
        if placed is None:
            return None
        name = names_of([*(node.placed for node in self._known.values()), placed])[-1]
        node = Node(placed, name)
        try:
            await self._join(node)
            for ask in self._asked:
                await ask(node, number)
            if self.joining is not None:
                await self.joining(number, node.link.call)
        except BaseException:
            node.give_up("it could not take another's place")
            await self._places.end(node.number)
            raise
        self._members[number] = node
        return node

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch_places(self) -> None:
        while True:
            number, how = await self._places.lost()
            if number in self._known:
                self._known[number].end(how)

    async def _mourn(self, node: Node) -> None:
        """Have what is left of a lost node ended. Its place may say soon how its process ended."""
        await node.link.until_lost()
        await node.word()
        await self._places.end(node.number)

    async def _read_clock(self, node: Node) -> None:
        """Now and then, so that it is known how a clock drifts."""
        try:
            while True:
                await asyncio.sleep(max(CLOCK_EVERY_S, len(self._members) / CLOCKS_PER_S))
                await node.link.synchronise(AGAIN)
        except NodeLost:
            pass

    async def _close(self) -> None:
        await end_all(self._tasks)
        links = [node.link for node in self._known.values() if hasattr(node, "link")]
        closing = [asyncio.ensure_future(link.close()) for link in links]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_S)
        await end_all(closing)


async def in_time(function: Callable[[], Awaitable[None]], limit_s: float) -> None:
    """Await it, but not for longer than that."""
    try:
        await asyncio.wait_for(function(), limit_s)
    except asyncio.TimeoutError:
        pass


def open_nodes(
    nodes: int | str | Places = "all",
    *,
    ray: str | None = None,
    shipped: Shipped = NOTHING_SHIPPED,
    say: Callable[[str], None] = lambda line: None,
    interrupt: asyncio.Event | None = None,
) -> Nodes:
    """Nodes to run on: a number of them, "all" of a cluster, those with a "label=value", or Places.

    ray      the cluster's address ("host:port"); None: RAY_ADDRESS, else a cluster at hand, else
             one that is started on this machine and ended again
    shipped  what the nodes need of this machine's files: a Shipped
    say      told, a line each, what takes long
    interrupt  set it to give up opening them

    Opened by `async with`, which raises NodesError where they cannot be had.
    """
    if isinstance(nodes, (int, str)):
        from qs.engine.distributed.ray.keeper import RayPlaces

        return Nodes(RayPlaces(nodes, ray, shipped, say), say, interrupt)
    return Nodes(nodes, say, interrupt)
