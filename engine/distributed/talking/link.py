"""The driver's side of one node: what it is asked to do, and what it tells.

A node is not trusted: it may lie, flood, hang or go silent. Then this link is lost, with the
reason, and no other is held up. Where nodes connect to is `links`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from qs.engine.clock import MONOTONIC
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.results.plain_result import result_of
from qs.engine.distributed.results.updates import RunOptions, Update, update_of
from qs.engine.distributed.talking.asking import Ask, asked, fault_of, packed
from qs.engine.distributed.talking.bounds import Allowance
from qs.engine.distributed.talking.clocks import Clock, RoundTrip
from qs.engine.distributed.talking.frames import (
    CLOCKS,
    MOST_FRAME_BYTES,
    Assembler,
    FrameError,
    Kind,
    Opener,
)
from qs.engine.distributed.talking.outbox import Outbox
from qs.engine.distributed.talking.plain import decoded
from qs.engine.errors import HostError, HostTimeout
from qs.engine.hosts.messages import whole
from qs.engine.outcome import Ending
from qs.engine.plan import Factory, RunPlan
from qs.engine.result import RunResult

DEFAULTS = RunOptions()


class Packing:
    """Pickles samples once for all nodes that are sent them at the same time."""

    def __init__(self) -> None:
        self._samples: Sequence[Any] | None = None
        self._data = b""
        self._users = 0

    @contextmanager
    def packed(self, samples: Sequence[Any]) -> Iterator[bytes]:
        """Raises whatever their own code raises."""
        if self._samples is not samples:
            self._samples, self._data, self._users = samples, packed(samples), 0
        self._users += 1
        try:
            yield self._data
        finally:
            self._users -= 1
            if self._samples is samples and self._users <= 0:
                self._samples, self._data = None, b""


# The longest answer of a node, and the longest text in one of its updates.
MOST_ANSWER_BYTES = 64 << 20
MOST_UPDATE_JSON_BYTES = 256 << 10
MOST_WAITING_BYTES = 16 << 20  # of updates that nobody takes
# How long a node may take to end what nobody waits for any more.
_CANCEL_S = 2.0
_CLOSE_S = 12.0
# How long it may take to tell its clock: as long as it may be silent, and a moment.
_CLOCK_S = 15.0
# How many intervals a node may be ahead of what its driver's clock allows.
_MOST_AHEAD = 64
# What building may take beyond the plan's own limit, which the node keeps by itself.
_BEYOND_S = 30.0
_COLUMN_ROWS = 1 << 20
MOST_COLUMN_BYTES = 4 << 30  # of one result
_DTYPES = ("<i8", "<f8", "|i1", "<i4", "<u8")
_NUMBER = struct.Struct("<Q")


class Link:
    """A node that has connected and proved that it knows its secret. Its calls raise NodeLost once
    it is lost.
    """

    def __init__(
        self,
        number: int,
        facts: dict[str, Any],
        outbox: Outbox,
        opener: Opener,
        packing: Packing,
    ):
        self.number = number
        self.facts = facts
        self.clock = Clock()
        # when something was heard of it last, on this process's clock
        self.heard_ns = MONOTONIC.now_ns()
        # when a part of a long answer came in last
        self.answered_ns = 0
        # of the run that is prepared or goes on
        self.updates: asyncio.Queue[Update] = asyncio.Queue()
        self._outbox, self._opener, self._packing = outbox, opener, packing
        self.alive = outbox.alive  # to be called about once a second, from any thread
        self._assembler = Assembler(MOST_ANSWER_BYTES)
        self._allowance = Allowance(self.heard_ns)
        self._sizes: deque[int] = deque()  # of the updates that wait
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[str] = loop.create_future()
        self._count = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._clocks: dict[int, tuple[int, asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self.ended_by_itself = False  # if it is lost: nobody here has cut it off
        self._runs = 0  # how many were prepared
        self._interval_ns, self._began_ns, self._keep_columns = 1, 0, False  # of the last one

    @property
    def lost(self) -> str:
        """Why the node is lost; "" while it is not."""
        return self._gone.result() if self._gone.done() else ""

    async def until_lost(self) -> str:
        """Wait until the node is lost, and say why."""
        return await asyncio.shield(self._gone)

    async def build(self, place: Factory, deadline_s: float | None = None) -> None:
        """Make an object in the node's process, in place of one of before. Raises HostError with
        what that raised, HostTimeout.
        """
        await self._ask(Ask.BUILD, packed(place), "building the node's object", deadline_s)

    async def call(self, method: str, deadline_s: float | None = None, /, **kwargs: Any) -> Any:
        """Call a method of that object; what it returns has to be plain data. Raises HostError with
        what it raised, and HostTimeout: then, as after a cancelled call, the node is lost unless
        the method was a coroutine and has ended.
        """
        return await self._ask(Ask.CALL, packed(method, kwargs), method, deadline_s)

    async def prepare(
        self,
        share: RunPlan,
        target: Any,
        samples: Sequence[Any] | None = None,
        options: RunOptions = DEFAULTS,
    ) -> None:
        """Build and warm up what a share needs. Raises PlanError, HostError, HostTimeout."""
        self.updates = asyncio.Queue()
        self._runs += 1
        self._sizes.clear()
        self._interval_ns, self._began_ns = share.recorded_ns, 0
        self._keep_columns = options.keep_columns
        if samples is not None:
            with self._packing.packed(samples) as data:
                await asyncio.shield(self._begin(self._outbox.send(asked(Ask.SAMPLES, 0, data))))
        body = packed(share, target, samples is not None, options, self._runs)
        limit_s = share.build_timeout_s + _BEYOND_S
        await self._ask(Ask.RUN, body, "building and warming up the target", limit_s)

    async def synchronise(self, round_trips: int = 16) -> None:
        """Read the node's clock so many times, as fast as it answers."""
        for _ in range(round_trips):
            self._count += 1
            answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._clocks[self._count] = MONOTONIC.now_ns(), answered
            self._outbox.tell(Kind.CLOCK, _NUMBER.pack(self._count))
            self._allowance.give()
            either: set[asyncio.Future[Any]] = {answered, self._gone}
            await asyncio.wait(either, timeout=_CLOCK_S, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                self.lose(f"it did not tell its clock within {_CLOCK_S:g} s")
            self._raise_if_lost()

    def go(self, start_ns: int) -> None:
        """Start what was prepared at an instant on the node's clock."""
        self._began_ns = MONOTONIC.now_ns()
        if self.clock.round_trips:
            self._began_ns = self.clock.to_driver(start_ns)
        self._outbox.tell(Kind.SHORT, asked(Ask.GO, 0, packed(start_ns)))

    def end(self, why: Ending) -> None:
        """End the run in order, as the rule `why` would have ended it; its result says so. An
        INTERRUPT may follow another ending. A run that is still prepared ends as one that was
        interrupted before its start.
        """
        self._outbox.tell(Kind.SHORT, asked(Ask.END, self._runs, packed(str(why))))
        if why is Ending.INTERRUPT:
            self._outbox.tell(Kind.CUT)

    async def finish(self) -> RunResult:
        """Wait for the run's end: the node's own result. Raises what `prepare` raises."""
        plain = await self._ask(Ask.RESULT, packed(), "the run", None)
        try:
            columns = _announced(plain["columns"]) if self._keep_columns else {}
            result = result_of(plain)
        except HostError as fault:
            raise self._lies(f"a result that makes no sense ({fault.message})") from None
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise self._lies(f"a result that makes no sense ({fault})") from None
        if columns:
            parts = {name: await self._column(name, *each) for name, each in columns.items()}
            result.columns = parts
        return result

    async def _column(self, name: str, dtype: str, rows: int) -> np.ndarray:
        column = np.empty(rows, dtype)
        for first in range(0, rows, _COLUMN_ROWS):
            many = min(_COLUMN_ROWS, rows - first)
            part = await self._ask(Ask.COLUMNS, packed(name, first, many), "its columns", None)
            if not isinstance(part, bytes) or len(part) != many * column.itemsize:
                raise self._lies("a column that is as long as it should not be")
            column[first : first + many] = np.frombuffer(part, dtype)
        return column

    def kill(self, why: str = "it was ended") -> None:
        """Cut the node off; it ends with all that it has started, and is lost."""
        self.lose(why)

    async def close(self) -> None:
        """Tell the node to end, and wait a moment for that."""
        if not self._gone.done():
            self._closing = True
            self._outbox.tell(Kind.BYE)
            await asyncio.wait({self._gone}, timeout=_CLOSE_S)
            self.lose("it did not end by itself")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What follows is called by `links`.

    def lose(self, why: str, by_itself: bool = False) -> None:
        """It is lost, unless it was before. `by_itself`: it ended, or its connection did, and
        nobody here has cut it off.
        """
        if self._gone.done():
            return
        self.ended_by_itself = by_itself
        self._gone.set_result("it was ended" if self._closing else why)
        self._outbox.close()
        for each in self._answers.values():
            each.cancel()

    def hear(self, data: bytes, now_ns: int) -> None:
        """Bytes of the node that came at an instant."""
        if self._gone.done():
            return
        self.heard_ns = now_ns
        try:
            for kind, body in self._opener.frames(data):
                self._take(kind, body, now_ns)
        except FrameError as fault:
            self.lose(f"it sent {fault}")
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, struct.error) as fault:
            self.lose(f"it sent a message that makes no sense ({fault})")

    def _take(self, kind: int, body: bytes, now_ns: int) -> None:
        if kind in (Kind.MESSAGE, Kind.PART):
            if not self._answers:
                raise FrameError("an answer to no question")
            message = self._assembler.add(kind, body)
            if len(body) == MOST_FRAME_BYTES:
                self.answered_ns = now_ns
            if message is not None:
                self._answer(decoded(message))
            return
        self._allowance.take(len(body), now_ns)
        if kind == Kind.CLOCK:
            number, there_ns, _ = CLOCKS.unpack(body)
            sent = self._clocks.pop(number, None)
            if sent is not None:
                self.clock.add(RoundTrip(sent[0], there_ns, now_ns))
                if not sent[1].done():
                    sent[1].set_result(None)
        elif kind == Kind.UPDATE:
            self._update(body)
        elif kind == Kind.ENDED:
            self.lose(f"its process ended: {_how(json.loads(body))}", by_itself=True)
        elif kind != Kind.ALIVE:
            raise FrameError(f"a frame of kind {kind}")

    def _update(self, body: bytes) -> None:
        began = time.thread_time()
        # The number of its intervals tells how long it has run, as far as it does not lie.
        ran_ns = max(self.heard_ns - self._began_ns, 0) if self._began_ns else 0
        most = ran_ns // self._interval_ns + _MOST_AHEAD
        update = update_of(decoded(body, MOST_UPDATE_JSON_BYTES), most)
        self._allowance.work(time.thread_time() - began)
        while len(self._sizes) > self.updates.qsize():
            self._sizes.popleft()
        if sum(self._sizes) > MOST_WAITING_BYTES:
            raise FrameError("updates that its driver does not take")
        self._sizes.append(len(body))
        self.updates.put_nowait(update)

    def _answer(self, message: Any) -> None:
        number, word, value = message
        answer = self._answers.pop(number)
        if answer.done():
            return
        if word == "ok":
            answer.set_result(value)
        else:
            answer.set_exception(fault_of(value))

    async def _ask(self, what: Ask, body: bytes, name: str, deadline_s: float | None) -> Any:
        self._raise_if_lost()
        self._count += 1
        number = self._count
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._begin(self._outbox.send(asked(what, number, body)))
        try:
            await asyncio.wait(
                {answer, self._gone}, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            self._begin(self._cancel(number, answer, name))
            raise
        if answer.done() and not answer.cancelled():
            return answer.result()
        self._raise_if_lost()
        await self._cancel(number, answer, name)
        raise HostTimeout(name, deadline_s or 0.0)

    async def _cancel(self, number: int, answer: asyncio.Future[Any], name: str) -> None:
        """Have the node end what it was asked for; one that does not is lost."""
        if self._gone.done():
            return
        self._outbox.tell(Kind.SHORT, asked(Ask.CANCEL, number, b""))
        await asyncio.wait(
            {answer, self._gone}, timeout=_CANCEL_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not answer.done():
            self.lose(f"{name} did not end when it was told to")
        elif not answer.cancelled():
            answer.exception()

    def _begin(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _lies(self, what: str) -> NodeLost:
        self.lose(f"it sent {what}")
        return NodeLost(self.lost)

    def _raise_if_lost(self) -> None:
        if self._gone.done():
            raise NodeLost(self._gone.result())


def _announced(columns: Any) -> dict[str, tuple[str, int]]:
    """Type and length of each column. Raises ValueError or TypeError for what cannot be."""
    found = {str(name): (str(dtype), whole(size)) for name, (dtype, size) in columns.items()}
    if any(dtype not in _DTYPES for dtype, _ in found.values()):
        raise ValueError("columns of no kind")
    if len({size for _, size in found.values()}) > 1:
        raise ValueError("columns of different lengths")
    if sum(np.dtype(dtype).itemsize * size for dtype, size in found.values()) > MOST_COLUMN_BYTES:
        raise ValueError(f"more than {MOST_COLUMN_BYTES:,} bytes of columns")
    return found


def _how(code: Any) -> str:
    if type(code) is int and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            pass
    return f"exit status {int(code)}"
