"""Requests of sequences: a model that keeps a state is told by each request which sequence it
belongs to, and whether it is the first or the last one of it.

So many sequences are open at a time, each of so many requests; the next one takes the next id. A
request goes to a sequence whose last answer has come, the one that has waited longest. If there is
none (open loop, more in flight than sequences), it goes to the one that was sent to longest ago,
which is counted: a server puts such requests into a line of their own. After a failure the sequence
begins anew, under a new id: what the server made of the failed request nobody knows.

Left out: how a protocol writes id and marks.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qs.remote.protocol import Request

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

OVERLAPS = "sent before their sequence's last answer"
# Ids of requests that are not measured, each a sequence of its own, are far from the others.
UNMEASURED = 10**12


@dataclass(frozen=True)
class Sequenced:
    """A batch as a request that may stand anywhere in any sequence: `of(id, first, last)` is what
    is sent.
    """

    of: Callable[[int, bool, bool], Request]


def as_sent(request: Request) -> Request:
    """What is sent of a request, as an example: the only one of the sequence 1."""
    return request.of(1, True, True) if isinstance(request, Sequenced) else request


class SequencedClient:
    """A client whose requests, Sequenced, take their places in sequences. All else is its own."""

    def __init__(self, client: Any, count: int, length: int, first_id: int, step: int = 1) -> None:
        """`first_id` and each `step`-th id after it are used: processes share them so."""
        self._client = client
        self._length = length
        self._ids = itertools.count(first_id, step)
        self._id = [0] * count
        self._at = [0] * count  # how many of its sequence have been sent
        self._waiting = [0] * count  # for so many answers
        self._free = deque(range(count))
        self._busy: dict[int, None] = {}  # in order of the last request
        self._overlaps = 0

    def start(self, request: Sequenced, done: Callable[[WireCall], object]) -> WireCall:
        """As the client's; on its loop's thread."""
        if self._free:
            number = self._free.popleft()
        else:
            number = next(iter(self._busy))
            del self._busy[number]
            self._overlaps += 1
        self._busy[number] = None
        self._waiting[number] += 1
        at = self._at[number]
        if at == 0:
            self._id[number] = next(self._ids)
        last = at + 1 == self._length
        self._at[number] = 0 if last else at + 1

        def ended(call: WireCall) -> None:
            if call.failure is not None:
                self._at[number] = 0
            self._waiting[number] -= 1
            if not self._waiting[number]:
                del self._busy[number]
                self._free.append(number)
            done(call)

        call: WireCall = self._client.start(request.of(self._id[number], at == 0, last), ended)
        return call

    def counts(self) -> dict[str, int]:
        """The client's, and how many requests did not wait for their sequence's last answer."""
        return {**self._client.counts(), OVERLAPS: self._overlaps}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class SingleSequences:
    """Requests that are not measured: each is the first and the last of a sequence of its own."""

    def __init__(self, first_id: int) -> None:
        self._ids = itertools.count(first_id + UNMEASURED)
        self._lock = threading.Lock()

    def made(self, request: Request) -> Request:
        """What is sent of it."""
        if not isinstance(request, Sequenced):
            return request
        with self._lock:
            number = next(self._ids)
        return request.of(number, True, True)
