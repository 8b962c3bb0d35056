"""What a driver keeps of a node's last checkpoint: a few kB where histograms with all their counts
have most of a MB, and there may be a thousand nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qs.engine.conduct.lead import Snapshot
from qs.engine.record.histogram import Histogram

_EMPTY = Histogram()


@dataclass(frozen=True)
class Sparse:
    """A histogram's filled counts, and its figures."""

    index: np.ndarray
    counts: np.ndarray
    figures: tuple[int, int, int, int, int]

    @classmethod
    def of(cls, whole: Histogram) -> Sparse:
        index = np.flatnonzero(whole.counts)
        figures = (whole.count, whole.min_ns, whole.max_ns, whole.sum_ns, whole.out_of_range)
        return cls(index.astype(np.uint16), whole.counts[index], figures)

    def histogram(self) -> Histogram:
        whole = Histogram()
        whole.counts[self.index] = self.counts
        whole.count, whole.min_ns, whole.max_ns, whole.sum_ns, whole.out_of_range = self.figures
        return whole


class Kept:
    """A snapshot, whose histograms are sparse until they are asked for."""

    def __init__(self, snapshot: Snapshot):
        times = snapshot.response, snapshot.service, snapshot.lateness
        self.response, self.service, self.lateness = map(Sparse.of, times)
        self._rest = replace(snapshot, response=_EMPTY, service=_EMPTY, lateness=_EMPTY)
        self._one = snapshot.service is snapshot.response

    @property
    def elapsed_s(self) -> float:
        """When it was made, from the common start."""
        return max(self._rest.now_ns - self._rest.start_ns, 0) / 1e9

    @property
    def accounted(self) -> int:
        """How many requests it holds, good or failed."""
        return self._rest.completed + sum(self._rest.errors_by_kind.values())

    def snapshot(self) -> Snapshot:
        response = self.response.histogram()
        service = response if self._one else self.service.histogram()
        lateness = self.lateness.histogram()
        return replace(self._rest, response=response, service=service, lateness=lateness)
