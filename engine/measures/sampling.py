"""A sample of single requests, evenly over the run, that may be drawn in parts: of the parts'
samples comes the very one that somebody would have drawn who had seen all requests.

Time is cut into cells, and the first request that ended in a cell stands for it. Where there are
too many, cells are doubled. At the end there are more than were asked for, unless there were fewer
requests, and so many of them, at even distances, are the sample.
"""

from __future__ import annotations

import numpy as np

Columns = dict[str, np.ndarray]
_MARK = "new"
# How requests that ended at the same instant are told apart.
_ORDER = ("completed_ns", "due_ns", "issued_ns", "sent_ns", "first_ns", "worker")


class Sample:
    """At most `most` requests of those that were added."""

    def __init__(self, most: int, start_ns: int):
        self._most, self._start_ns = most, start_ns
        self.shift = -1  # a cell is 2 ** this ns; below 0: each request has its own
        self._rows: Columns = {}

    def add(self, rows: Columns, shift: int = -1) -> Columns:
        """Add requests; returns those of them that are in it by now. Of those that a part's sample
        returned, `shift` is that sample's since: what it left out is in none of smaller cells.
        """
        self.shift = max(self.shift, shift)
        rows = rows or {name: column[:0] for name, column in self._rows.items() if name != _MARK}
        if not rows or not self._most:
            return {}
        new = {**rows, _MARK: np.ones(rows[_ORDER[0]].size, bool)}
        old = self._rows or {name: column[:0] for name, column in new.items()}
        both = {name: np.concatenate([old[name], column]) for name, column in new.items()}
        order = np.lexsort([both[name] for name in reversed(_ORDER)])
        at_ns = np.maximum(both[_ORDER[0]][order] - self._start_ns, 0)
        while True:
            if self.shift < 0:
                first = np.arange(at_ns.size)
            else:
                first = np.unique(at_ns >> self.shift, return_index=True)[1]
            if first.size <= 2 * self._most:
                break
            self.shift += 1
        kept = {name: column[order[first]] for name, column in both.items()}
        is_new = kept.pop(_MARK)
        self._rows = {**kept, _MARK: np.zeros(is_new.size, bool)}
        return {name: column[is_new] for name, column in kept.items()}

    def rows(self) -> Columns:
        """The sample, in order of completion."""
        columns = {name: column for name, column in self._rows.items() if name != _MARK}
        size = columns[_ORDER[0]].size if columns else 0
        if size > self._most:
            chosen = np.linspace(0, size - 1, self._most).round().astype(np.int64)
            columns = {name: column[chosen] for name, column in columns.items()}
        return columns
