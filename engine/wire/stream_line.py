"""A connection of HTTP/1.1 whose answers are streams: each read leaves a mark, and a request that
fails keeps what had come of its answer.
"""

from __future__ import annotations

from qs.engine.clock import MONOTONIC
from qs.engine.wire.answers import failure_of
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import BadAnswer
from qs.engine.wire.http_line import Client, HttpLine
from qs.engine.wire.streams import StreamReader

_now_ns = MONOTONIC.now_ns


class StreamLine(HttpLine):
    """An HttpLine whose calls have marks."""

    __slots__ = ()
    reader: StreamReader

    def __init__(self, client: Client, reader: StreamReader):
        super().__init__(client, reader)

    def buffer_updated(self, nbytes: int) -> None:
        now_ns = _now_ns()
        reader = self.reader
        if reader.between and reader.lone(nbytes, now_ns):
            self.read_ns = now_ns
            return
        call = self.call
        if call is None:
            self.client.stray(self)
            return
        if not call.first_ns:
            call.first_ns = now_ns
        reader.now_ns = now_ns
        try:
            whole = reader.received(nbytes, call.request)
        except BadAnswer as fault:
            self._fail(failure_of(fault), str(fault), now_ns)
            return
        self._more(call, whole, now_ns)

    def give_up(self) -> None:
        self._leave()
        super().give_up()

    def _finish(self, call: WireCall, now_ns: int) -> None:
        call.marks = self.reader.marks
        super()._finish(call, now_ns)

    def _end(self, exc: Exception | None) -> None:
        if self.alive:
            self._leave()
        super()._end(exc)

    def _fail(self, word: str, detail: str, now_ns: int) -> None:
        self._leave()
        super()._fail(word, detail, now_ns)

    def _leave(self) -> None:
        if self.call is not None:
            self.reader.leave(self.call)
