"""Dynamic batching: requests that are due close together share one call of the target, as an
inference server's batcher would do.

One batch forms at a time. It opens when a worker is free and a request is due, and closes when it
holds `max_batch_size` requests or its oldest has waited `max_delay_us` since it was due. The worker
then makes one call; each request keeps its own due time, so response time contains the wait for the
batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from qs.engine.clock import Clock
from qs.engine.plan import Batching
from qs.engine.record.memory import Field
from qs.engine.record.recorder import Recorder
from qs.engine.workers.answers import UNANSWERED, look
from qs.engine.workers.pacing import NAP_NS
from qs.engine.workers.queue import DueTimes
from qs.engine.workers.slices import AT_ONCE, Slice


def joined(samples: list[Any]) -> Any:
    """One sample made of several: arrays are joined along the first axis, dicts, lists and tuples
    member by member. Anything else stays a list.
    """
    first = samples[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(samples)
    if isinstance(first, dict):
        return {key: joined([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(joined(list(members)) for members in zip(*samples))
    return samples


class Batcher:
    """Forms batches from a queue for the workers of one process; a worker holds the lock while its
    batch forms.
    """

    def __init__(self, queue: Iterable[DueTimes], batching: Batching, clock: Clock):
        self._dues = chain.from_iterable(queue)
        self.collate = batching.collate or joined
        self._size = batching.max_batch_size
        self._delay_ns = int(batching.max_delay_us * 1_000)
        self._clock = clock
        self._lock = threading.Lock()
        self._next: int | None = None

    def take(self, wait: Callable[[int], int], still_waiting: Callable[[], None]) -> list[int]:
        """Wait for the next batch to close. Returns its due times, oldest first; none at the end of
        the schedule or when stopped. While another worker's batch forms, `still_waiting` is called
        now and then.
        """
        while not self._lock.acquire(timeout=NAP_NS / 1e9):
            still_waiting()
        try:
            oldest = self._peek()
            if oldest is None or wait(oldest) < oldest:
                return []
            batch = [oldest]
            self._next = None
            closes = oldest + self._delay_ns
            while len(batch) < self._size:
                due = self._peek()
                # What is due by now belongs to the batch even when its time is up: the worker is
                # only just free.
                if due is None or due > max(closes, self._clock.now_ns()):
                    break
                if wait(due) < due:
                    break
                batch.append(due)
                self._next = None
            if len(batch) < self._size and wait(closes) < closes:
                return batch  # stopped: what was collected is still issued
            return batch
        finally:
            self._lock.release()

    def _peek(self) -> int | None:
        if self._next is None:
            self._next = next(self._dues, None)
        return self._next


def batched_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    batcher: Batcher,
    wait: Callable[[int], int],
    look: Callable[[Any], None] = look,
) -> Iterator[None]:
    """Issue batch after batch until the schedule ends, the run is stopped, or the drain limit has
    passed. Yields after slices.
    """
    now_ns = clock.now_ns
    memory, header = recorder.memory, recorder.memory.header
    dues, issued, completed = memory.due, memory.issued, memory.completed

    def still_waiting() -> None:
        header[Field.SLICE_NS] = now_ns()  # waiting is not hanging

    collate = batcher.collate
    answer: Any = UNANSWERED
    cursor = Slice(recorder, clock)
    row = 0
    cursor.begin()
    slice_end = AT_ONCE
    while batch := batcher.take(wait, still_waiting):
        last = row + len(batch)
        if last > recorder.rows:
            cursor.turn(row)
            row, last = 0, len(batch)
        start = now_ns()
        try:
            samples = collate(list(islice(feed, len(batch))))
            start = now_ns()
            answer = call(samples)
        except BaseException as fault:  # a target may raise anything: its whole batch has failed
            slice_end = cursor.fail(row, fault, slice_end, len(batch))
        end = now_ns()
        dues[row:last] = batch
        issued[row:last] = start
        completed[row:last] = end
        row = last
        header[Field.BATCHES] += 1
        if end >= slice_end:
            cursor.count(row)
            row = 0
            look(answer)
            yield
            if cursor.halted(batch[-1], end):
                return
            slice_end = cursor.begin()
    cursor.count(row)
    look(answer)
    yield
