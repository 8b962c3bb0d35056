"""The process that runs on a node what its driver asks: it builds an object, calls its methods, and
runs parts of plans, on one event loop in its main thread.

What is called may raise what it will, also SystemExit; what hangs or ends the process is the
guard's to handle (`guard`).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import numpy as np

from qs.engine.clock import MONOTONIC
from qs.engine.conduct.lead import Moment
from qs.engine.conduct.signals import Signals
from qs.engine.descriptors import open_standard
from qs.engine.distributed.results.plain_result import plain_of
from qs.engine.distributed.results.updates import RunOptions, plain_update
from qs.engine.distributed.talking.asking import Ask, plain_fault, read, unsendable
from qs.engine.distributed.talking.frames import Assembler, Kind, Opener, Sealer
from qs.engine.distributed.talking.plain import encoded
from qs.engine.distributed.targets import NodesTarget
from qs.engine.errors import HostError
from qs.engine.hosts.loops import end_at_once, in_daemon_thread, new_loop
from qs.engine.outcome import Ending
from qs.engine.plan import Factory, RunPlan
from qs.engine.record.intervals import Interval
from qs.engine.result import RunResult
from qs.engine.running import run_async
from qs.engine.workers.target import import_reference

# A driver's message may be as long as the samples are.
_MOST_BYTES = 1 << 40
_CLOSE_S = 10.0
# An update that finds so much unsent is left out; the next one brings what it had.
_MOST_WAITING = 1 << 20


def serve(guard: socket.socket) -> int:
    """Serve what comes from the guard until it closes its end; returns the exit status."""
    loop = new_loop()
    node = Node(loop)
    serving = loop.create_task(node.serve(guard))
    try:
        while not serving.done():
            try:
                loop.run_until_complete(serving)
            except (SystemExit, KeyboardInterrupt):
                pass  # of some task that what we run has started: no reason to end
        serving.result()
    finally:
        end_at_once(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return 0


class Node(asyncio.Protocol):
    """The object that was built here, the run that goes on, and the way to the driver."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._pid = os.getpid()
        self._opener, self._sealer = Opener(None), Sealer(None)
        self._assembler = Assembler(_MOST_BYTES)
        self._closed = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._object: Any = None
        self._samples: bytes | memoryview = b""
        self._run: Run | None = None
        self._ended = (0, "")  # which run was told to end last, and why

    async def serve(self, guard: socket.socket) -> None:
        await self._loop.create_unix_connection(lambda: self, sock=guard)
        await self._closed.wait()
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_CLOSE_S)
        closing = asyncio.ensure_future(self._close_object())
        await asyncio.wait([closing], timeout=_CLOSE_S)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is no asyncio.Transport, though it is one in all but its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._end_if_forked()
        for kind, body in self._opener.frames(data):
            message = body if kind == Kind.SHORT else self._assembler.add(kind, body)
            if message is not None:
                self._obey(*read(message))

    def eof_received(self) -> bool:
        self._closed.set()
        return True  # what is still to be said can be

    def connection_lost(self, fault: Exception | None) -> None:
        self._closed.set()

    def _obey(self, what: int, number: int, body: memoryview) -> None:
        if what == Ask.SAMPLES:
            self._samples = body
        elif what == Ask.CANCEL:
            task = self._tasks.get(number)
            if task is not None:
                task.cancel()
        elif what == Ask.GO:
            if self._run is not None:
                self._run.go(*pickle.loads(body))
        elif what == Ask.END:
            (why,) = pickle.loads(body)
            self._ended = number, why
            if self._run is not None and self._run.number == number:
                self._run.end(why)
        else:
            task = self._loop.create_task(self._answered(what, number, body))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _answered(self, what: int, number: int, body: memoryview) -> None:
        doing: dict[int, Callable[..., Awaitable[Any]]] = {
            Ask.BUILD: self._build,
            Ask.CALL: self._call,
            Ask.RUN: self._ready,
            Ask.RESULT: self._result,
            Ask.COLUMNS: self._columns,
        }
        try:
            value = await doing[what](*pickle.loads(body))
        except _Abandoned:
            return  # what was called goes on: this process is of no use any more
        # whatever it raises, a cancelled one too, is an answer
        except BaseException as fault:
            self._tell(encoded((number, "error", plain_fault(fault))))
            return
        try:
            said = encoded((number, "ok", value))
        except Exception as fault:  # whatever the value's own code raises
            said = encoded((number, "error", plain_fault(unsendable(value, fault))))
        self._tell(said)

    def _end_if_forked(self) -> None:
        """What forks and comes back would have two processes use one connection."""
        if os.getpid() != self._pid:
            os._exit(0)

    def _tell(self, body: bytes) -> None:
        self._end_if_forked()
        for frame in self._sealer.message(body):
            self._transport.write(frame)

    def update(self, body: bytes) -> bool:
        """Tell the driver of the run that goes on; whether there was room for that."""
        self._end_if_forked()
        if self._transport.get_write_buffer_size() > _MOST_WAITING:
            return False
        self._transport.write(self._sealer.frame(Kind.UPDATE, body))
        return True

    async def _build(self, factory: Factory) -> None:
        await self._close_object()

        def make() -> Any:
            return import_reference(factory.reference)(**factory.kwargs)

        built = await _in_thread(make)
        if hasattr(built, "__aenter__") and hasattr(built, "__aexit__"):
            entered = await built.__aenter__()
            self._object, self._exit = entered, built.__aexit__
        else:
            self._object, self._exit = built, None

    async def _close_object(self) -> None:
        closing, self._object, self._exit = getattr(self, "_exit", None), None, None
        if closing is not None:
            await closing(None, None, None)

    async def _call(self, method: str, kwargs: dict[str, Any]) -> Any:
        function = getattr(self._object, method)
        if inspect.iscoroutinefunction(function):
            return await function(**kwargs)
        value = await _in_thread(lambda: function(**kwargs))
        return await value if inspect.isawaitable(value) else value

    async def _ready(
        self, share: RunPlan, target: Any, has_samples: bool, options: RunOptions, number: int
    ) -> None:
        """Begin a run, and wait until it is ready for its start."""
        if self._run is not None:
            await self._run.abandoned()
        taken, self._samples = self._samples, b""
        samples = pickle.loads(taken)[0] if has_samples else None
        del taken
        if isinstance(target, NodesTarget):
            target = await self._call(target.method, dict(cast(Mapping[str, Any], target.kwargs)))
        open_standard()
        self._run = Run(self.update, options, number)
        self._run.begin(share, target, samples)
        if self._ended[0] == number:  # that word came first
            self._run.end(self._ended[1])
        try:
            await self._run.ready()
        except BaseException:
            await self._run.abandoned()
            raise

    async def _result(self) -> Any:
        if self._run is None:
            raise RuntimeError("no run has been prepared")
        return plain_of(await self._run.result(), self._run.of)

    async def _columns(self, name: str, first: int, rows: int) -> bytes:
        assert self._run is not None
        columns = (await self._run.result()).columns or {}
        return np.ascontiguousarray(columns[name][first : first + rows]).tobytes()


