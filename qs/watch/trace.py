"""A run as a trace that Perfetto and Chrome's tracing page open: stages, loads, phases of each
case, slices of each worker, counters.

The format is the Trace Event Format's JSON object ("traceEvents", times in microseconds). Slices
are bounded by the engine; counters come from the rows' time series. Written at the end, whole or
not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.base.files import write_json
from qs.watch.view import Follow, View

if TYPE_CHECKING:
    from qs.engine import Progress, RunResult

PROCESS = 1
STAGES, CASES, PHASES_ROW, FIRST_WORKER = 1, 2, 3, 10
US_PER_S = 1e6


class Trace(View):
    """Collects the events of one run; times count from when it was made."""

    wants_slices = True

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._began = clock()
        self._events: list[dict[str, Any]] = []
        self._names: dict[int, str] = {STAGES: "stages", CASES: "cases", PHASES_ROW: "phases"}
        self._phase: tuple[str, float] | None = None
        self._measured_us: float | None = None

    def _now_us(self) -> float:
        return (self._clock() - self._began) * US_PER_S

    def _complete(
        self, row: int, name: str, began_us: float, ended_us: float, **about: Any
    ) -> None:
        duration = max(ended_us - began_us, 0.0)
        self._events.append(
            {
                "ph": "X",
                "pid": PROCESS,
                "tid": row,
                "name": name,
                "ts": began_us,
                "dur": duration,
                "args": about,
            }
        )

    @contextmanager
    def _span(self, row: int, name: str) -> Iterator[None]:
        """Something that lasts as long as the context."""
        began = self._now_us()
        try:
            yield
        finally:
            self._complete(row, name, began, self._now_us())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with self._span(STAGES, name):
            yield

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        with self._span(CASES, title):
            yield self._see

    def _see(self, progress: Progress) -> None:
        """Note the case's phase and its counters."""
        now = self._now_us()
        if self._phase is None or self._phase[0] != progress.phase:
            self._end_phase(now)
            self._phase = (progress.phase, now)
            if progress.phase == "measure":
                self._measured_us = now - progress.elapsed_s * US_PER_S
        if progress.phase == "measure":
            self._count("queries/s", now, progress.now_per_s)
            if progress.p99_now_ns:
                self._count("p99 ms", now, progress.p99_now_ns / 1e6)
            if progress.in_flight is not None:
                self._count("in flight", now, progress.in_flight)

    def ended(self, title: str, result: RunResult) -> None:
        """Add the slices of the case's workers."""
        self._end_phase(self._now_us())
        start = self._measured_us
        if start is not None:
            for worker, began_ns, ended_ns, requests in result.slices:
                row = FIRST_WORKER + worker
                self._names.setdefault(row, f"worker {worker}")
                self._complete(
                    row, title, start + began_ns / 1e3, start + ended_ns / 1e3, requests=requests
                )
        self._measured_us = None

    def _end_phase(self, now: float) -> None:
        if self._phase is not None:
            self._complete(PHASES_ROW, self._phase[0], self._phase[1], now)
        self._phase = None

    def _count(self, name: str, at: float, value: float) -> None:
        self._events.append(
            {"ph": "C", "pid": PROCESS, "tid": 0, "name": name, "ts": at, "args": {"value": value}}
        )

    def to_dict(self, title: str) -> dict[str, Any]:
        about = [
            {"ph": "M", "pid": PROCESS, "tid": 0, "name": "process_name", "args": {"name": title}}
        ]
        for row, name in sorted(self._names.items()):
            about.append(
                {
                    "ph": "M",
                    "pid": PROCESS,
                    "tid": row,
                    "name": "thread_name",
                    "args": {"name": name},
                }
            )
        return {
            "traceEvents": [*about, *sorted(self._events, key=lambda event: event["ts"])],
            "displayTimeUnit": "ms",
        }

    def write(self, path: Path, title: str) -> None:
        write_json(path, self.to_dict(title))
