"""What was found in some requests that were read. Such parts add up: over batches, workers and
processes, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qs.engine.outcome import Unread
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import HistogramCells

# Columns of a single request, but for its outcome, its worker and its measures; ns on the run's
# clock, 0 where there is none.
STAMPS = ("due_ns", "issued_ns", "sent_ns", "first_ns", "completed_ns")


@dataclass
class Found:
    """The requests of one batch. Every part is bounded by the batch, and none is needed for
    another.
    """

    worker: int = 0  # its number in the whole run
    requests: int = 0
    completed: int = 0  # of them, those that were completed in time and without a failure
    # by measure, of the completed ones: the exact cells of their histogram, and its counts by
    # interval
    measures: dict[str, tuple[HistogramCells, list[Interval]]] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    # by name: numbers of windows of HAPPENED_NS from the start, ascending, and how much in each
    happened: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    # requests that kept all bounds: numbers of intervals, ascending, and how many in each
    good: tuple[np.ndarray, np.ndarray] = field(
        default_factory=lambda: (np.zeros(0, np.int64), np.zeros(0, np.int64))
    )
    # single requests, by column: those of the sample, and (`columns`), if the run keeps them, all
    # completed ones
    sampled: dict[str, np.ndarray] = field(default_factory=dict)
    sample_shift: int = -1  # `Sample.shift` of the worker's, with this batch
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    # what the reader told wrongly, by measure or by part of the reading, and how
    misread: dict[str, str] = field(default_factory=dict)
    # what was written to a file while requests were made, and the longest that it took at once
    written_bytes: int = 0
    longest_write_ns: int = 0
    # why requests were not read, and how the reader failed, if it did
    unread: Unread | None = None
    fault: str = ""
