"""The child's side of a host in its own process: it builds one object, answers calls of its
methods, and runs shares of plans.

It handles one message at a time on the main thread, as vendor code expects. Stopping needs no
message: the stop flag lies in shared memory.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from dataclasses import asdict
from typing import Any

from qs.engine.descriptors import open_standard
from qs.engine.errors import HostError, words
from qs.engine.hosts import channel
from qs.engine.hosts.findings import plain_found
from qs.engine.hosts.loops import new_loop
from qs.engine.hosts.samples import unpack
from qs.engine.plan import Factory
from qs.engine.record.memory import map_workers
from qs.engine.record.report import WorkerReport
from qs.engine.workers.coroutines import AsyncGroup
from qs.engine.workers.share import PlanShare
from qs.engine.workers.target import Target, build, import_reference
from qs.engine.workers.threads import WorkerGroup

_PR_SET_PDEATHSIG = 1


def serve(down_fd: int, up_fd: int) -> None:
    """Answer the conductor until it closes its end."""
    _die_with_parent()
    # An interrupt at the terminal is the conductor's to handle: it stops the run in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(down_fd, False)
    os.set_inheritable(up_fd, False)
    child = Child(socket.socket(fileno=up_fd), socket.socket(fileno=down_fd))
    while True:
        try:
            message, fds = channel.receive(child.down)
        except EOFError:
            return
        child.answer(message, fds)


class Child:
    """The object that was built here, and the two sockets."""

    def __init__(self, up: socket.socket, down: socket.socket):
        self.up = up
        self.down = down
        self.object: Any = None

    def answer(self, message: tuple, fds: list[int]) -> None:
        kind, *rest = message
        try:
            if kind == "build":
                factory: Factory = rest[0]
                self.object = import_reference(factory.reference)(**factory.kwargs)
                value = None
            elif kind == "call":
                method, kwargs = rest
                value = getattr(self.object, method)(**kwargs)
            else:
                share, rows, target, method, kwargs = rest
                value = self.run_share(share, rows, target, method, kwargs, fds)
        # code that is not trusted may raise anything, SystemExit included
        except BaseException as fault:
            error = HostError.of(fault)
            answer = ("error", error.kind, error.message, error.traceback, error.classes)
            channel.send(self.up, answer)
        else:
            self._send_value(value)

    def _send_value(self, value: Any) -> None:
        """Send an answer. One that cannot be pickled is an error of whoever gave it, not the end of
        this process.
        """
        try:
            channel.send(self.up, ("ok", value))
        except OSError:
            raise
        # nothing was sent yet: pickling raises whatever the value's own code raises
        except Exception as fault:
            why = (
                f"the answer, of type {type(value).__name__}, cannot be pickled: "
                f"{words(fault)}; give plain data"
            )
            channel.send(self.up, ("error", type(fault).__name__, why, ""))

    def run_share(
        self,
        share: PlanShare,
        rows: int,
        target: Any,
        method: str | None,
        kwargs: dict,
        fds: list[int],
    ) -> list[dict]:
        """Build and warm up, report that, wait for the start, and run. Intervals are sent as they
        close; the workers' reports are returned.

        The target is `target` itself, or what `method` of this host's object makes when called with
        instance=number and kwargs.
        """
        coroutines = share.plan.pool.kind == "async"
        # A mapping holds a descriptor of its own: it must not be one that a vendor prints to.
        open_standard()
        memories = map_workers(fds[0], 1 if coroutines else share.workers, rows, share.plan.parts)
        rest = fds[1:]
        if share.counter_fd is not None:
            share.counter_fd = rest.pop(0)
        if share.failures_fd is not None:
            share.failures_fd = rest.pop(0)
        samples = unpack(rest.pop(0)) if rest else None

        def make(instance: int) -> Target:
            made = (
                target
                if method is None
                else getattr(self.object, method)(instance=instance, **kwargs)
            )
            return build(made, samples)

        if coroutines:
            reports = new_loop().run_until_complete(
                self._run_coroutines(AsyncGroup(share, make, memories[0]))
            )
        else:
            group = WorkerGroup(share, make, memories)
            group.prepare()
            group.go(self._start())
            reports = group.run(on_tick=lambda: self._send_intervals(group))
            self._send_intervals(group)
        for fd in fds:
            os.close(fd)
        # Those of kept requests were sent when all was measured.
        return [] if share.plan.keeps else [_plain(report) for report in reports]

    async def _run_coroutines(self, group: AsyncGroup) -> list[WorkerReport]:
        await group.prepare()
        group.go(self._start())

        def measured(reports: list[WorkerReport]) -> None:
            """Reading may take long, and this process may not live to its end."""
            self._send_intervals(group)
            channel.send(self.up, ("measured", [_plain(report) for report in reports]))

        def tick() -> None:
            self._send_intervals(group)
            for found in group.take_found():
                channel.send(self.up, ("found", plain_found(found)))

        reports = await group.finish(tick, measured)
        tick()
        return reports

    def _start(self) -> int:
        """Tell the conductor that the workers are ready, and wait for the common start."""
        channel.send(self.up, ("ready",))
        message, _ = channel.receive(self.down)
        return message[1]

    def _send_intervals(self, group: WorkerGroup | AsyncGroup) -> None:
        closed = group.take_intervals()
        if closed:
            plain = [
                (
                    worker,
                    one.number,
                    one.index.astype("<u2").tobytes(),
                    one.counts.astype("<u4").tobytes(),
                    one.failed,
                )
                for worker, one in closed
            ]
            channel.send(self.up, ("intervals", plain))


def _plain(report: WorkerReport) -> dict:
    plain = asdict(report)
    plain["columns"] = [tuple(column.tobytes() for column in part) for part in report.columns]
    return plain


def _die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, so that a killed conductor leaves nothing
    running (Linux).
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