class Run:
    """One part of a plan, run here: it is its own lead, in the driver's place."""

    def __init__(self, update: Callable[[bytes], bool], options: RunOptions, number: int):
        self.number = number  # among those of the driver
        self.progress = options.progress
        self.of = 1  # how many parts the plan has
        self._update, self._options = update, options
        self._word: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._is_ready = asyncio.Event()
        self._interrupt = asyncio.Event()
        self._ending: Ending | None = None
        self._told_ns = 0
        self._last_ns = self._last_checkpoint_ns = 0
        self._gathered: list[tuple[int, Interval]] = []  # since the last checkpoint
        self._task: asyncio.Task[RunResult] | None = None

    def begin(self, share: RunPlan, target: Any, samples: Any) -> None:
        self.of = 1 if share.part is None else share.part.of
        self._task = asyncio.ensure_future(self._go_through(share, target, samples))

    async def _go_through(self, share: RunPlan, target: Any, samples: Any) -> RunResult:
        loop = asyncio.get_running_loop()
        with Signals(loop, self._interrupt):
            try:
                return await run_async(
                    share,
                    target,
                    samples,
                    interrupt=self._interrupt,
                    keep_columns=self._options.keep_columns,
                    keep_slices=self._options.keep_slices,
                    lead=self,
                )
            except (SystemExit, KeyboardInterrupt) as fault:
                # A task that ends with these would end the loop.
                raise HostError.of(fault) from fault

    async def ready(self) -> None:
        """Raises what the run raises if that ends before."""
        assert self._task is not None
        ready = asyncio.ensure_future(self._is_ready.wait())
        try:
            await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def result(self) -> RunResult:
        assert self._task is not None
        return await asyncio.shield(self._task)

    async def abandoned(self) -> None:
        """End it, whatever it does, and wait for that."""
        if self._task is not None and not self._task.done():
            self._interrupt.set()
            self._task.cancel()
            await asyncio.wait([self._task])

    def go(self, start_ns: int) -> None:
        self._told_ns = MONOTONIC.now_ns()
        if not self._word.done():
            self._word.set_result(start_ns)

    def end(self, why: str) -> None:
        self._ending = Ending(why)
        if self._ending is Ending.INTERRUPT or not self._word.done():
            self._interrupt.set()

    # What follows is what the run's conductor sees of its lead.

    async def start_ns(self) -> int:
        self._is_ready.set()
        return await self._word

    def look(self, moment: Moment) -> Ending | None:
        self._gathered += moment.intervals
        options = self._options
        # Ticks come a little early or late.
        if moment.last or moment.now_ns - self._last_ns >= (options.update_s - 0.1) * 1e9:
            since_ns = moment.now_ns - self._last_checkpoint_ns
            checkpoint = moment.last or since_ns >= (options.checkpoint_s - 0.1) * 1e9
            body = encoded(
                plain_update(moment, self._told_ns, self._gathered if checkpoint else None)
            )
            if self._update(body):
                self._last_ns = moment.now_ns
                if checkpoint:
                    self._last_checkpoint_ns = moment.now_ns
                    self._gathered.clear()
        return self._ending


class _Abandoned(BaseException):
    """Nobody waits any more for a call that cannot be ended."""


async def _in_thread(function: Callable[[], Any]) -> Any:
    def guarded() -> Any:
        try:
            return function()
        except BaseException as fault:  # whatever it raises is an answer
            raise HostError.of(fault) from fault

    try:
        return await in_daemon_thread(guarded)
    except asyncio.CancelledError:
        raise _Abandoned from None
