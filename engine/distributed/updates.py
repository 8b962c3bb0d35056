"""What a node tells of a run while it goes on, how much of it its driver wants, and both as plain
data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from qs.engine.conduct.lead import Moment, Snapshot
from qs.engine.conduct.progress import Progress
from qs.engine.hosts.messages import whole
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval
from qs.engine.result import RunResult, WarmUpResult


@dataclass(frozen=True)
class RunOptions:
    """What a driver wants of a node's run, besides its result."""

    keep_columns: bool = False
    keep_slices: bool = False
    progress: bool = True  # whether updates bring a Progress, which costs the run a little
    # how far apart updates are at least, and those that bring intervals and a snapshot
    update_s: float = 0.2
    checkpoint_s: float = 1.0


@dataclass(frozen=True)
class Update:
    """What has been measured on a node by a moment. All times are on its clock."""

    now_ns: int
    start_ns: int  # the common start, as it was told
    # when the last of its workers began, at the common start or late; 0: one has not yet
    began_ns: int
    told_ns: int  # when the word to start came in
    completed: int
    failed: int
    last_answer_ns: int  # 0 before the first
    # closed since the last update that had some, over all workers; None: not in this update
    intervals: tuple[Interval, ...] | None = None
    snapshot: Snapshot | None = None  # about once a second
    progress: Progress | None = None  # without its histogram


class Gatherer:
    """Intervals of a node's workers, merged by number until they are sent."""

    def __init__(self) -> None:
        self._found: dict[int, list[Interval]] = {}

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        for _, one in intervals:
            self._found.setdefault(one.number, []).append(one)

    def clear(self) -> None:
        self._found.clear()

    def intervals(self) -> list[Interval]:
        return [_one(number, parts) for number, parts in sorted(self._found.items())]


def _one(number: int, parts: list[Interval]) -> Interval:
    if len(parts) == 1:
        return parts[0]
    index, where = np.unique(np.concatenate([part.index for part in parts]), return_inverse=True)
    counts = np.zeros(index.size, np.int64)
    np.add.at(counts, where, np.concatenate([part.counts for part in parts]))
    return Interval.compact(number, index, counts, sum(part.failed for part in parts))


_COUNTS = ("now_ns", "start_ns", "began_ns", "told_ns", "completed", "failed", "last_answer_ns")


def plain_update(moment: Moment, told_ns: int, gatherer: Gatherer | None) -> dict[str, Any]:
    """An update as plain data, with what was gathered and a snapshot, or without."""
    plain: dict[str, Any] = {
        name: told_ns if name == "told_ns" else int(getattr(moment, name)) for name in _COUNTS
    }
    if moment.progress is not None:
        short = replace(moment.progress, response=None, nodes=())
        plain["progress"] = {
            each.name: value
            for each in fields(short)
            if (value := getattr(short, each.name)) not in (None, ())
        }
    if gatherer is not None:
        plain["intervals"] = [
            (one.number, _bytes(one.index, "<u2"), _bytes(one.counts, "<i8"), int(one.failed))
            for one in gatherer.intervals()
        ]
        found = moment.snapshot()
        plain["snapshot"] = (
            found.now_ns,
            found.start_ns,
            found.completed,
            {str(kind): count for kind, count in found.errors_by_kind.items()},
            *map(_plain_histogram, (found.response, found.service, found.lateness)),
        )
    return plain


def update_of(plain: Any) -> Update:
    """Raises ValueError, TypeError or KeyError for what makes no sense."""
    counts = {name: whole(plain[name]) for name in _COUNTS}
    intervals = snapshot = progress = None
    if "progress" in plain:
        progress = Progress(**plain["progress"])
    if "intervals" in plain:
        intervals = tuple(
            Interval(whole(number), np.frombuffer(index, "<u2"), np.frombuffer(many, "<i8"), failed)
            for number, index, many, failed in plain["intervals"]
        )
    if "snapshot" in plain:
        now_ns, start_ns, completed, errors, *times = plain["snapshot"]
        snapshot = Snapshot(now_ns, start_ns, completed, errors, *map(_histogram_of, times))
    return Update(**counts, intervals=intervals, snapshot=snapshot, progress=progress)


def _bytes(array: np.ndarray, dtype: str) -> bytes:
    return array.astype(dtype).tobytes()


def _plain_histogram(one: Histogram) -> tuple:
    filled = np.flatnonzero(one.counts)
    return (
        _bytes(filled, "<u2"),
        _bytes(one.counts[filled], "<i8"),
        one.count,
        one.min_ns,
        one.max_ns,
        one.sum_ns,
        one.out_of_range,
    )


def _histogram_of(plain: Any) -> Histogram:
    index, counts, *rest = plain
    one = Histogram()
    one.counts[np.frombuffer(index, "<u2")] = np.frombuffer(counts, "<i8")
    one.count, one.min_ns, one.max_ns, one.sum_ns, one.out_of_range = rest
    return one


# Until qs.engine.distributed.plain_result is there.
_PLAIN = (
    "completed",
    "errors_by_kind",
    "wall_s",
    "planned",
    "first_ns",
    "open_loop",
    "pool",
    "workers",
    "clients",
    "started_at",
    "start_ns",
    "interrupted",
    "warnings",
    "first_fault",
    "worker_cpu_s",
    "seed",
    "offered_s",
)


def plain_result(result: RunResult) -> dict[str, Any]:
    plain = {name: getattr(result, name) for name in _PLAIN}
    plain["errors_by_kind"] = {str(kind): n for kind, n in result.errors_by_kind.items()}
    for name in ("response", "service", "lateness"):
        plain[name] = _plain_histogram(getattr(result, name))
    plain["columns"] = {
        name: (each.dtype.str, int(each.size)) for name, each in (result.columns or {}).items()
    }
    plain["ended_by"] = str(result.ended_by)
    return plain


def result_of(plain: Any) -> RunResult:
    from qs.engine.outcome import Ending

    plain = dict(plain)
    plain.pop("columns")
    for name in ("response", "service", "lateness"):
        plain[name] = _histogram_of(plain[name])
    plain["ended_by"] = Ending(plain["ended_by"])
    return RunResult(**plain, intervals=[], warmup=WarmUpResult())
