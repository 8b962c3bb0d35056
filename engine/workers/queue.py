"""The schedule as the queue: idle workers take the next due time from one shared counter, so that
nothing is handed over.

Inside a process the counter is a list iterator that the workers share: taking the next due time is
one C call that holds the GIL. Across processes it is the offset of a shared file description:
`lseek(fd, 1, SEEK_CUR)` adds one and returns the sum in the kernel, which locks the offset
meanwhile (see `new_counter`), so no worker that dies can leave it locked.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.descriptors import above_standard, anonymous_file
from qs.engine.record.memory import halted
from qs.engine.record.recorder import Recorder

DueTimes = Iterator[int]


class ThreadQueue:
    """Due times (absolute ns) of one schedule, shared by the worker threads of one process."""

    def __init__(self, blocks: Iterator[np.ndarray], start_ns: int):
        self._blocks = blocks
        self._start_ns = start_ns
        self._lock = threading.Lock()
        self._number = 0
        self._current = self._next()  # before anybody waits for it

    def __iter__(self) -> Iterator[DueTimes]:
        """One worker's view: shared iterators, block after block. Several workers may each iterate
        at the same time.
        """
        number = -1
        while True:
            with self._lock:
                if number == self._number:
                    self._current = self._next()
                    self._number += 1
                number, current = self._number, self._current
            if current is None:
                return
            yield current

    def _next(self) -> DueTimes | None:
        block = next(self._blocks, None)
        return None if block is None else iter((block + self._start_ns).tolist())


class LoneQueue:
    """The whole schedule as arrays, for one worker alone: it may look ahead."""

    def __init__(self, blocks: Iterator[np.ndarray], start_ns: int):
        self._blocks = blocks
        self._start_ns = start_ns
        self._ahead = next(blocks, None)  # before anybody waits for it

    def __iter__(self) -> Iterator[np.ndarray]:
        while self._ahead is not None:
            block, self._ahead = self._ahead + self._start_ns, next(self._blocks, None)
            yield block


class ProcessQueue:
    """The same for workers in several processes; each makes the blocks for itself, and only the
    counter is shared. It counts every `of`-th due time from number `index` on.
    """

    def __init__(
        self,
        blocks: Iterator[np.ndarray],
        start_ns: int,
        counter_fd: int,
        index: int = 0,
        of: int = 1,
    ):
        self._blocks = blocks
        self._start_ns = start_ns
        self._fd, self._index, self._of = counter_fd, index, of
        self._first, self._block = 0, self._next()  # before anybody waits for it

    def __iter__(self) -> Iterator[DueTimes]:
        yield self._take()

    def _take(self) -> DueTimes:
        claim, fd, current = os.lseek, self._fd, os.SEEK_CUR
        while True:
            number = (claim(fd, 1, current) - 1) * self._of + self._index
            while self._block is not None and number - self._first >= len(self._block):
                self._first += len(self._block)
                self._block = self._next()
            if self._block is None:
                return
            yield self._block[number - self._first]

    def _next(self) -> list | None:
        block = next(self._blocks, None)
        return None if block is None else (block + self._start_ns).tolist()


def new_counter() -> int:
    """A descriptor whose file offset counts claims from 0, for all processes that hold it.

    The file must have been opened by a path: only then does Linux hold the offset's lock during a
    seek (FMODE_ATOMIC_POS, set in do_dentry_open). On the descriptor that memfd_create returns,
    simultaneous seeks lose counts: up to one in two hundred here.
    """
    nameless = anonymous_file(0)
    try:
        return above_standard(os.open(f"/proc/self/fd/{nameless}", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        with tempfile.TemporaryFile() as file:
            return above_standard(os.dup(file.fileno()))
    finally:
        os.close(nameless)


def looking_ahead(blocks: Iterator[np.ndarray], distance: int) -> Iterator[np.ndarray]:
    """Pairs: each due time and the one `distance` places behind it, FOREVER_NS after the end.
    `capped` turns a queue of pairs into one of due times again.
    """
    held = np.zeros(0, np.int64)
    for block in blocks:
        held = np.concatenate([held, block])
        known = held.size - distance
        if known > 0:
            yield np.column_stack([held[:known], held[distance:]])
            held = held[known:]
    if held.size:
        yield np.column_stack([held, np.full(held.size, FOREVER_NS)])


def capped(
    queue: Iterable[Iterator[list[int]]], now_ns: Callable[[], int], recorder: Recorder
) -> Iterator[DueTimes]:
    """One worker's view of a queue of pairs. A request is dropped, and counted by `recorder`, when
    the second of its pair is due as well: more requests wait behind it than the cap allows.
    """
    for pairs in queue:
        yield _kept(pairs, now_ns, recorder)


def _kept(pairs: Iterator[list[int]], now_ns: Callable[[], int], recorder: Recorder) -> DueTimes:
    for due, behind in pairs:
        now = now_ns()
        if behind <= now:
            recorder.drop(due, now)
            if halted(recorder.memory.header, due):
                return
        else:
            yield due
