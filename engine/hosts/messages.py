"""What a child says of a run, as the conductor takes it: plain data by now (see `channel`), of
which every part still has to be what it is said to be, for a child runs code that is not trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from qs.engine.errors import HostError
from qs.engine.record.histogram import COUNTS
from qs.engine.record.intervals import Interval
from qs.engine.record.report import WarmUp, WorkerReport

T = TypeVar("T")


def understood(read: Callable[..., T], *arguments: Any) -> T:
    """What `read` makes of a part of a message. Raises HostError if it is not what it should be."""
    try:
        return read(*arguments)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as fault:
        why = f"a host's process sent a message that makes no sense ({fault})"
        raise HostError(type(fault).__name__, why) from None


def answer_of(message: Any) -> tuple:
    """A message: a tuple that begins with a word; an error has its four parts, an answer one."""
    kind, *rest = message
    if kind not in ("ready", "intervals", "measured", "found", "ok", "error"):
        raise ValueError(f"an answer of the kind {kind!r:.40}")
    words = all(isinstance(each, str) for each in (kind, *rest[:3]))
    if kind == "error" and not (words and 3 <= len(rest) <= 4):
        raise ValueError("an error without its texts")
    if kind in ("ok", "intervals", "measured", "found") and len(rest) != 1:
        raise ValueError(f"{kind!r} with {len(rest)} values")
    return tuple(message)


def intervals_of(plain: Any, first: int, workers: int, most: int) -> list[tuple[int, Interval]]:
    """The intervals of `workers` workers from number `first` on, none numbered above `most`."""
    found = []
    for worker, number, index, counts, failed in plain:
        one = Interval(
            whole(number, most),
            np.frombuffer(index, "<u2"),
            np.frombuffer(counts, "<u4"),
            whole(failed),
        )
        if one.index.size != one.counts.size or np.any(np.diff(one.index.astype(int)) <= 0):
            raise ValueError("counts that belong to no values")
        if one.index.size and one.index[-1] >= COUNTS:
            raise ValueError("a value that no histogram holds")
        found.append((whole(worker, first + workers - 1), one))
    return found


def reports_of(plain: Any, workers: int, most: int, parts: int = 0) -> list[WorkerReport]:
    """The reports of so many workers; none knows of more than `most` intervals. Their columns have
    so many `parts`.
    """
    if len(plain) != workers:
        raise ValueError(f"{len(plain)} reports of {workers} workers")
    return [_report(dict(each), most, parts) for each in plain]


def _report(plain: dict, most: int, parts: int) -> WorkerReport:
    warm, columns = plain.pop("warm"), plain.pop("columns")
    report = WorkerReport(**plain, warm=None if warm is None else WarmUp(**warm))
    cells = (
        report.worker,
        report.cpu_ns,
        report.delayed_ns,
        report.voluntary_switches,
        report.involuntary_switches,
        report.collections,
        report.longest_collection_ns,
    )
    counted = (*report.errors.values(), *report.counts.values())
    for value in (*cells, *counted, *report.arrivals):
        whole(value)
    if len(report.arrivals) > 2 * (most + 64):
        raise ValueError("requests that fall due after the run")
    for index, count in report.paced:
        whole(index, COUNTS - 1), whole(count)
    for began, ended, rows in report.slices:
        whole(began), whole(ended), whole(rows)
    if report.wake_up_ns is not None:
        whole(report.wake_up_ns)
    if report.warm is not None:
        for name in ("completed", "failed", "wall_ns", "first_ns", "timed_out"):
            whole(getattr(report.warm, name))
        float.__add__(float(report.warm.mean_ns), 0.0)
    texts = (report.first_fault, report.crash, *report.errors, *report.counts)
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("a text that is none")
    report.columns = [_columns(part, parts) for part in columns]
    return report


def _columns(part: Any, parts: int) -> tuple[np.ndarray, ...]:
    dtypes = (*[np.int64] * (3 + parts), np.int8)
    arrays = tuple(np.frombuffer(column, dtype) for column, dtype in zip(part, dtypes))
    if len(arrays) != len(dtypes) or len({array.size for array in arrays}) != 1:
        raise ValueError("columns of different lengths")
    return arrays


def whole(value: Any, most: int = (1 << 63) - 1, least: int = 0) -> int:
    """The value, if it is a whole number from `least` to `most`; raises ValueError."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r:.40} for a number from {least} to {most}")
    return value
