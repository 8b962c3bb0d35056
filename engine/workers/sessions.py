"""Conversations on an event loop: a turn is a request as in any open loop. The same alarm goes off
when the next one falls due, and with all `max_in_flight` places taken it stands in the same line.

What is due when is in `qs.engine.talks`. A turn that fails ends its conversation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.load import Sessions
from qs.engine.record.memory import Field, halted
from qs.engine.talks.conversations import Conversations
from qs.engine.workers.arrivals import Arrivals
from qs.engine.workers.share import turns_of, until_ns_of


class Turns(Arrivals):
    """The measured phase of one share. Made on the loop that runs it."""

    def counts(self) -> dict[str, int]:
        return self._talks.counts() | super().counts()

    def _requested(self, feed: Iterator[Any]) -> Iterator[Any]:
        load = self._share.plan.load
        assert isinstance(load, Sessions)
        think_ns, turns = int(load.think_time_s * 1e9), turns_of(self._share)
        self._talks = Conversations(feed, self._break, think_ns, turns)
        self._asking: deque[Any] = deque()  # requests, in the order in which they fell due
        self._over = False
        return (self._asking.popleft() for _ in repeat(None))

    def _first(self) -> int:
        until_ns = until_ns_of(self._share.plan, int(self._header[Field.START_NS]))
        self._talks.open(self._dues, self._share.users, MONOTONIC.now_ns(), until_ns)
        return self._talks.due_ns

    def _fall_due(self) -> None:
        now = MONOTONIC.now_ns()
        talks, line, requests = self._talks, self._line, self._requests
        self._busy = True
        for _ in range(len(talks)):  # each once, for an answer may come within its own start
            if halted(self._header, talks.due_ns):
                talks.close()
            if (due := talks.due_ns) > now:
                break
            number, request = talks.take()
            if requests.fault is not None:
                break
            self._asking.append(request)
            if line or len(requests) >= self._most:
                line.add(due, number)
            else:
                requests.issue(due, now, number)
        self._busy = False
        self._wait(talks.due_ns, now)

    def _wait(self, due: int, now: int) -> None:
        super()._wait(due, now)
        # What left the line may have been answered within its own start.
        if (due := self._talks.due_ns) < self._next:
            self._await(due)

    def _ended(self, client: int, call: Any) -> None:
        now, timeout_ns = MONOTONIC.now_ns(), self._share.timeout_ns
        if self._over or self._requests.fault is not None:
            return
        if client < 0:
            self._talks.failed(~client, None)
        elif call is None or call.failure or call.last_ns - call.issued_ns > timeout_ns:
            self._talks.failed(client, now)
        else:
            self._talks.answered(client, call, now)
        if not self._busy:
            self._fall_due()

    def _tick(self, now: int) -> bool:
        self._over = super()._tick(now)
        if halted(self._header, self._talks.due_ns):
            self._talks.close()
        return self._over
