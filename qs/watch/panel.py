"""The panel of a case in flight: how far it is, rates and response times (now and overall), the
queue, and what the machine does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qs.base.words import number, rate, span, sparkline
from qs.watch.progress import PHASES, share

if TYPE_CHECKING:
    from qs.engine import Progress

WIDEST_SPARK = 60
LOOK_S = 1.0
NS_PER_MS = 1e6


class Panel:
    """Remembers the last progress, and the p99 of the last intervals for a sparkline."""

    def __init__(self, title: str, limit_s: float | None, machine: Machine | None = None):
        self._title = title
        self._limit_s = limit_s
        self._progress: Progress | None = None
        self._p99: deque[float] = deque(maxlen=WIDEST_SPARK)
        self._machine = machine or Machine()

    def see(self, progress: Progress) -> None:
        self._progress = progress
        now_ns = progress.p99_now_ns
        if progress.phase == "measure" and now_ns and (not self._p99 or self._p99[-1] != now_ns):
            self._p99.append(float(now_ns))
        self._machine.look()

    def __rich_console__(self, console: Any, options: Any):
        from rich.text import Text

        for text in self.lines(options.max_width):
            yield Text(text, no_wrap=True, overflow="ellipsis")

    def lines(self, width: int) -> list[str]:
        """What is shown in that many columns."""
        progress = self._progress
        if progress is None or progress.phase not in ("measure", "drain"):
            phase = PHASES[progress.phase] if progress else PHASES["build"]
            done = f", {progress.completed:,} queries" if progress and progress.completed else ""
            return [f"{self._title}: {phase}{done}"]
        part, total = share(progress, self._limit_s)
        left = f"{span(progress.eta_s)} left" if progress.eta_s is not None else ""
        said = [self._title, f"{bar(part, total, 20)} {left}".rstrip()]
        said.append(
            f"{progress.completed:,} queries, {rate(progress.now_per_s)}/s now, "
            f"{rate(progress.queries_per_s)}/s overall"
        )
        times = (
            _times("p50", progress.p50_now_ns, progress.p50_ns),
            _times("p99", progress.p99_now_ns, progress.p99_ns),
        )
        said.append("  ".join(filter(None, times)))
        said.append(_queue(progress))
        said.append(self._machine.sentence())
        if len(self._p99) > 1:
            room = max(min(width - 5, WIDEST_SPARK), 8)
            said.append(f"p99 {sparkline(list(self._p99)[-room:])}")
        return [line for line in said if line]


class Machine:
    """CPU and memory, looked at once a second: the thread that conducts (this one), the whole
    machine.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._looked_s = clock()
        self._own_s = time.thread_time()
        self._before: Any = None
        self.conductor: float | None = None
        self.host: float | None = None
        self.free: float | None = None

    def look(self) -> None:
        now = self._clock()
        if now - self._looked_s < LOOK_S:
            return
        import psutil

        own_s, busy = time.thread_time(), psutil.cpu_percent(None)
        self.conductor = (own_s - self._own_s) / (now - self._looked_s)
        self.host = (
            busy / 100 if self._before is not None else None
        )  # the first call has nothing to compare with
        memory = psutil.virtual_memory()
        self.free = memory.available / memory.total
        self._before, self._looked_s, self._own_s = busy, now, own_s

    def sentence(self) -> str:
        parts = []
        if self.conductor is not None:
            parts.append(f"engine {self.conductor:.1%} of a core")
        if self.host is not None:
            parts.append(f"machine {self.host:.0%} busy")
        if self.free is not None:
            parts.append(f"memory {self.free:.0%} free")
        return ", ".join(parts)


def bar(done: float, total: float | None, width: int) -> str:
    """[#####.....] 50 %; without a total, nothing to fill."""
    if not total:
        return ""
    part = min(max(done / total, 0.0), 1.0)
    full = round(part * width)
    return f"[{'#' * full}{'.' * (width - full)}] {part:.0%}"


def _times(name: str, now_ns: int | None, overall_ns: int | None) -> str:
    if not overall_ns:
        return ""
    now = f"{number(now_ns / NS_PER_MS)} now, " if now_ns else ""
    return f"{name} ms: {now}{number(overall_ns / NS_PER_MS)} overall"


def _queue(progress: Progress) -> str:
    parts = []
    if progress.in_flight is not None:
        parts.append(f"{progress.in_flight:,} in flight")
    if progress.backlog:
        parts.append(f"{progress.backlog:,} of them wait for a worker")
    if progress.dropped:
        parts.append(f"{progress.dropped:,} dropped")
    if progress.lateness_p99_ns is not None:
        parts.append(f"issued late by p99 {number(progress.lateness_p99_ns / NS_PER_MS)} ms")
    if progress.errors:
        parts.append(f"{progress.errors:,} errors")
    return ", ".join(parts)
