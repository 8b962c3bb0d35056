"""What a child has found in kept requests, as plain data and back: every part has to be what it is
said to be, for a child runs code that is not trusted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qs.engine.hosts.messages import whole
from qs.engine.measures.checking import MOST_CHARACTERS, MOST_NAMES
from qs.engine.measures.counting import MOST_WINDOWS
from qs.engine.measures.found import STAMPS, Found
from qs.engine.measures.measure import HAPPENED_NS
from qs.engine.measures.reading import MOST
from qs.engine.outcome import Unread
from qs.engine.record.histogram import COUNTS, TRACKABLE_LIMIT_NS
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import HistogramCells, Outcome
from qs.engine.workers.share import PlanShare

_TEXT = 400
# A sum of many values may be more than an int64 holds.
_MOST_SUM = 1 << 100


def plain_found(found: Found) -> dict[str, Any]:
    """Plain data that crosses processes."""
    return {
        "worker": found.worker,
        "requests": found.requests,
        "completed": found.completed,
        "measures": {
            name: (tuple(cells), [_plain_interval(one) for one in intervals])
            for name, (cells, intervals) in found.measures.items()
        },
        "outcomes": found.outcomes,
        "happened": {name: _plain_pair(pair) for name, pair in found.happened.items()},
        "counts": found.counts,
        "good": _plain_pair(found.good),
        "sampled": {name: _bytes(column) for name, column in found.sampled.items()},
        "sample_shift": found.sample_shift,
        "columns": {name: _bytes(column) for name, column in found.columns.items()},
        "misread": found.misread,
        "written_bytes": found.written_bytes,
        "longest_write_ns": found.longest_write_ns,
        "unread": None if found.unread is None else str(found.unread),
        "fault": found.fault,
    }


def _plain_interval(one: Interval) -> tuple[int, bytes, bytes]:
    return one.number, one.index.astype("<u2").tobytes(), _bytes(one.counts)


def _plain_pair(pair: tuple[np.ndarray, np.ndarray]) -> tuple[bytes, bytes]:
    return _bytes(pair[0]), _bytes(pair[1])


def _bytes(column: np.ndarray) -> bytes:
    return column.astype("<i8").tobytes()


def found_of(plain: Any, share: PlanShare, most: int) -> Found:
    """What a child has found in a part of this share. No interval has a number above `most`. Raises
    ValueError or TypeError.
    """
    plan = share.plan
    requests = whole(plain["requests"], MOST)
    completed = whole(plain["completed"], requests)
    single = [measure.name for measure in plan.measures if not measure.many]
    measured = {}
    for name, (cells, intervals) in _named(plain["measures"]).items():
        if name not in [measure.name for measure in plan.measures]:
            raise ValueError(f"a measure {name!r:.40}")
        measured[name] = _measured(cells, intervals, most, completed if name in single else None)
    for name in (*_named(plain["outcomes"]), *_named(plain["counts"])):
        whole(plain["outcomes"].get(name, 0), requests), whole(plain["counts"].get(name, 0))
    misread = _named(plain["misread"])
    if not all(isinstance(why, str) and len(why) <= _TEXT for why in misread.values()):
        raise TypeError("a reason that is no text")
    if not isinstance(plain["fault"], str) or len(plain["fault"]) > _TEXT:
        raise TypeError("a fault that is no text")
    windows = min((most + 1) * plan.recorded_ns // HAPPENED_NS, MOST_WINDOWS - 1)
    good = _pair(plain["good"], most)
    if int(good[1].sum()) > completed:
        raise ValueError("more good requests than completed ones")
    return Found(
        share.first,
        requests,
        completed,
        measured,
        dict(plain["outcomes"]),
        {name: _pair(pair, windows) for name, pair in _named(plain["happened"]).items()},
        dict(plain["counts"]),
        good,
        _columns(plain["sampled"], single, requests),
        whole(plain["sample_shift"], 63, -1),
        _columns(plain["columns"], single, completed),
        misread,
        whole(plain["written_bytes"]),
        whole(plain["longest_write_ns"]),
        None if plain["unread"] is None else Unread(plain["unread"]),
        plain["fault"],
    )


def _named(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or len(found) > 3 * MOST_NAMES:
        raise TypeError("no dict of a few names")
    if not all(isinstance(name, str) and len(name) <= MOST_CHARACTERS for name in found):
        raise TypeError("a name that is none")
    return found


def _measured(
    cells: Any, intervals: Any, most: int, values: int | None
) -> tuple[HistogramCells, list[Interval]]:
    counted, least, greatest, total, beyond = cells
    known = HistogramCells(
        whole(counted), whole(least), whole(greatest), whole(total, _MOST_SUM), whole(beyond)
    )
    found = []
    for number, index, counts in intervals:
        one = Interval(
            whole(number, most), np.frombuffer(index, "<u2"), np.frombuffer(counts, "<i8"), 0
        )
        if one.index.size != one.counts.size or np.any(np.diff(one.index.astype(int)) <= 0):
            raise ValueError("counts that belong to no values")
        if one.index.size and (one.index[-1] >= COUNTS or int(one.counts.min()) <= 0):
            raise ValueError("a value that no histogram holds")
        found.append(Interval.compact(one.number, one.index, one.counts, 0))
    if sum(int(one.counts.sum()) for one in found) != known.counted:
        raise ValueError("a histogram that does not count its values")
    if known.counted and not known.min_ns <= known.max_ns < TRACKABLE_LIMIT_NS:
        raise ValueError("a least value above the greatest")
    if values is not None and known.counted + known.out_of_range > values:
        raise ValueError("more values than requests")
    return known, found


def _pair(found: Any, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Ascending numbers up to `most`, and an amount for each."""
    numbers, amounts = (np.frombuffer(each, "<i8") for each in found)
    if numbers.size != amounts.size or np.any(np.diff(numbers) <= 0):
        raise ValueError("amounts that belong to nothing")
    if numbers.size and (int(numbers[0]) < 0 or int(numbers[-1]) > most or int(amounts.min()) < 0):
        raise ValueError("an amount that cannot be")
    return numbers, amounts


def _columns(found: Any, single: list[str], most: int) -> dict[str, np.ndarray]:
    """Columns of at most so many requests; {} if there are none."""
    names = [*STAMPS, "outcome", "worker", *single]
    if not found:
        return {}
    if sorted(found) != sorted(names):
        raise ValueError("columns that nobody asked for")
    columns = {name: np.frombuffer(found[name], "<i8") for name in names}
    if len({column.size for column in columns.values()}) != 1 or columns["worker"].size > most:
        raise ValueError("columns of different lengths")
    outcome = columns["outcome"]
    if outcome.size and not 0 <= int(outcome.min()) <= int(outcome.max()) <= max(Outcome):
        raise ValueError("an outcome that is none")
    return {**columns, "outcome": outcome.astype(np.int8)}
