"""The log of each measure of a language model's case, beside that of its response times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qs.engine import Histogram, IntervalRow, RunResult
from qs.llm.measures import INPUT_TOKENS, NORMALISED, OUTPUT_TOKENS, STREAMED

MOST_LOGGED = 400  # intervals of a measure's log
LOGGED = {each.name for each in (*STREAMED, NORMALISED, INPUT_TOKENS, OUTPUT_TOKENS)}


def write_logs(result: RunResult, log: Path) -> dict[str, str]:
    """Write the log of each measure beside that of the response times: by measure, the name in the
    report's folder. Those of counts of tokens that are compared with nothing are left out.
    """
    written = {}
    for name, measured in result.measures.items():
        if measured.histogram.count and name in LOGGED:
            path = log.with_name(f"{log.name.removesuffix('.hlog')}.{name}.hlog")
            coarse = replace(measured, intervals=coarser(measured.intervals))
            replace(result, measures={name: coarse}).write_hlog(path, name)
            written[name] = f"{path.parent.name}/{path.name}"
    return written


def coarser(rows: Sequence[IntervalRow], most: int = MOST_LOGGED) -> list[IntervalRow]:
    """At most so many intervals, neighbours put together: writing one takes 0.4 ms, and a run has
    a log for each measure.
    """
    size = -(-len(rows) // most) or 1
    if size == 1:
        return list(rows)
    groups = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [_together(group) for group in groups]


def _together(rows: Sequence[IntervalRow]) -> IntervalRow:
    found = Histogram()
    for row in rows:
        found.merge(row.histogram())
    index = np.flatnonzero(found.counts)
    return replace(
        rows[0],
        length_s=sum(row.length_s for row in rows),
        completed=sum(row.completed for row in rows),
        index=index,
        counts=found.counts[index],
    )
