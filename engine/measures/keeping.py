"""The requests that have ended, as they came, until nothing is measured any more and they are read.

They stay in memory up to a bound; what comes after is written to an unnamed file in small pieces.
Reading them in between, which would bound memory too, takes ten times as long and more
(bench/measures.py), in the midst of what is measured.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import IO, Any

from qs.engine.clock import MONOTONIC
from qs.engine.measures.measure import Ended
from qs.engine.outcome import ErrorKind

# Of requests that are kept in a worker's memory.
MOST_BYTES = 256 << 20
# Written at a time: some tenths of a millisecond in which the event loop does nothing else.
PIECE_BYTES = 128 << 10
# Where requests cannot be written, this much more of them is kept in memory.
MOST_UNWRITTEN_BYTES = 1 << 30
# What the file leaves of its disk.
LEAST_FREE_BYTES = 1 << 30
# About what a call takes whose target does not tell.
CALL_BYTES = 1_000

Failures = dict[int, str]  # of those that failed, by their place
Piece = tuple[list[Any], "array[int]", Failures]  # calls, due times, failures


class Keeper:
    """The requests of one worker. `keep` is called on its event loop, `batches` when that has done
    with it.
    """

    def __init__(self, timeout_ns: int):
        self.lost = 0  # requests for which there was no room
        self.written_bytes = self.longest_ns = 0  # to a file, and the longest that it took at once
        self._timeout_ns = timeout_ns
        self._ended_ns = 0  # nothing has ended after this
        self._calls: list[Any] = []
        self._dues = array("q")
        self._failures: Failures = {}
        self._bytes, self._most = 0, MOST_BYTES
        self._full = False
        self._first: Piece | None = None  # what is in memory, once there is a file
        self._file: IO[bytes] | None = None
        # What is sent again and again, as what is made before a run: written as a number.
        self._shared: dict[int, Any] = {}

    def keep(self, call: Any, due_ns: int, failure: str | None) -> None:
        """Keep a request that has ended; its call is told to last (`keep`), if it can."""
        if self._full:
            self.lost += 1
            return
        calls = self._calls
        if failure is not None:
            self._failures[len(calls)] = failure
        calls.append(call)
        self._dues.append(due_ns)
        try:
            self._bytes += call.keep()
            request, shared = call.request, self._shared
            if id(request) not in shared:
                self._bytes += len(request)
                if self._first is None:
                    shared[id(request)] = request
        except Exception:  # it has none of it, or its code raises
            self._bytes += CALL_BYTES
        if self._bytes > self._most:
            self._put_away()

    def _put_away(self) -> None:
        if self._first is None:
            self._first = self._calls, self._dues, self._failures
            self._most = PIECE_BYTES
        elif self._most > PIECE_BYTES:
            self._full = True
            return
        elif not self._write():
            # It stays in memory, and so does some more of what comes.
            self._most = MOST_UNWRITTEN_BYTES
            return
        self._begin()

    def _begin(self) -> None:
        self._calls, self._dues, self._failures, self._bytes = [], array("q"), {}, 0

    def _write(self) -> bool:
        """Whether the piece in hand could be written."""
        began, began_ns = 0, MONOTONIC.now_ns()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="requests-")  # noqa: SIM115
            began = self._file.tell()
            free = os.fstatvfs(self._file.fileno())
            if free.f_bavail * free.f_frsize < LEAST_FREE_BYTES:
                return False
            pickler = _Pickler(self._file, 5)
            pickler.shared = self._shared
            pickler.dump((self._calls, self._dues.tobytes(), self._failures))
            self._file.flush()
            self.written_bytes = self._file.tell()
            self.longest_ns = max(self.longest_ns, MONOTONIC.now_ns() - began_ns)
            return True
        except Exception:  # calls are the target's, and may be of any kind; a disk may be full
            if self._file is not None:
                with suppress(OSError):
                    self._file.seek(began)
                    self._file.truncate()
            return False

    def batches(self, size: Callable[[], int]) -> Iterator[list[Ended]]:
        """All requests, each once, `size()` of them at a time at most; those that were completed
        and those that failed are never in one batch. What has been given is kept no longer.
        """
        self._ended_ns = MONOTONIC.now_ns()
        last = self._calls, self._dues, self._failures
        first, self._first = self._first, None
        self._begin()
        for piece in chain([] if first is None else [first], self._read(), [last]):
            ended = self._ended(*piece)
            while batch := list(islice(ended, size())):
                good = [each for each in batch if each.failure is None]
                bad = [each for each in batch if each.failure is not None]
                del batch
                yield from (each for each in (good, bad) if each)
        self.close()

    def close(self) -> None:
        """What was written and not given is lost."""
        if self._file is not None:
            self._file.close()

    def _ended(self, calls: list[Any], dues: array[int], failures: Failures) -> Iterator[Ended]:
        for number, due_ns in enumerate(dues):
            call, calls[number] = calls[number], None
            failure = failures.get(number)
            if failure is None:
                failure = self._late(call, due_ns)
            yield Ended(call, due_ns, failure)

    def _late(self, call: Any, due_ns: int) -> str | None:
        """The failure of one that seemed to be answered, as the recorder finds it with its rows."""
        issued, ended = call.issued_ns, call.last_ns
        if not due_ns <= issued <= ended <= self._ended_ns:
            return ErrorKind.BAD_TIMES
        return ErrorKind.TIMEOUT if ended - issued > self._timeout_ns else None

    def _read(self) -> Iterator[Piece]:
        if self._file is None:
            return
        end = self.written_bytes
        self._file.seek(0)
        while self._file.tell() < end:
            unpickler = _Unpickler(self._file)
            unpickler.shared = self._shared
            calls, dues, failures = unpickler.load()
            yield calls, array("q", dues), failures


class _Pickler(pickle.Pickler):
    shared: dict[int, Any] = {}

    def persistent_id(self, obj: Any) -> int | None:
        number = id(obj)
        return number if number in self.shared else None


class _Unpickler(pickle.Unpickler):
    shared: dict[int, Any] = {}

    def persistent_load(self, number: int) -> Any:
        return self.shared[number]
