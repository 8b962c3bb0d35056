"""Nodes that are lost in the midst of a run: how that is noticed, beside their connections' ends,
and how it is said.

A node that is lost has no say any more. What it had told at its last checkpoint is kept; its
processes are ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from qs.engine.conduct.ending import INTERRUPT_DRAIN_S
from qs.engine.distributed.leading.follower import Follower
from qs.engine.outcome import Ending
from qs.engine.plan import RunPlan
from qs.engine.words import number
from qs.engine.workers.share import until_ns_of

# How long a node may take to say that it has ended, beyond the limits of its own run.
ANSWER_S = 15.0
SOON_S = 5.0
# A leader that was held up for so long heard nobody meanwhile, for which nobody else is to blame.
HELD_UP_S = 1.0


@dataclass(frozen=True)
class Ended:
    """That the driver has told all nodes to end: by which rule, and when."""

    why: Ending
    at_ns: int


class Losing:
    """How long nodes are waited for in one run. Instants are ns on the driver's clock."""

    def __init__(self, plan: RunPlan, silent_s: float):
        self._plan = plan
        self._silent_s = silent_s
        self._looked_ns = 0
        self._listening_ns = 0  # since when nodes could be heard

    def look(self, now_ns: int) -> None:
        """Called before the others, several times a second."""
        if now_ns - self._looked_ns > HELD_UP_S * 1e9:
            self._listening_ns = now_ns
        self._looked_ns = now_ns

    def silent(self, follower: Follower, now_ns: int) -> str:
        """Why a node of which nothing is heard is lost; "" if it is not."""
        silent_s = (now_ns - max(follower.node.link.heard_ns, self._listening_ns)) / 1e9
        if silent_s > self._silent_s:
            return f"nothing was heard of it for {number(silent_s, 3)} s"
        # A call that blocks the run's event loop is counted by the node itself, when it has ended.
        mute_s = (now_ns - max(follower.heard_ns, self._listening_ns)) / 1e9
        if follower.heard_ns and mute_s > max(self._silent_s, self._plan.timeout_s) + ANSWER_S:
            return f"it told nothing of its run for {number(mute_s, 3)} s"
        return ""

    def overdue(self, follower: Follower, now_ns: int, start_ns: int, ended: Ended | None) -> str:
        """Why a node is lost that goes on talking and does not come to its end; "" if it does."""
        end_ns = until_ns_of(follower.share, start_ns)
        if ended is not None:
            end_ns = min(end_ns, ended.at_ns)
        limit_s = self._plan.drain_s + ANSWER_S
        if ended is not None and ended.why is Ending.INTERRUPT:
            # Somebody waits. What it has kept may be read for as long as it may drain.
            limit_s = 2 * min(self._plan.drain_s, INTERRUPT_DRAIN_S) + SOON_S
        elif follower.phase == "reading":
            return ""  # which takes as long as it takes, as on one machine
        # A long result is on its way for as long as parts of it come.
        late_s = (now_ns - max(end_ns, follower.node.link.answered_ns)) / 1e9
        if late_s <= limit_s:
            return ""
        since = "it was told to end" if ended is not None else "the end of its share"
        return f"it had not come back {number(late_s, 3)} s after {since}"
