"""What every open-loop model is: a sequence of due times, fixed before the run.

A schedule knows no clock. It yields absolute offsets from the start of the measured phase, in
blocks, so that a long run needs no more memory than a short one and every worker, in whatever
process, can produce the same sequence for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

BLOCK = 16_384


@runtime_checkable
class Schedule(Protocol):
    """A load model of open loop. What has a body holds unless a model says otherwise."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Non-decreasing int64 offsets in ns from the start, in arrays of at most BLOCK; may be
        endless.
        """
        ...

    def shard(self, index: int, of: int) -> Schedule:
        """The part of the schedule that worker `index` of `of` runs alone; all parts together are
        the schedule.
        """
        ...

    def faults(self) -> list[str]:
        """Everything that is wrong with the parameters; empty when it can run."""
        ...

    @property
    def planned(self) -> int | None:
        """How many requests it makes in all, if that is fixed."""
        return None

    @property
    def duration_s(self) -> float | None:
        """How long it lasts, if it states that: it may end in a pause, after its last request."""
        return None

    @property
    def ends(self) -> bool:
        """Whether it has an end of its own."""
        return False

    @property
    def sets_rate(self) -> bool:
        """Whether the due times set the pace of the run, and not the target."""
        return True

    @property
    def seed(self) -> int | None:
        """The seed of its due times, if they are drawn."""
        return None

    def seeded(self) -> Schedule:
        """The same schedule, with a seed drawn if it wants one and has none."""
        return self


def bounded(
    blocks: Iterator[np.ndarray], until_ns: int | None, count: int | None
) -> Iterator[np.ndarray]:
    """The blocks cut at a time (exclusive) and after a number of requests, whichever is first."""
    left = count
    for block in blocks:
        if left is not None and block.size > left:
            block = block[:left]
        if until_ns is not None and block.size and block[-1] >= until_ns:
            cut = block[: int(np.searchsorted(block, until_ns, "left"))]
            if cut.size:
                yield cut
            return
        if block.size:
            yield block
        if left is not None:
            left -= block.size
            if left <= 0:
                return


def striped(blocks: Iterator[np.ndarray], index: int, of: int) -> Iterator[np.ndarray]:
    """Every `of`-th due time, beginning with number `index`: an exact share without any
    coordination.
    """
    position = 0
    for block in blocks:
        first = (index - position) % of
        position += block.size
        share = block[first::of]
        if share.size:
            yield share
