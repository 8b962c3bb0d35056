"""A backend's host that is started anew after it was lost, with what it needs to go on given to it
again.

So a crash or a hang costs the batch size it happened in, and no other. What was compiled in the
lost process is known as plain data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qs.base.words import number
from qs.evaluate.failures import BackendFailed, outcomes
from qs.result.row import Outcome
from qs.settings.limits import Limits

REPEATED = (
    "set_dataset",
    "configure_runtime",
    "use_runner",
)  # what a fresh host is told again, in this order


class LastingHost:
    """The face of an engine's host: call, target, close. `make` makes one, not started yet.

    limits     how long each call may take; may be changed at any time
    restarts   how often a fresh process was started, after the first
    """

    def __init__(self, make: Callable[[], Any], hardware: str, limits: Limits) -> None:
        self._make, self._hardware = make, hardware
        self.limits = limits
        self.restarts = -1
        self._host: Any = None
        self._told: dict[str, dict[str, Any]] = {}

    async def call(self, method: str, /, deadline_s: float | None = None, **arguments: Any) -> Any:
        """Call a method in the host, a fresh one where the last was lost. Raises what the host
        raises.
        """
        from qs.engine import HostDied, HostTimeout

        host = await self.ready()
        try:
            answer = await host.call(method, deadline_s=deadline_s, **arguments)
        except (HostDied, HostTimeout):
            await self.drop()
            raise
        if method in REPEATED:
            self._told[method] = arguments
        return answer

    async def ready(self) -> Any:
        """The engine's host, alive. BackendFailed or UserError where a fresh one cannot be brought
        that far.
        """
        if self._host is not None and not getattr(self._host, "alive", True):
            await self.drop()
        if self._host is None:
            self._host = await self._started()
        return self._host

    async def target(self, method: str, /, **arguments: Any) -> Any:
        """A target for the engine, in a host that is alive."""
        return (await self.ready()).target(method, **arguments)

    @property
    def told(self) -> dict[str, dict[str, Any]]:
        """Method -> arguments: what another process must be told to compute as this one does."""
        return {method: self._told[method] for method in REPEATED if method in self._told}

    @property
    def pid(self) -> int | None:
        """Of the process that is there now; None where there is none of its own."""
        return getattr(self._host, "pid", None)

    def log_tail(self) -> str:
        """The end of what the process that is there now had printed."""
        return self._host.log_tail() if hasattr(self._host, "log_tail") else ""

    async def drop(self) -> None:
        """End the process, if there is one; the next call starts another."""
        host, self._host = self._host, None
        if host is not None:
            await host.__aexit__(None, None, None)

    async def _started(self) -> Any:
        host = self._make()
        what = f"loading the backend {self._hardware}"
        with outcomes(what):
            try:
                await asyncio.wait_for(host.__aenter__(), self.limits.load_s)
            except asyncio.TimeoutError:
                text = f"{what}: no answer within {number(self.limits.load_s)} s (--load_timeout)"
                raise BackendFailed(text, "", Outcome.TIMED_OUT, what) from None
        self.restarts += 1
        try:
            for method in REPEATED:
                if method in self._told:
                    limit_s = self.limits.of(method)
                    with outcomes(f"{method}, in a fresh process", limit_s, method):
                        await host.call(method, deadline_s=limit_s, **self._told[method])
        except BaseException:
            await host.__aexit__(None, None, None)
            raise
        return host
