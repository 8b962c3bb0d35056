"""What all nodes together have measured so far: for the rules that need the whole, and for whoever
watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.conduct.progress import Progress, SoFar, eta_s
from qs.engine.conduct.stopping import Seen
from qs.engine.distributed.leading.follower import Follower
from qs.engine.distributed.results.counts import filled_of
from qs.engine.distributed.results.merging import Union
from qs.engine.distributed.results.updates import Update
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.statistics.estimate import Confidence
from qs.engine.workers.share import until_ns_of

# In the order of a run: the whole is where its slowest node is.
PHASES = ("starting", "build", "warmup", "measure", "drain", "reading")


class Whole:
    """Everything that the nodes of one run have told until now."""

    def __init__(self, plan: RunPlan, watched: bool):
        """`watched`: whether somebody wants to see the progress."""
        self._plan = plan
        self.union = Union(plan)
        self._so_far = SoFar() if watched else None
        self._lateness = Histogram()  # how late requests were issued so far, on all nodes

    def hear(self, follower: Follower, update: Update) -> None:
        """Take up what a node tells, unless it is over for it."""
        if follower.over:
            return
        before = follower.kept
        follower.hear(update)
        if update.snapshot is not None and self._so_far is not None:
            self._take(update.snapshot.lateness, 1)
            if before is not None:
                self._take(before.lateness, -1)
        if update.intervals:
            self.union.add(update.intervals)
            if self._so_far is not None:
                self._so_far.add((follower.index, interval) for interval in update.intervals)

    def _take(self, lateness: Histogram, times: int) -> None:
        index, counts = filled_of(lateness)
        self._lateness.counts[index] += times * counts.astype(np.int64)
        self._lateness.count += times * lateness.count

    def seen(self, followers: Sequence[Follower], since_start_ns: int) -> Seen:
        """For the stop rules."""
        return Seen(
            max(since_start_ns / 1e9, 0.0),
            max((each.answered_s for each in followers), default=0.0),
            sum(each.completed for each in followers),
            sum(each.failed for each in followers),
        )

    def confidence(self, followers: Sequence[Follower]) -> Confidence:
        """Of the time until which every node that goes on has told all."""
        told = min((each.last_interval for each in followers if not each.over), default=-1)
        return self.union.evidence.confidence((told + 1) * self._plan.recorded_ns / 1e9)

    def progress(
        self, followers: Sequence[Follower], now_ns: int, start_ns: int | None, ended: bool
    ) -> Progress:
        """The moment of the whole run; `start_ns` is None before the common start is known, `ended`
        whether the nodes were told to end.
        """
        nodes = tuple(each.shown(now_ns) for each in followers)
        phase = phase_of(followers)
        updates = [each.update for each in followers if each.update is not None]
        told = [each.progress for each in updates if each.progress is not None]
        if start_ns is None:
            warm = sum(each.completed for each in told)
            return Progress("build" if phase == "starting" else phase, warm, nodes=nodes)
        assert self._so_far is not None
        completed = sum(each.completed for each in followers)
        elapsed_s = max((now_ns - start_ns) / 1e9, 0.0)
        rate = completed / elapsed_s if elapsed_s else 0.0
        until_ns = until_ns_of(self._plan, start_ns)
        left_s = (until_ns - start_ns) / 1e9 - elapsed_s if until_ns < FOREVER_NS else None
        if ended and phase == "measure":
            phase = "drain"
        return Progress(
            phase,
            completed,
            self._plan.planned,
            sum(each.failed for each in followers),
            elapsed_s,
            rate,
            sum(each.now_per_s for each in nodes),  # which come in at different moments
            None if ended else eta_s(self._plan, completed, rate, elapsed_s, left_s),
            *self._so_far.in_all_ns(),
            *self._so_far.latest_ns(),
            in_flight=total(each.in_flight for each in told),
            backlog=total(each.backlog for each in told),
            dropped=sum(each.dropped for each in told),
            lateness_p99_ns=self._lateness.value_at(99) if self._plan.open_loop else None,
            response=self._so_far.response,
            read=total(each.read for each in told) if phase == "reading" else None,
            nodes=nodes,
        )


def phase_of(followers: Sequence[Follower]) -> str:
    """Where the whole run is: where those are that lag behind."""
    going = [PHASES.index(each.phase) for each in followers if not each.over]
    return PHASES[min(going)] if going else "drain"


def total(values: Iterable[int | None]) -> int | None:
    """None as soon as one is unknown."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if known and len(known) == len(found) else None
