"""What a worker writes as it goes, laid out in one buffer that another process may map.

Counters, columns and histograms of one worker lie here, so that a watcher can read them at any
time, even after the worker was killed. The buffer is ordinary memory for workers in this process
and shared memory for the others; the layout is the same.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from qs.engine.descriptors import anonymous_file
from qs.engine.record.histogram import COUNTS, Histogram
from qs.engine.record.parts import stamps_of


class Field(IntEnum):
    """The int64 cells at the front of a worker's memory.

    The conductor writes STOP, START_NS, DRAIN_NS, UNTIL_NS, READ_NS and GIVEN_UP; the worker writes
    the others.
    """

    STOP = 0  # a Halt, or 0
    START_NS = 1  # the common start, from which offsets count
    DRAIN_NS = 2  # after this instant no due request is issued any more; 0: no limit
    PHASE = 3
    SLICE_NS = 4  # when the slice in progress began; 0 between slices
    COMPLETED = 5  # requests that returned in time and without a fault
    FAILED = 6  # all other requests that were issued
    WARM_COMPLETED = 8
    FIRST_NS = 9  # service time of the very first call, warm-up included
    LAST_COMPLETED_NS = 10
    DROPPED = 11  # due requests not issued because the backlog was full
    FLUSHING = 12  # 1 while a slice is being counted into the histograms
    ROWS = 13  # how many rows of the columns the last flush counted
    BATCHES = 14  # calls of the target by dynamic batching
    UNTIL_NS = 15  # with Halt.DRAIN: requests due from this instant on are not issued
    RESPONSE = 16  # 16 to 20: HistogramCells
    SERVICE = 24  # 24 to 28: HistogramCells
    LATENESS = 32  # 32 to 36: HistogramCells
    LAST_FAILED_NS = 41  # when the last request came back with a fault or too late
    INTERVAL = 42  # number of the interval in progress
    READ_NS = 43  # until when kept requests may be read; 0: not yet
    READ = 44  # how many were read
    READER_NS = 45  # when the worker that reads last looked at its reader
    BEGAN_NS = 46  # when the worker began its measured phase
    GIVEN_UP = 40  # 1: nobody waits for this worker any more, and what it does is not counted


class HistogramCells(NamedTuple):
    """What a worker publishes of a histogram in consecutive header cells, beside its counts."""

    counted: int
    min_ns: int
    max_ns: int
    sum_ns: int
    out_of_range: int


class Halt(IntEnum):
    """What STOP may hold. A closed loop treats both alike."""

    NOW = 1  # issue nothing more
    DRAIN = 2  # issue only what is already due: requests that wait in line are measured too


# The same as plain numbers, for the request path: a member of an enum as an index, or to compare
# with, costs more than all the rest there.
STOP, NOW = int(Field.STOP), int(Halt.NOW)


def halted(header: np.ndarray, due_ns: int) -> bool:
    """Whether a worker of open loop that has got as far as this due time issues nothing more."""
    stop = header[Field.STOP]
    return bool(stop) and bool(stop == Halt.NOW or due_ns >= header[Field.UNTIL_NS])


class Phase(IntEnum):
    BUILD = 0
    WARM_UP = 1
    READY = 2
    MEASURE = 3
    READ = 4  # nothing is measured any more
    DONE = 5


class Outcome(IntEnum):
    """What became of the request in a row."""

    COMPLETED = 0
    FAILED = 1  # its target raised
    TIMED_OUT = 2  # it returned after the time-out; told by its times, but for those given up


HEADER = 64  # cells, and behind them eight for each part: the HistogramCells of its histogram
PART_CELLS = 8
COLUMNS = ("due", "issued", "completed")
HISTOGRAMS = ("response", "service", "lateness", "interval")


class WorkerMemory:
    """Views over one worker's part of a buffer: `header`, the columns of `rows` rows, and counts of
    histograms, `interval` being that of the current interval. `stamps` are the columns that the
    plan's parts need beside the others, `parts` the counts of their histograms.

    A worker writes an outcome only for a request that failed, before its completed time.
    """

    due: np.ndarray
    issued: np.ndarray
    completed: np.ndarray
    response: np.ndarray
    service: np.ndarray
    lateness: np.ndarray
    interval: np.ndarray

    def __init__(self, buffer, rows: int, offset: int = 0, parts: Sequence[str] = ()):
        whole = np.frombuffer(buffer, np.int64, self.cells(rows, parts), offset)
        self.rows = rows
        at = HEADER + PART_CELLS * len(parts)
        self.header = whole[:at]
        self.stamps: dict[str, np.ndarray] = {}
        self.parts: dict[str, np.ndarray] = {}
        for names, size, named in (
            (COLUMNS, rows, vars(self)),
            (stamps_of(parts), rows, self.stamps),
            (HISTOGRAMS, COUNTS, vars(self)),
            (parts, COUNTS, self.parts),
        ):
            for name in names:
                named[name] = whole[at : at + size]
                at += size
        self.outcome = whole[at:].view(np.int8)[:rows]

    @staticmethod
    def cells(rows: int, parts: Sequence[str] = ()) -> int:
        outcomes = -(-rows // 8)  # eight to a cell
        columns = len(COLUMNS) + len(stamps_of(parts))
        histograms = len(HISTOGRAMS) + len(parts)
        header = HEADER + PART_CELLS * len(parts)
        return header + columns * rows + histograms * COUNTS + outcomes

    @classmethod
    def size(cls, rows: int, parts: Sequence[str] = ()) -> int:
        """Bytes of one worker's memory."""
        return 8 * cls.cells(rows, parts)

    def at_part(self, part: str) -> int:
        """Where the cells of a part's histogram are, for `publish` and `published`."""
        return HEADER + PART_CELLS * list(self.parts).index(part)

    def publish(self, at: int, histogram: Histogram) -> None:
        """Write the cells of a histogram: `at` is RESPONSE, SERVICE, LATENESS, or a part's."""
        self.header[at : at + len(HistogramCells._fields)] = (
            histogram.count,
            histogram.min_ns,
            histogram.max_ns,
            histogram.sum_ns,
            histogram.out_of_range,
        )

    def published(self, at: int) -> HistogramCells:
        """The cells last published there; all 0 before."""
        return HistogramCells(*self.header[at : at + len(HistogramCells._fields)].tolist())


def local_memory(workers: int, rows: int, parts: Sequence[str] = ()) -> list[WorkerMemory]:
    """Memories for workers in this process."""
    size = WorkerMemory.size(rows, parts)
    return [WorkerMemory(bytearray(size), rows, 0, parts) for _ in range(workers)]


class SharedMemory:
    """Memories of `workers` that a child process maps by a file descriptor.

    The file has no name: nothing is left behind however the processes end.
    """

    def __init__(self, workers: int, rows: int, parts: Sequence[str] = ()):
        size = WorkerMemory.size(rows, parts) * workers
        self.fd = anonymous_file(size)
        self.workers = map_workers(self.fd, workers, rows, parts)

    def close(self) -> None:
        os.close(self.fd)


def map_workers(fd: int, workers: int, rows: int, parts: Sequence[str] = ()) -> list[WorkerMemory]:
    size = WorkerMemory.size(rows, parts)
    shared = mmap.mmap(fd, size * workers)
    return [WorkerMemory(shared, rows, size * worker, parts) for worker in range(workers)]
