"""What a driver keeps of a node's last checkpoint: a few kB, for its histograms are sparse as they
came in (qs.engine.distributed.results.counts), and there may be a thousand nodes.
"""

from __future__ import annotations

import numpy as np

from qs.engine.conduct.lead import Snapshot
from qs.engine.distributed.results.counts import filled_of


class Kept:
    """A node's last snapshot."""

    def __init__(self, snapshot: Snapshot):
        self._told = snapshot

    @property
    def lateness(self) -> tuple[np.ndarray, np.ndarray]:
        """The filled counts of its lateness: ascending indices, and these."""
        return filled_of(self._told.lateness)

    @property
    def elapsed_s(self) -> float:
        """When it was made, from the common start."""
        return max(self._told.now_ns - self._told.start_ns, 0) / 1e9

    @property
    def accounted(self) -> int:
        """How many requests it holds, good or failed."""
        return self._told.completed + sum(self._told.errors_by_kind.values())

    def snapshot(self) -> Snapshot:
        return self._told
