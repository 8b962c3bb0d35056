"""One request on its way, and what has become of it."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from typing import Any, Protocol

# What a call takes beside its answer.
KEPT_BYTES = 500


class Owner(Protocol):
    """Who can give a call up: the client that started it."""

    def cancel(self, call: Any) -> None: ...


class WireCall:
    """The Call of `qs.engine.call`, over a connection of ours.

    `body` of a large answer is a view of memory that the connection's next answers will be received
    into: it holds only until `done` returns, so whoever keeps it copies it (`bytes(call.body)`).
    """

    __slots__ = (
        "request",
        "done",
        "issued_ns",
        "sent_ns",
        "first_ns",
        "last_ns",
        "failure",
        "detail",
        "status",
        "head",
        "body",
        "resent",
        "fresh",
        "owner",
        "line",
        "future",
        "marks",
    )

    def __init__(self, request: Any, done: Callable[[WireCall], object], owner: Owner | None):
        self.request = request
        self.done = done
        self.issued_ns = 0
        self.sent_ns = 0
        self.first_ns = 0
        self.last_ns = 0
        self.failure: str | None = None
        self.detail = ""
        self.status = 0  # of HTTP, or gRPC's code; 0 where no answer came
        self.head = b""  # status line and headers as they came; read by `headers()`
        self.body: bytes | memoryview = b""
        self.resent = False  # sent a second time, since the server had closed the connection
        self.fresh = False  # on a connection that no answer had come over before
        self.owner = owner
        self.line: Any = None  # the connection it is on; None while it waits, and once it has ended
        self.future: asyncio.Future[WireCall] | None = None
        # With `ClientSettings.streamed`, of each answer: for each read that brought a part of the
        # body, when it returned, and how many bytes of `body` had come by then. `body` is bytes
        # then, and a call that failed keeps what had come of both.
        self.marks: array[int] | None = None

    def cancel(self) -> None:
        """Give it up: `done` is called soon, with the failure "cancelled"; nothing if it has
        ended.
        """
        if not self.last_ns and self.owner is not None:
            self.owner.cancel(self)

    def keep(self) -> int:
        """Make it last, once it is done: it holds nothing of its client or connection any more, nor
        memory that is another's. Returns about how many bytes that is.
        """
        self.done, self.owner, self.line, self.future = _nobody, None, None, None
        body = self.body
        if type(body) is memoryview:
            self.body = body = bytes(body)
        marks = 0 if self.marks is None else 8 * len(self.marks)
        return KEPT_BYTES + len(body) + len(self.head) + marks

    def headers(self) -> dict[str, str]:
        """The answer's headers by their names in lower case; equal names are joined by ", "."""
        found: dict[str, str] = {}
        for line in self.head.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                key, text = name.strip().lower().decode("latin-1"), value.strip().decode("latin-1")
                found[key] = f"{found[key]}, {text}" if key in found else text
        return found


def _nobody(call: Any) -> None:
    """The `done` of a call that was done, and is kept."""


class CallFuture(asyncio.Future):
    """A call to be awaited. Cancelling who awaits it cancels the call."""

    call: WireCall

    def cancel(self, msg: Any = None) -> bool:
        self.call.cancel()
        return super().cancel(msg)


def settle(call: WireCall) -> None:
    """The `done` of a call that a future waits for: it keeps the body, whoever reads it later."""
    future = call.future
    call.future = None  # else the two would keep each other
    if future is not None and not future.done():
        if isinstance(call.body, memoryview):
            call.body = bytes(call.body)
        future.set_result(call)
