"""One run over nodes: shares are prepared on all of them at once, begin at one instant, are watched
as one run, and end as one.

    shares -> every node builds and warms up -> common start -> what they tell, merged, meets the
    stop rules -> each node's own result -> one result

Nothing here is in the path of a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.conduct.stopping import StopRules
from qs.engine.distributed.errors import NodeLost, NodesError
from qs.engine.distributed.leading.asked import Manner, checked_plan
from qs.engine.distributed.leading.follower import Follower
from qs.engine.distributed.leading.losing import ANSWER_S, Ended, Losing
from qs.engine.distributed.leading.open_node import FAULTS, Node, none_left
from qs.engine.distributed.leading.parts import whole_result
from qs.engine.distributed.leading.tasks import end_all
from qs.engine.distributed.leading.watching import Whole
from qs.engine.distributed.results.checkpoints import log_of
from qs.engine.distributed.results.updates import RunOptions
from qs.engine.distributed.splitting.late import rest_of
from qs.engine.distributed.splitting.shares import shares_of
from qs.engine.distributed.targets import NodesTarget
from qs.engine.errors import HostError, UnfinishedAnswer
from qs.engine.judging.scenarios import Scenario
from qs.engine.outcome import Ending
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.workers.share import until_ns_of

TICK_S = 0.2
# What comes in within so short a time is looked at once.
GATHER_S = 0.02
LOOKED_AT_PER_S = 10_000  # nodes
# The common start lies so far ahead of the word to start, and at least so many round trips.
AHEAD_S = 0.25
AHEAD_ROUND_TRIPS = 4
# Clocks are read so often more before the start and after the end, within so many seconds.
ROUND_TRIPS = 8
CLOCKS_S = 2.0
# Nodes are heard so often each, and all together so often a second at most.
UPDATE_S = 0.2
UPDATES_PER_S = 1_000
CHECKPOINT_S = 1.0
# A node in another's place begins when it should be ready: after so many times as long as the
# others took, and a moment.
LATER, MOMENT_S = 1.5, 0.5
# So often at most is a share taken over by another node.
MOST_REPLACEMENTS = 3


class Leading:
    """One run over nodes, from its shares to its result."""

    def __init__(
        self,
        nodes: Sequence[Node],
        plan: RunPlan | Scenario,
        target: Any,
        samples: Sequence[Any] | None,
        manner: Manner,
        replacement: Callable[[Node], Awaitable[Node | None]],
    ):
        """`replacement` opens a node in the place of a lost one. Raises PlanError with all faults,
        NodesError where no node is left.
        """
        self._nodes = tuple(nodes)
        living = [node for node in nodes if not node.lost]
        if not living:
            raise NodesError(none_left((node.name, node.lost) for node in nodes))
        self._plan = checked_plan(plan, target, samples, len(living), manner)
        self._target, self._samples, self._manner = target, samples, manner
        self._replacement = replacement
        self._options = RunOptions(
            keep_columns=manner.keep_columns,
            progress=manner.on_progress is not None,
            update_s=max(UPDATE_S, len(living) / UPDATES_PER_S),
            checkpoint_s=max(CHECKPOINT_S, len(living) / UPDATES_PER_S),
        )
        self._of = len(living)
        self.followers: list[Follower] = []
        for node, share in zip(living, shares_of(self._plan, len(living))):
            self._follow(node, share)
        self._whole = Whole(self._plan, self._options.progress)
        self._rules = StopRules(self._plan.stop)
        self._losing = Losing(self._plan, manner.silent_s)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self._opening: set[asyncio.Task] = set()  # nodes in the place of lost ones
        self._prepared_s = 0.0
        self._told_ns = 0
        self._started_at = time.time()
        self.start_ns: int | None = None
        self.ended: Ended | None = None  # as it was decided here

    def _follow(self, node: Node, share: RunPlan, replaces: Follower | None = None) -> Follower:
        log = log_of(self._plan, self._of)
        self.followers.append(Follower(node, share, len(self.followers), log, replaces))
        return self.followers[-1]

    async def lead(self) -> RunResult:
        """The result of the whole. Raises as `Nodes.run` says."""
        self._begin(self._await_interrupt())
        try:
            with ExitStack() as measured:
                if await self._prepared():
                    await self._read_clocks()
                    measured.enter_context(self._manner.beside)
                    self._start()
                await self._watch()
            await self._read_clocks()
            return await self._result()
        except Exception:
            await self._give_up()
            raise
        finally:
            await end_all(self._tasks)
            for each in self.followers:
                if not each.over:
                    each.node.link.kill("its run was given up")

    # Before the start.

    async def _prepared(self) -> bool:
        """Build and warm up on all nodes at once; whether that ended before an interrupt."""
        began = MONOTONIC.now_ns()
        for each in self.followers:
            self._begin(self._prepare(each))
        limit_ns = began + int((self._plan.build_timeout_s + ANSWER_S) * 1e9)
        while not self._all_ready() and self.ended is None:
            await self._nap()
            now = self._look()
            for each in self.followers:
                if not each.ready and not each.over and now > limit_ns:
                    each.node.link.kill("it did not come back from building and warming up")
            self._tell(now)
        if self.ended is None and all(each.lost for each in self.followers):
            raise NodesError(none_left((each.node.name, each.why) for each in self.followers))
        self._prepared_s = (MONOTONIC.now_ns() - began) / 1e9
        return self.ended is None

    def _all_ready(self) -> bool:
        return not self._opening and all(each.ready or each.over for each in self.followers)

    async def _prepare(self, follower: Follower) -> None:
        """Raises why it could not be prepared, named after its node, if that ends the run."""
        target = self._target
        if isinstance(target, NodesTarget):
            target = target.of(follower.number, follower.share)
        try:
            await follower.node.link.prepare(follower.share, target, self._samples, self._options)
        except FAULTS as fault:
            self._lose_to(fault, follower)
            return
        follower.ready, follower.phase = True, "warmup"
        self._begin(self._hear(follower))
        self._begin(self._finish(follower))

    async def _read_clocks(self) -> None:
        """Once more, just before and after: what lies between is known best near a reading."""

        async def read(node: Node) -> None:
            try:
                await node.link.synchronise(ROUND_TRIPS)
            except NodeLost:
                pass

        living = [each.node for each in self.followers if not each.lost]
        reading = [self._begin(read(node)) for node in living]
        if reading:
            await asyncio.wait(reading, timeout=CLOCKS_S)

    def _start(self) -> None:
        """Tell every node the instant at which all of them begin, on its own clock."""
        going = [each for each in self.followers if not each.over]
        slowest_ns = max((each.node.link.clock.least_round_trip_ns for each in going), default=0)
        ahead_ns = max(int(AHEAD_S * 1e9), AHEAD_ROUND_TRIPS * slowest_ns)
        self._started_at = time.time() + ahead_ns / 1e9
        self.start_ns = MONOTONIC.now_ns() + ahead_ns
        for each in going:
            self._go(each)

    def _go(self, follower: Follower) -> None:
        assert self.start_ns is not None
        link = follower.node.link
        link.go(link.clock.to_node(self.start_ns))

    # While it goes on.

    async def _watch(self) -> None:
        """Until every node has ended, or is lost."""
        while self._opening or not all(each.over for each in self.followers):
            await self._nap()
            now = self._look()
            for each in self.followers:
                if not each.over and (why := self._overdue(each, now)):
                    each.node.link.kill(why)
            if self.start_ns is not None and now >= until_ns_of(self._plan, self.start_ns):
                self._open_no_more()
            if self.start_ns is not None and self.ended is None and not self._run_out(now):
                seen = self._whole.seen(self.followers, now - self.start_ns)
                ended = self._rules.ended_by(seen, lambda: self._whole.confidence(self.followers))
                if ended is not None:
                    self._decide(ended)
            self._tell(now)

    async def _nap(self) -> None:
        """Until something comes in, or the next tick is due."""
        try:
            await asyncio.wait_for(self._wake.wait(), TICK_S)
        except asyncio.TimeoutError:
            return
        await asyncio.sleep(max(GATHER_S, len(self.followers) / LOOKED_AT_PER_S))
        self._wake.clear()

    def _look(self) -> int:
        """Take up faults, an interrupt and silence; the time."""
        for task in [each for each in self._tasks if each.done()]:
            self._tasks.discard(task)
            if not task.cancelled():
                task.result()
        if self._manner.interrupt.is_set():
            self._decide(Ending.INTERRUPT)
        now = MONOTONIC.now_ns()
        self._losing.look(now)
        for each in self.followers:
            if not each.over and (why := self._losing.silent(each, now)):
                each.node.link.kill(why)
        return now

    def _overdue(self, follower: Follower, now_ns: int) -> str:
        start_ns = now_ns if self.start_ns is None else self.start_ns
        return self._losing.overdue(follower, now_ns, start_ns, self.ended)

    def _run_out(self, now_ns: int) -> bool:
        """Whether nobody has anything to issue any more."""
        assert self.start_ns is not None
        return now_ns >= until_ns_of(self._plan, self.start_ns) or all(
            each.over or each.phase in ("drain", "reading") for each in self.followers
        )

    def _decide(self, why: Ending) -> None:
        """Tell every node to end. An interrupt may follow another reason, and replaces it."""
        if self.ended is not None and (
            why is not Ending.INTERRUPT or self.ended.why is Ending.INTERRUPT
        ):
            return
        self.ended = Ended(why, MONOTONIC.now_ns())
        for each in self.followers:
            if not each.over:
                each.node.link.end(why)
        self._open_no_more()

    def _open_no_more(self) -> None:
        """A node that is not there yet would have nothing left to do."""
        for task in self._opening:
            task.cancel()

    def _tell(self, now_ns: int) -> None:
        tell = self._manner.on_progress
        if tell is not None and now_ns - self._told_ns >= self._options.update_s * 0.9e9:
            self._told_ns = now_ns
            ended = self.ended is not None
            tell(self._whole.progress(self.followers, now_ns, self.start_ns, ended))

    async def _hear(self, follower: Follower) -> None:
        updates = follower.node.link.updates
        while not follower.over:
            self._whole.hear(follower, await updates.get())
            self._wake.set()

    async def _finish(self, follower: Follower) -> None:
        link = follower.node.link
        try:
            result = await link.finish()
        except FAULTS as fault:
            if isinstance(fault, HostError) and fault.is_a(UnfinishedAnswer):
                raise follower.node.named(fault) from fault  # it would be measured nowhere
            self._lose_to(fault, follower)
        else:
            while not link.updates.empty():
                self._whole.hear(follower, link.updates.get_nowait())
            follower.result = result

    def _lose_to(self, fault: BaseException, follower: Follower) -> None:
        """A node is lost to a fault, which is raised, with its name, if it ends the run before its
        start.
        """
        if follower.over:
            return
        follower.lose(fault, MONOTONIC.now_ns())
        if self.ended is not None:
            return
        on_loss = self._manner.on_loss
        if on_loss == "replace" and follower.times_replaced < MOST_REPLACEMENTS:
            self._replace(follower)
        elif self.start_ns is None:
            if on_loss == "stop" or all(each.lost for each in self.followers):
                raise follower.node.named(fault) from fault
        elif on_loss == "stop":
            self._decide(Ending.NODE_LOST)

    def _replace(self, follower: Follower) -> None:
        task = self._begin(self._take_over(follower))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _take_over(self, lost: Follower) -> None:
        """Have another node do what is left of a lost one's share; that one is of no use any more,
        even if it lives.
        """
        lost.node.link.kill("another has its place")
        try:
            node = await self._replacement(lost.node)
        except asyncio.CancelledError:
            lost.note = "no other took its place in time"
            raise
        except (*FAULTS, NodesError) as fault:
            lost.note = f"no other took its place: {fault}"
            return
        if node is None:
            lost.note = "there is no other to take its place"
            return
        share: RunPlan | None = lost.share
        if self.start_ns is not None:
            since_s = (MONOTONIC.now_ns() - self.start_ns) / 1e9
            from_s = since_s + LATER * self._prepared_s + MOMENT_S
            share = rest_of(lost.share, lost.accounted, from_s)
        if share is None or self.ended is not None:
            return  # nothing is left to do
        follower = self._follow(node, share, lost)
        self._begin(self._begin_late(follower))

    async def _begin_late(self, follower: Follower) -> None:
        await self._prepare(follower)
        if follower.ready and self.start_ns is not None:
            self._go(follower)

    # After the end.

    async def _result(self) -> RunResult:
        """Of all that was measured; waits a moment for word of how lost nodes ended."""
        unknown = [each.node for each in self.followers if each.lost and not each.node.how]
        waiting = [self._begin(node.word()) for node in unknown if node.link.ended_by_itself]
        if waiting:
            await asyncio.wait(waiting)
        return whole_result(
            self._plan,
            self._nodes,
            self.followers,
            self._whole,
            start_ns=self.start_ns,
            started_at=self._started_at,
            ended=self.ended,
            stable=self._rules.reached,
        )

    async def _give_up(self) -> None:
        """End what still goes on, since the run has failed: soon, or with the node."""
        self._decide(Ending.INTERRUPT)
        until_ns = MONOTONIC.now_ns() + int(ANSWER_S * 1e9)
        while not all(each.over for each in self.followers) and MONOTONIC.now_ns() < until_ns:
            await self._nap()

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._wake.set())
        return task

    async def _await_interrupt(self) -> None:
        await self._manner.interrupt.wait()
