"""The sources of a run, opened once and read during each of its cases.

with telemetry.watch() as watched:      # as run_async's `beside`
    ...
summary = watched.summary(phase)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from qs.telemetry.channel import Opener, Unreadable
from qs.telemetry.cpu import open_cpu
from qs.telemetry.follower import Follower
from qs.telemetry.hwmon import open_hwmon
from qs.telemetry.nvml import open_nvml
from qs.telemetry.rapl import open_rapl
from qs.telemetry.series import Phase
from qs.telemetry.summary import Summary, Taken, summarised
from qs.telemetry.supply import open_supply

SOURCES: Mapping[str, Opener] = {
    "RAPL": open_rapl,
    "hwmon": open_hwmon,
    "NVML": open_nvml,
    "battery": open_supply,
    "system": open_cpu,
}
ROOT = Path("/")  # below which the kernel's files lie
INTERVAL_S = 1.0
# How long a case's start waits for the first readings, before any request is made; and how long the
# last readings may take, when all are answered.
START_S, END_S = 0.05, 0.25


class Watched:
    """One case, from just before its start to its end."""

    def __init__(self, followers: Sequence[Follower]):
        self._followers = followers
        self._began_ns = self._ended_ns = 0
        self._taken: list[Taken] | None = None

    def __enter__(self) -> Watched:
        for each in self._followers:
            each.begin()
        until = time.monotonic() + START_S
        for each in self._followers:
            each.settle(max(until - time.monotonic(), 0.0))
        self._began_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended_ns = time.perf_counter_ns()
        for each in self._followers:
            each.end()

    @property
    def whole(self) -> Phase:
        """From entering to leaving."""
        return Phase(self._began_ns, max(self._ended_ns - self._began_ns, 0) / 1e9)

    def summary(self, phase: Phase | None = None, more: Sequence[Taken] = ()) -> Summary | None:
        """What was read over a phase within it, all of it if none is given; `more` is what others
        read. None where there is no phase. Waits a moment for the last readings, once.
        """
        phase = self.whole if phase is None else phase
        if self._taken is None:
            self._taken = self._collected()
        if phase.length_s <= 0.0:
            return None
        unreadable = [each for follower in self._followers for each in follower.unreadable]
        return summarised([*self._taken, *more], phase, unreadable)

    def _collected(self) -> list[Taken]:
        until = time.monotonic() + END_S
        for each in self._followers:
            each.settle(max(until - time.monotonic(), 0.0))
        logs = [(each.name, each.taken()) for each in self._followers]
        return [Taken(name, log) for name, log in logs if log is not None]


class Telemetry:
    """Everything that this machine tells, for as long as the run lasts."""

    def __init__(
        self,
        interval_s: float = INTERVAL_S,
        root: Path | None = None,
        sources: Mapping[str, Opener] | None = None,
        follower: Callable[..., Follower] = Follower,
    ):
        self.interval_s = interval_s
        sources = SOURCES if sources is None else sources
        self._followers = [
            follower(name, partial(opener, root or ROOT), interval_s, len(sources))
            for name, opener in sources.items()
        ]

    def watch(self) -> Watched:
        """For one case; one after the other."""
        return Watched(self._followers)

    @property
    def unreadable(self) -> list[Unreadable]:
        """Of the sources that are open by now."""
        return [each for follower in self._followers for each in follower.unreadable]

    def close(self) -> None:
        for each in self._followers:
            each.close()
