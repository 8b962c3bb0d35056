"""A case in flight in words: how far it is, how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qs.engine import Progress

from qs.base.words import number, rate, span

PHASES = {
    "build": "loading",
    "warmup": "warming up",
    "measure": "measuring",
    "drain": "finishing",
    "reading": "reading answers",
}


def outlook(planned: int | None, queries_per_s: float, limit_s: float | None) -> str:
    """What is left after the warm-up, at a speed above zero: how long it takes, and how far it gets
    within a limit.
    """
    speed = f"{rate(queries_per_s)} queries/s"
    if planned is None:
        return (
            f"measuring for at most {span(limit_s)} at about {speed}"
            if limit_s
            else f"measuring at about {speed}"
        )
    needed_s = planned / queries_per_s
    if limit_s is not None and needed_s > limit_s:
        reach = min(planned, round(queries_per_s * limit_s))
        far = f"about {reach} of them" if reach else "hardly one of them; those begun are finished"
        return (
            f"at {speed} all {planned} queries take {span(needed_s)}; "
            f"the limit is {span(limit_s)}, {far}"
        )
    return f"{planned} queries at {speed} take about {span(needed_s)}"


def doing(progress: Progress) -> str:
    """What a case does, in a few words."""
    if progress.read is None:
        return PHASES.get(progress.phase, progress.phase)
    of = number(progress.completed + progress.errors)
    return f"{PHASES[progress.phase]}, {number(progress.read)} of {of}"


def state(progress: Progress) -> str:
    """One line on a case in flight."""
    of = f" of {number(progress.planned)}" if progress.planned else ""
    parts = [f"{number(progress.completed)}{of} queries"]
    if progress.completed:
        parts.append(f"{rate(progress.queries_per_s)} queries/s")
    if progress.p50_ns:
        parts.append(f"p50 {number(progress.p50_ns / 1e6)} ms")
    if progress.p99_ns:
        parts.append(f"p99 {number(progress.p99_ns / 1e6)} ms")
    if progress.errors:
        parts.append(f"{number(progress.errors)} errors")
    if progress.eta_s is not None:
        parts.append(f"{span(progress.eta_s)} left")
    return ", ".join(parts)


def share(progress: Progress, limit_s: float | None) -> tuple[float, float | None]:
    """How full the bar is (done, total): by queries, or by time where time ends the case first."""
    by_time = (min(progress.elapsed_s, limit_s), limit_s) if limit_s else (0.0, None)
    if not progress.planned:
        return by_time
    by_count = (float(progress.completed), float(progress.planned))
    if limit_s and progress.elapsed_s / limit_s > progress.completed / progress.planned:
        return by_time
    return by_count


class Outlook:
    """Notices the end of the warm-up and says, once, how long the rest will take.

    The speed is the rate of an open loop; else the warm-up's, or the measured phase's own as soon
    as that has ten queries to show.
    """

    ENOUGH = 10

    def __init__(
        self,
        title: str,
        limit_s: float | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        asked_per_s: float | None = None,
    ):
        self._asked_per_s = asked_per_s
        self._title, self._limit_s, self._say, self._clock = title, limit_s, say, clock
        self._began = self._clock()
        self._warm_rate = 0.0
        self._said = False

    def see(self, progress: Progress) -> None:
        now = self._clock()
        if progress.phase == "build":
            self._began = now
        elif progress.phase == "warmup" and now > self._began:
            self._warm_rate = progress.completed / (now - self._began)
        elif progress.phase == "measure" and not self._said:
            measured = progress.completed >= self.ENOUGH
            speed = self._asked_per_s or (progress.queries_per_s if measured else self._warm_rate)
            if speed:
                self._said = True
                self._say(f"{self._title}: {outlook(progress.planned, speed, self._limit_s)}")
