"""Replay: due times that were recorded elsewhere, as they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from qs.engine.checks import (
    LONGEST_S,
    faults_of,
    is_finite,
    number,
    numbers_of,
    part,
    to_ns,
)
from qs.engine.load.schedule import BLOCK, Schedule, striped


@dataclass(frozen=True, eq=False)
class Replay(Schedule):
    """Requests due `due_s` seconds after the start, in any order, played `speed` times as fast."""

    ends: ClassVar[bool] = True

    due_s: tuple[float, ...] | np.ndarray
    speed: float = 1.0
    index: int = 0
    of: int = 1

    @staticmethod
    def from_file(path: str | Path, column: str | None = None, speed: float = 1.0) -> Replay:
        """Read due times in seconds: a text file with one a line, or a column of a CSV or Parquet
        file.

        Raises ValueError that names the file and the line or column. Parquet needs the package
        pyarrow.
        """
        from qs.engine.due_file import read_due_seconds

        return Replay(read_due_seconds(Path(path), column), speed)

    def __reduce__(self):
        """As plain numbers: a worker process may have another version of numpy, which could not
        read our arrays.
        """
        return Replay, (
            tuple(np.asarray(self.due_s, np.float64).tolist()),
            self.speed,
            self.index,
            self.of,
        )

    def faults(self) -> list[str]:
        due = numbers_of(self.due_s)
        found = faults_of(
            *part(self.index, self.of),
            (due is not None, "due_s", self.due_s, "a list of numbers"),
        )
        if due is None:
            return found
        if not due.size:
            found.append("due_s: empty, a replay needs at least one due time")
        elif not np.isfinite(due).all() or due.min() < 0:
            found.append("due_s: every due time must be a finite number of seconds, at least 0")
        found += faults_of(
            number("speed", self.speed, is_finite(self.speed) and self.speed > 0, "above 0")
        )
        if not found and due.max() / self.speed > LONGEST_S:
            found.append(
                f"due_s: {due.max():,.0f} s after the start (at speed {self.speed:g}) lies beyond "
                f"{LONGEST_S:,.0f} s; due times are seconds from the start, not since 1970, and "
                "neither ms nor ns"
            )
        return found

    @property
    def duration_s(self) -> float:
        return float(np.max(self.due_s)) / self.speed

    def blocks(self) -> Iterator[np.ndarray]:
        due = np.sort(to_ns(np.rint(np.asarray(self.due_s, np.float64) * (1e9 / self.speed))))
        whole = (due[first : first + BLOCK] for first in range(0, due.size, BLOCK))
        return whole if self.of == 1 else striped(whole, self.index, self.of)

    def shard(self, index: int, of: int) -> Replay:
        return Replay(self.due_s, self.speed, self.index + index * self.of, self.of * of)
