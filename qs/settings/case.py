"""One case of a performance run: what a row of the report was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """`batch_size` is the one that was loaded, `requested_batch_size` the one asked for."""

    name: str
    batch_size: int
    requested_batch_size: int
    clients: int
    iterations: int | None
    duration_s: float | None
    time_limit_s: float | None
    pool: str
    instances: int
    intra_op_threads: int | None
    affinity: tuple[tuple[int, ...], ...]
    scenario: str | None = None  # None: closed loop
    settings: dict[str, Any] | None = None  # the scenario's own
    batching: dict[str, Any] | None = None

    @property
    def lists(self) -> bool:
        """Whether a query is a list of batches."""
        return (
            bool((self.settings or {}).get("samples_per_query")) or self.scenario == "MultiStream"
        )

    @property
    def shared_by(self) -> int | None:
        """How many queries may share a call."""
        return self.batching["max_batch_size"] if self.batching else None
