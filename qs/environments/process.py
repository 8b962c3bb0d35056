"""A backend's service in a process of its own, which may crash or hang at any time: the next call
gets a fresh one, which is told again what the lost one was told.

What is called, how long it may take and what a failure means are up to whoever holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from qs.engine import ChildHost, HostDied, HostTimeout, LocalHost

SERVICE = "qs.inside.service:VendorService"
# What a fresh process is told again, in this order.
SET_UP = ("set_dataset", "configure_runtime", "use_runner")
START = ""  # in place of a method: starting the process


def unwatched(method: str) -> AbstractContextManager[object]:
    return nullcontext()


class ServiceProcess:
    """Not started yet when made: the first call does it.

    make     the host of one process, not entered yet
    limit_s  how long a fresh process may take for START, or for what it is told again
    around   what each of these is done within
    set_up   methods that a fresh process is told again
    """

    def __init__(
        self,
        make: Callable[[], ChildHost | LocalHost],
        limit_s: Callable[[str], float],
        around: Callable[[str], AbstractContextManager[object]] = unwatched,
        set_up: Sequence[str] = SET_UP,
    ):
        self._make, self._limit_s, self._around, self._set_up = make, limit_s, around, set_up
        self._host: ChildHost | LocalHost | None = None
        self._told: dict[str, Mapping[str, Any]] = {}
        self.starts = 0  # how many processes were started

    async def call(self, method: str, deadline_s: float, **arguments: Any) -> Any:
        """Call a method of the service. Raises HostError; HostDied and HostTimeout, after which the
        process is gone.
        """
        host = await self.ready()
        try:
            answer = await host.call(method, deadline_s=deadline_s, **arguments)
        except (HostDied, HostTimeout):
            await self.drop()
            raise
        if method in self._set_up:
            self._told[method] = arguments
        return answer

    @property
    def told(self) -> dict[str, Mapping[str, Any]]:
        """Method -> arguments: what another process has to be told to compute as this one does."""
        return {method: self._told[method] for method in self._set_up if method in self._told}

    def tell_next(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Have fresh processes told this from now on."""
        self._told = dict(told)

    async def ready(self) -> ChildHost | LocalHost:
        """The process, alive: a fresh one where the last was lost."""
        if self.child is not None and not self.child.alive:
            await self.drop()
        if self._host is None:
            self._host = await self._started()
        return self._host

    async def drop(self) -> None:
        """End the process, if there is one; the next call starts another."""
        host, self._host = self._host, None
        if host is not None:
            await host.__aexit__(None, None, None)

    @property
    def child(self) -> ChildHost | None:
        """Its host; None where there is none now, or it is this process."""
        return self._host if isinstance(self._host, ChildHost) else None

    async def _started(self) -> ChildHost | LocalHost:
        host, limit_s = self._make(), self._limit_s(START)
        with self._around(START):
            try:
                await asyncio.wait_for(host.__aenter__(), limit_s)
            except asyncio.TimeoutError:
                said = "" if isinstance(host, LocalHost) else host.log_tail()
                raise HostTimeout("starting the process", limit_s, said) from None
        try:
            for method, arguments in self.told.items():
                with self._around(method):
                    await host.call(method, deadline_s=self._limit_s(method), **arguments)
        except BaseException:
            await host.__aexit__(None, None, None)
            raise
        self.starts += 1
        return host
