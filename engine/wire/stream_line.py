"""A connection of HTTP/1.1 whose answers are streams: each read leaves a mark, and a request that
fails keeps what had come of its answer.
"""

from __future__ import annotations

from qs.engine.clock import MONOTONIC
from qs.engine.wire.answers import failure_of
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import BadAnswer
from qs.engine.wire.heads import CHUNKED, Frame
from qs.engine.wire.http_line import IDLE_NS, Client, HttpLine
from qs.engine.wire.streams import StreamReader

_now_ns = MONOTONIC.now_ns
# So many connections that ended after a stream, and none that was kept, may show a habit.
SURE = 4


class Habit:
    """Whether a server ends its connections after each stream, whatever it announces (llama.cpp's
    announces to keep them). The next request over one would be sent in vain and then again, so once
    that is known no connection is used twice.
    """

    __slots__ = ("ends", "_ended", "_kept", "_streams")

    def __init__(self) -> None:
        self.ends = False
        self._streams = 0
        self._ended = 0
        self._kept = False

    def streamed(self) -> None:
        """A stream has come to its end."""
        self._streams += 1

    def kept(self) -> None:
        """An answer has come over a connection that had brought a stream."""
        self._kept = True

    def ended(self) -> None:
        """The server has ended a connection soon after a stream."""
        self._ended += 1
        # Of a server in trouble a few connections end, and others go on.
        self.ends = not self._kept and self._ended >= max(SURE, self._streams / 2)


class StreamLine(HttpLine):
    """An HttpLine whose calls have marks."""

    __slots__ = ("_after_stream", "_habit")
    reader: StreamReader

    def __init__(self, client: Client, reader: StreamReader, habit: Habit):
        super().__init__(client, reader)
        self._habit = habit
        self._after_stream = False

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
        if self._after_stream:
            self._habit.kept()
        self._after_stream = self.reader.frame.length == CHUNKED
        if self._after_stream:
            self._habit.streamed()
        super()._finish(call, now_ns)

    def _kept(self, frame: Frame) -> bool:
        return super()._kept(frame) and not (self._after_stream and self._habit.ends)

    def _end(self, exc: Exception | None) -> None:
        if self.alive:
            self._leave()
            soon = _now_ns() - self.used_ns < IDLE_NS
            if self._after_stream and soon and not self.reader.begun:
                self._habit.ended()
        super()._end(exc)

    def _fail(self, word: str, detail: str, now_ns: int) -> None:
        self._leave()
        super()._fail(word, detail, now_ns)

    def _leave(self) -> None:
        if self.call is not None:
            self.reader.leave(self.call)
