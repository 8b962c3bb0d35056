"""The error budget as the workers of one process see it: looked at where a request has failed, and
nowhere else, so that a fast failure is not repeated until the conductor looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qs.engine.record.memory import Field, Halt, Outcome, WorkerMemory
from qs.engine.statistics.beta import binomial_at_most

# The rate only counts as above the budget if a run within the budget would show so many failures
# once in a hundred times.
_SURE = 0.99
# Long enough for the conductor to look at all processes.
_PATIENCE_S = 0.5
_NAP_S = 0.01


class Limits(Protocol):
    """What a stop rule allows; None: any number, any share."""

    @property
    def max_errors(self) -> int | None: ...

    @property
    def max_error_rate(self) -> float | None: ...


def budget_spent(stop: Limits, completed: int, failed: int) -> bool:
    """Whether more requests failed than `max_errors`, or surely a larger share than
    `max_error_rate`.

    The share is above the budget when so many failures would come from a share within it with a
    probability of at most 1 % (binomial), so that one early failure does not end a run whose budget
    is 1 %.
    """
    if stop.max_errors is not None and failed > stop.max_errors:
        return True
    if stop.max_error_rate is None or not failed:
        return False
    return (
        1.0 - binomial_at_most(failed - 1, completed + failed, stop.max_error_rate) <= 1.0 - _SURE
    )


def answered(memories: Sequence[WorkerMemory]) -> int:
    """How many requests were completed, those of slices in progress included."""
    total = 0
    for memory in memories:
        total += int(memory.header[Field.COMPLETED])
        if memory.header[Field.SLICE_NS] and not memory.header[Field.FLUSHING]:
            good = (memory.completed != 0) & (memory.outcome == Outcome.COMPLETED)
            total += int(np.count_nonzero(good))
    return total


class Budget:
    """Ends the workers of one process when the budget is spent.

    `counter_fd` counts the failures of all processes where there are several (see `new_counter`).
    What they completed is then not known here, so a rate that looks too high makes a failing worker
    wait until the conductor has looked, and a doubled count of failures again.
    """

    def __init__(self, stop: Limits, memories: Sequence[WorkerMemory], counter_fd: int | None):
        self._stop = stop
        self._memories = memories
        self._fd = counter_fd
        self._next = 1
        self.waits = True  # whether a worker may wait

    def failed(self) -> None:
        """A request has failed, and has been counted."""
        cells = Field.FAILED, Field.DROPPED
        here = sum(int(memory.header[cell]) for memory in self._memories for cell in cells)
        most = self._stop.max_errors
        total = here if self._fd is None else os.lseek(self._fd, 1, os.SEEK_CUR)
        if most is not None and total > most:
            self._end()
        if self._stop.max_error_rate is None or here < self._next:
            return
        self._next = here + here // 16 + 1
        if not budget_spent(self._stop, answered(self._memories), here):
            return
        if self._fd is None:
            self._end()
        elif self.waits:
            self._next = 2 * here
            until = time.monotonic() + _PATIENCE_S
            while time.monotonic() < until and not self._memories[0].header[Field.STOP]:
                time.sleep(_NAP_S)

    def _end(self) -> None:
        for memory in self._memories:
            memory.header[Field.STOP] = Halt.NOW
