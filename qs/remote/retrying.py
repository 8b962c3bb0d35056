"""Answers that say "not now, later": 429 and 503 with Retry-After (RFC 9110, 10.2.3).

They are counted always, and obeyed only where the user asks for it: a client that waits politely
does not show what a user of an overloaded server sees. The time until the last answer is the
request's, waiting included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import perf_counter_ns, time
from typing import Any

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure

COUNT = "retry-after answers"
OBEYED = "sent again after Retry-After"
STATUSES = (429, 503)
LONGEST_S = 3_600.0  # a later time is taken for a mistake, and not waited for


def retry_after_s(call: WireCall, now_s: float) -> float | None:
    """How long the answer asks to wait; None if it does not, or not in words that can be read.
    `now_s`: the time of day, for an answer that names one.
    """
    if call.status not in STATUSES or not call.head:
        return None
    stated = call.headers().get("retry-after", "")
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(stated).timestamp() - now_s
        except (TypeError, ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds <= LONGEST_S else None


class RetryingClient:
    """A client that counts such answers, and sends a request again after them, at most so many
    times. All else is the client's own.
    """

    def __init__(self, client: Any, most: int) -> None:
        self._client, self._most = client, most
        self._asked = self._obeyed = 0

    def start(self, request: Any, done: Callable[[WireCall], object]) -> WireCall:
        """As the client's; on its loop's thread."""
        if self._most:
            return _Persistent(self, request, done).begun()

        def ended(call: WireCall) -> None:
            if call.failure is not None and call.status in STATUSES:
                self.asks(call)
            done(call)

        call: WireCall = self._client.start(request, ended)
        return call

    def asks(self, call: WireCall) -> float | None:
        """How long the answer asks to wait, which is counted; None if it does not."""
        pause_s = retry_after_s(call, time())
        if pause_s is not None:
            self._asked += 1
        return pause_s

    def counts(self) -> dict[str, int]:
        """The client's, and how many answers asked to wait, and how often that was obeyed."""
        more = {COUNT: self._asked, **({OBEYED: self._obeyed} if self._most else {})}
        return {**self._client.counts(), **more}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _Persistent:
    """One request until the server takes it, given up, or sent as often as may be. Its call is
    issued when the first try was, and sent when the last one was.
    """

    def __init__(
        self, owner: RetryingClient, request: Any, done: Callable[[WireCall], object]
    ) -> None:
        self._owner, self._left = owner, owner._most
        self._outer = WireCall(request, done, self)
        self._inner: WireCall | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begun(self) -> WireCall:
        self._send()
        return self._outer

    def cancel(self, call: WireCall) -> None:
        """See `Owner` in qs.engine.wire.calls."""
        if self._timer is not None:
            self._timer.cancel()
            asyncio.get_running_loop().call_soon(self._given_up)
        elif self._inner is not None:
            self._inner.cancel()

    def _send(self) -> None:
        self._timer = None
        inner = self._owner._client.start(self._outer.request, self._ended)
        if not self._outer.last_ns:
            self._inner = inner
            self._outer.issued_ns = self._outer.issued_ns or inner.issued_ns

    def _ended(self, inner: WireCall) -> None:
        outer = self._outer
        outer.issued_ns = outer.issued_ns or inner.issued_ns
        if inner.failure is not None and inner.status in STATUSES:
            pause_s = self._owner.asks(inner)
            if pause_s is not None and self._left:
                self._left -= 1
                self._owner._obeyed += 1
                self._inner = inner  # whose stamps hold if it is given up now
                self._timer = asyncio.get_running_loop().call_later(pause_s, self._send)
                return
        self._close(inner)

    def _given_up(self) -> None:
        inner = self._inner
        if inner is not None and not self._outer.last_ns:
            inner.failure, inner.detail = Failure.CANCELLED, "while it waited for Retry-After"
            inner.last_ns = perf_counter_ns()
            self._close(inner)

    def _close(self, inner: WireCall) -> None:
        outer = self._outer
        for name in _TAKEN:
            setattr(outer, name, getattr(inner, name))
        self._inner = None
        outer.done(outer)


_TAKEN = (
    *("sent_ns", "first_ns", "last_ns", "failure", "detail", "status", "head", "body"),
    *("resent", "fresh", "marks"),
)
