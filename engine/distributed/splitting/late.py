"""What is left of a share from an instant on, for a node that takes it over from one that was lost.

Times go on counting from the common start of all, so that what it measures lies beside what the
others measure: it is let go with that start, however long ago that was. What fell due before the
instant is nobody's any more. It is in no part, and counts as not issued.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qs.engine.distributed.splitting.wrapping import Some
from qs.engine.load import AllAtOnce, ClosedLoop, Schedule, Sessions
from qs.engine.load.schedule import bounded
from qs.engine.plan import RunPlan, Stop
from qs.engine.workers.share import schedule_of, until_ns_of


@dataclass(frozen=True)
class FromThenOn(Some):
    """The requests of a schedule that are due at `from_ns` or later, when they were due anyway."""

    from_ns: int

    def blocks(self) -> Iterator[np.ndarray]:
        blocks = self.whole.blocks()
        for block in blocks:
            rest = block[int(np.searchsorted(block, self.from_ns, "left")) :]
            if rest.size:
                yield rest
                yield from blocks

    def shard(self, index: int, of: int) -> FromThenOn:
        return FromThenOn(self.whole.shard(index, of), self.from_ns)


def rest_of(share: RunPlan, done: int, from_s: float) -> RunPlan | None:
    """What is left of a share at an instant (seconds from the common start); None: nothing.

    done  how many of its requests are accounted for: completed, failed, or lost in flight. Only a
          load that goes by its count needs it: clients, and requests that were all due at once
    """
    from_ns = int(from_s * 1e9)
    if from_ns >= until_ns_of(share, 0):
        return None
    load, stop = share.load, share.stop
    if share.scheduled and not isinstance(load, AllAtOnce):
        return _due_from(share, schedule_of(share), from_ns)
    left = None if share.planned is None else share.planned - done
    if left is not None and left <= 0:
        return None
    if isinstance(load, AllAtOnce):
        assert left is not None
        return replace(_behind(share, done), load=AllAtOnce(left), stop=_counted(stop, None))
    if isinstance(load, ClosedLoop):
        load = replace(load, iterations=None)
    elif isinstance(load, Sessions) and load.arrivals is not None:
        arrivals = FromThenOn(load.arrivals, from_ns)
        if next(bounded(arrivals.blocks(), until_ns_of(share, 0), 1), None) is None:
            return None
        load = replace(load, arrivals=arrivals)
    return replace(share, load=load, stop=_counted(stop, left))


def _due_from(share: RunPlan, whole: Schedule, from_ns: int) -> RunPlan | None:
    """What is left of a schedule, each request with its own sample."""
    stop = share.stop
    gone = sum(block.size for block in bounded(whole.blocks(), from_ns, stop.iterations))
    left = None if stop.iterations is None else stop.iterations - gone
    rest = FromThenOn(whole, from_ns)
    if left == 0 or next(bounded(rest.blocks(), until_ns_of(share, 0), 1), None) is None:
        return None
    return replace(_behind(share, gone), load=rest, stop=_counted(stop, left))


def _counted(stop: Stop, iterations: int | None) -> Stop:
    return replace(stop, iterations=iterations)


def _behind(share: RunPlan, gone: int) -> RunPlan:
    """The share as a part whose first request is that after so many."""
    part = share.part
    if part is None:
        return share
    return replace(share, part=replace(part, index=part.index + gone * part.of))
