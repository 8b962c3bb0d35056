"""One node's part in one run, as its driver follows it: what it has told last, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qs.engine.clock import MONOTONIC
from qs.engine.conduct.lead import Snapshot
from qs.engine.conduct.progress import NodeProgress
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.leading.open_node import Node
from qs.engine.distributed.results.updates import Update
from qs.engine.plan import RunPlan
from qs.engine.record.intervals import IntervalLog
from qs.engine.result import RunResult


@dataclass(eq=False)
class Follower:
    """One node with its share. Instants are ns on the driver's clock, unless they are said to be of
    the node's.
    """

    node: Node
    share: RunPlan
    index: int  # among all of the run
    log: IntervalLog  # the intervals that it has told of
    replaces: Follower | None = None
    # as of Progress; "starting" before it is heard of, "lost" when it was
    phase: str = "starting"
    update: Update | None = None  # the last one
    heard_ns: int = 0  # when it came
    kept: Snapshot | None = None  # all that it had measured at its last checkpoint
    last_interval: int = -1
    result: RunResult | None = None
    fault: BaseException | None = None  # to which it was lost
    lost_at_ns: int = 0
    note: str = ""  # on its place, if nobody took it
    ready: bool = False  # built and warmed up

    @property
    def over(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.result is not None or self.fault is not None

    @property
    def completed(self) -> int:
        if self.result is not None:
            return self.result.completed
        return 0 if self.update is None else self.update.completed

    @property
    def failed(self) -> int:
        if self.result is not None:
            return self.result.errors
        return 0 if self.update is None else self.update.failed

    @property
    def accounted(self) -> int:
        """How many requests of its share have an outcome, or were lost in its clients' hands."""
        told = 0 if self.kept is None else self.kept.accounted
        return told + (self.share.clients or 0)

    @property
    def number(self) -> int:
        """Of its share: that of the node whose share it took over, if it did."""
        return self.index if self.replaces is None else self.replaces.number

    @property
    def times_replaced(self) -> int:
        return 0 if self.replaces is None else self.replaces.times_replaced + 1

    @property
    def answered_s(self) -> float:
        """When it had its last answer, from the common start."""
        if self.update is None or not self.update.last_answer_ns:
            return 0.0
        return max(self.update.last_answer_ns - self.update.start_ns, 0) / 1e9

    def hear(self, update: Update) -> None:
        """Take up what it tells. Once it is lost nothing of it counts any more."""
        if self.over:
            return
        self.heard_ns = MONOTONIC.now_ns()
        self.update = replace(update, snapshot=None, intervals=None)
        if update.snapshot is not None:
            self.kept = update.snapshot
        if update.intervals:
            self.log.add((self.index, interval) for interval in update.intervals)
            newest = max(interval.number for interval in update.intervals)
            self.last_interval = max(self.last_interval, newest)
        self.phase = update.phase

    def lose(self, fault: BaseException, now_ns: int) -> None:
        """It is lost: what it had told until its last checkpoint is kept, what it says from now on
        is not heard.
        """
        if not self.over:
            self.fault, self.lost_at_ns = fault, now_ns

    @property
    def lost(self) -> bool:
        return self.fault is not None

    @property
    def why(self) -> str:
        """Why it was lost, without its name. How its process ended may be known only later."""
        if self.fault is None:
            return ""
        why = self.node.lost if isinstance(self.fault, NodeLost) else str(self.fault)
        return f"{why or self.fault}; {self.note}" if self.note else why or str(self.fault)

    def shown(self, now_ns: int) -> NodeProgress:
        """How it is doing, for whoever watches."""
        progress = None if self.update is None else self.update.progress
        return NodeProgress(
            self.node.name,
            "lost" if self.lost else self.phase,
            self.completed,
            self.failed,
            0.0 if progress is None or self.over else progress.now_per_s,
            None if progress is None else progress.p99_ns,
            0.0 if self.over else max(now_ns - self.node.link.heard_ns, 0) / 1e9,
        )
