"""Of schedules that run side by side, which requests are the first so many of all together: what a
count of requests cuts off each part of a Poisson process.

Each schedule is drawn once, block by block, so 1e8 requests of 1,000 parts need no more memory than
one block and what is due about the cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.load import Poisson

# How far about the expected end it is looked for, in standard deviations: missed once in 1e15
# times, and then looked for further out.
_DEVIATIONS = 8.0
_SLACK = 100.0  # and so many requests


def counts_until(shards: Sequence[Poisson], until_ns: int) -> list[int]:
    """How many requests of each are due before an instant."""
    return [_Near(shard, until_ns, until_ns).before for shard in shards]


@lru_cache(maxsize=4)  # a plan is looked at, made and run: each asks for the same
def first_of(shards: tuple[Poisson, ...], count: int) -> tuple[tuple[int, ...], int]:
    """How many of the first `count` requests of all are each one's, and when the last of them is
    due (ns). Of those that are due at the same time the earlier parts come first.
    """
    rate_per_ns = sum(shard.rate_per_s for shard in shards) / 1e9
    wide = 1.0
    while True:
        spread = wide * (_DEVIATIONS * math.sqrt(count) + _SLACK)
        from_ns = _ns(max(count - spread, 0.0) / rate_per_ns)
        until_ns = _ns((count + spread) / rate_per_ns)
        near = [_Near(shard, from_ns, until_ns) for shard in shards]
        missing = count - sum(each.before for each in near)
        due = np.concatenate([each.due for each in near])
        if until_ns >= FOREVER_NS or 0 < missing <= due.size:
            break
        wide *= 4
    whose = np.repeat(np.arange(len(near)), [each.due.size for each in near])
    chosen = np.argsort(due, kind="stable")[:missing]
    own = np.bincount(whose[chosen], minlength=len(near))
    last_ns = int(due[chosen[-1]]) if chosen.size else FOREVER_NS
    return tuple(each.before + int(more) for each, more in zip(near, own)), last_ns


class _Near:
    """How many requests of a schedule are due before an instant, and when those are that are due
    from there to another.
    """

    def __init__(self, shard: Poisson, from_ns: int, until_ns: int):
        self.before = 0
        due: list[np.ndarray] = []
        for block in shard.blocks():
            first, end = np.searchsorted(block, [from_ns, until_ns], "left").tolist()
            self.before += first
            if first < end:
                due.append(block[first:end])
            if end < block.size:
                break
        self.due = np.concatenate([np.zeros(0, np.int64), *due])


def _ns(offset: float) -> int:
    return int(min(offset, float(FOREVER_NS)))
