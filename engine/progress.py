"""What a watcher is told a few times a second while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A moment of a run. `phase` is build, warmup, measure or drain; None stands for what is not known (yet).

    queries_per_s is over the measured phase so far, now_per_s over the last tick; p50_ns and p99_ns are response times so far.
    """

    phase: str
    completed: int = 0
    planned: int | None = None
    errors: int = 0
    elapsed_s: float = 0.0
    queries_per_s: float = 0.0
    now_per_s: float = 0.0
    eta_s: float | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
