"""What a started request brings back: its own stamps, taken where the bytes passed.

A *started* target has `start(request, done)` in place of a coroutine: it hands the request to the
network and returns at once; `done(call)` is called once, on the event loop's thread, when the
answer is whole or the request has failed. The engine takes the times from the call, so that nothing
between the socket and the engine is measured. `qs.engine.wire` has clients of this kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Call(Protocol):
    """One request that was started. All stamps are `perf_counter_ns`; 0 where there is none.

    It may also have `keep()`, called after `done` where the run keeps it: it lets go of everything
    but its answer, whose memory must be its own, and returns about how many bytes it takes.
    """

    # when it was handed on: when it began to wait for a connection, or, as it need not, `sent_ns`
    issued_ns: int
    # just before its first byte was given to the socket
    sent_ns: int
    # when the read returned that brought the first byte, and the last byte, of the answer
    first_ns: int
    last_ns: int
    # None: it was answered. Else how it failed, a word to count by: an ErrorKind, or the client's
    # own ("reset", "HTTP 503")
    failure: str | None
    # one line more about the failure; "" where there is none
    detail: str

    def cancel(self) -> None:
        """Give it up: `done` is called soon, with the failure "cancelled"; nothing if it has
        ended.
        """
        ...


class Started(Protocol):
    """A target whose requests are started. It may also have `async open(clients)`, awaited on the
    loop before the warm-up, `async close()`, awaited after the measured phase, `counts()`, a dict
    of whole numbers by name that were counted meanwhile, and `read`, a `Reader` of the plan's
    measures.
    """

    def start(self, request: Any, done: Callable[[Any], None]) -> Call: ...
