"""What a worker writes as it goes, laid out in one buffer that another process may map.

Counters, columns and histograms of one worker lie here, so whoever watches can read them at any
time, also after the worker was killed. The buffer is ordinary memory for workers in this process
and shared memory for the others; the layout is the same.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from enum import IntEnum

import numpy as np

from qs.engine.record.histogram import COUNTS


class Field(IntEnum):
    """The int64 cells at the front of a worker's memory. Written by the worker, but for STOP and
    START_NS.
    """

    STOP = 0  # set by the conductor: a Halt
    START_NS = 1  # set by the conductor: the instant that offsets count from
    # set by the conductor: after this instant due requests are not issued any more (0: no limit)
    DRAIN_NS = 2
    PHASE = 3
    SLICE_NS = 4  # when the slice in progress began; 0 between slices
    COMPLETED = 5  # requests answered in time and without a fault
    FAILED = 6  # requests that failed in whatever way
    TIMED_OUT = 7  # those of them that came back after the time-out
    WARM_COMPLETED = 8
    FIRST_NS = 9  # service time of the very first call, before warm-up
    LAST_COMPLETED_NS = 10
    DROPPED = 11  # due requests not issued because the backlog was full
    FLUSHING = 12  # 1 while a slice is being counted into the histograms
    ROWS = 13  # rows of the slice in progress whose times were written last
    BATCHES = 14  # calls of the target by dynamic batching
    # set by the conductor with Halt.DRAIN: what is due from this instant on is not issued any more
    UNTIL_NS = 15
    RESPONSE = 16  # 16..21: of each histogram count, min, max, sum, out of range
    SERVICE = 24
    LATENESS = 32
    # 1: set by the conductor, nobody waits for this worker any more and nothing it does now is
    # counted
    GIVEN_UP = 40


class Halt(IntEnum):
    """What the STOP cell says. To a closed loop both mean the same: issue nothing more."""

    NOW = 1  # issue nothing more
    # issue only what is already due: the requests that wait in line are part of what is measured
    DRAIN = 2


def halted(header: np.ndarray, due_ns: int) -> bool:
    """Whether a worker of open loop that has got as far as this due time issues nothing more."""
    stop = header[Field.STOP]
    return bool(stop) and bool(stop == Halt.NOW or due_ns >= header[Field.UNTIL_NS])


class Phase(IntEnum):
    BUILD = 0
    WARM_UP = 1
    READY = 2
    MEASURE = 3
    DONE = 4


HEADER = 64
COLUMNS = ("due", "issued", "completed")


class WorkerMemory:
    """Views over one worker's part of a buffer: `header`, three columns of `rows`, three
    histograms' counts and the current interval's.
    """

    def __init__(self, buffer, rows: int, offset: int = 0):
        whole = np.frombuffer(buffer, np.int64, self.cells(rows), offset)
        self.rows = rows
        self.header = whole[:HEADER]
        at = HEADER
        columns = []
        for _ in COLUMNS:
            columns.append(whole[at : at + rows])
            at += rows
        self.due, self.issued, self.completed = columns
        counts = []
        for _ in range(4):
            counts.append(whole[at : at + COUNTS])
            at += COUNTS
        self.response, self.service, self.lateness, self.interval = counts

    @staticmethod
    def cells(rows: int) -> int:
        return HEADER + len(COLUMNS) * rows + 4 * COUNTS

    @classmethod
    def size(cls, rows: int) -> int:
        """Bytes of one worker's memory."""
        return 8 * cls.cells(rows)


def local_memory(workers: int, rows: int) -> list[WorkerMemory]:
    """Memories for workers in this process."""
    return [WorkerMemory(bytearray(WorkerMemory.size(rows)), rows) for _ in range(workers)]


class SharedMemory:
    """Memories of `workers` that a child process maps by a file descriptor.

    The file has no name: nothing is left behind however the processes end.
    """

    def __init__(self, workers: int, rows: int):
        size = WorkerMemory.size(rows) * workers
        self.fd = anonymous_file(size)
        self.workers = map_workers(self.fd, workers, rows)

    def close(self) -> None:
        os.close(self.fd)


def anonymous_file(size: int) -> int:
    """A descriptor of a file in memory that has no name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("engine", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def map_workers(fd: int, workers: int, rows: int) -> list[WorkerMemory]:
    size = WorkerMemory.size(rows)
    shared = mmap.mmap(fd, size * workers)
    return [WorkerMemory(shared, rows, size * worker) for worker in range(workers)]
