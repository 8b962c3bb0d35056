"""Where nodes connect to. What connects is nothing until it has proved that it is a node that is
waited for: it can send a hundred bytes, for some seconds, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import threading
from typing import Any, cast

from qs.engine.clock import MONOTONIC
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.places.places import Where
from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking.facts import taken
from qs.engine.distributed.talking.frames import FrameError, Kind, Opener, Sealer
from qs.engine.distributed.talking.link import Link, Packing
from qs.engine.distributed.talking.outbox import Outbox
from qs.engine.distributed.talking.plain import decoded
from qs.engine.words import number as in_words

_HELLO_S = 10.0
_MOST_FACTS_BYTES = 64 << 10
# So many that have not proved anything are listened to at the same time; then the oldest goes.
_MOST_STRANGERS = 1_024
_BACKLOG = 1_024
_BEAT_S = 1.0


class Links:
    """Where nodes connect to, for as long as it is entered."""

    def __init__(self, address: str, silent_s: float = 10.0):
        """`address` is this machine's, as nodes reach it; only that is listened on. A node of which
        nothing is heard for `silent_s` is lost.
        """
        self._address = address
        self._silent_ns = int(silent_s * 1e9)
        self._silent = in_words(silent_s)
        self._secret = os.urandom(frames.SECRET_BYTES)
        self._waited: dict[int, asyncio.Future[Link]] = {}
        self._strangers: dict[_Door, None] = {}
        self._links: list[Link] = []
        self._packing = Packing()
        self._port = 0
        self._ended = threading.Event()

    def where_of(self, number: int) -> Where:
        """What the process of this node is to be told. Each has a secret of its own, so that none
        can pass for another; numbers that were not asked for are refused.
        """
        if number not in self._waited:
            self._waited[number] = asyncio.get_running_loop().create_future()
        return Where(self._address, self._port, self._secret_of(number))

    async def __aenter__(self) -> Links:
        """Raises OSError if the address cannot be listened on."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._server = await loop.create_server(
            lambda: _Door(self), self._address, 0, family=family, backlog=_BACKLOG
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._beating = asyncio.ensure_future(self._listen())
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        self._beating.cancel()
        self._server.close()
        for door in [*self._strangers]:
            door.shut()
        await asyncio.gather(
            self._beating, *(link.close() for link in self._links), return_exceptions=True
        )
        await self._server.wait_closed()

    async def connected(self, number: int, deadline_s: float) -> Link:
        """Wait for a node to connect. Raises NodeLost if it does not in time."""
        self.where_of(number)
        waited = self._waited[number]
        await asyncio.wait({waited}, timeout=deadline_s)
        if not waited.done():
            waited.cancel()  # it may not come later
            raise NodeLost(f"it did not connect within {in_words(deadline_s)} s")
        return waited.result()

    def _beat(self) -> None:
        """Tell nodes that their driver lives."""
        while not self._ended.wait(_BEAT_S):
            for link in [*self._links]:
                link.alive()

    async def _listen(self) -> None:
        """Find those that are silent."""
        beat_ns, last_ns = int(_BEAT_S * 1e9), MONOTONIC.now_ns()
        while True:
            await asyncio.sleep(_BEAT_S)
            now_ns = MONOTONIC.now_ns()
            # While this process was held up or stopped it heard nobody: that is no node's fault.
            since_ns, last_ns = now_ns - last_ns, now_ns
            deaf_ns = since_ns - beat_ns if since_ns > 1.5 * beat_ns else 0
            for link in self._links:
                link.heard_ns += deaf_ns
                if now_ns - link.heard_ns > self._silent_ns:
                    link.lose(f"nothing was heard of it for {self._silent} s")

    def _secret_of(self, number: int) -> bytes:
        return hmac.digest(self._secret, number.to_bytes(8, "little"), "sha256")

    # What follows is called by doors.

    def comes(self, door: _Door) -> None:
        while len(self._strangers) >= _MOST_STRANGERS:
            next(iter(self._strangers)).shut()
        self._strangers[door] = None

    def leaves(self, door: _Door) -> None:
        self._strangers.pop(door, None)

    def secret_of(self, number: int) -> bytes:
        """Raises FrameError for a node that nobody waits for, or that is there already."""
        waited = self._waited.get(number)
        if waited is None or waited.done():
            raise FrameError("a number that nobody waits for")
        return self._secret_of(number)

    def welcome(
        self,
        number: int,
        facts: dict[str, Any],
        outbox: Outbox,
        opener: Opener,
    ) -> Link:
        waited = self._waited[number]
        if waited.done():
            raise FrameError("a number that nobody waits for")
        link = Link(number, facts, outbox, opener, self._packing)
        self._links.append(link)
        waited.set_result(link)
        return link


class _Door(asyncio.Protocol):
    """One connection: at first a stranger's, then a node's."""

    def __init__(self, links: Links):
        self._links = links
        self._challenged = frames.challenge()
        self._said = b""
        self._number = -1
        self._opener: Opener | None = None
        self._link: Link | None = None
        self._outbox: Outbox | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is no asyncio.Transport, though it is one in all but its class.
        self._transport = cast(asyncio.Transport, transport)
        self._links.comes(self)
        self._limit = asyncio.get_running_loop().call_later(_HELLO_S, self.shut)
        self._transport.write(self._challenged)

    def shut(self) -> None:
        self._limit.cancel()
        self._links.leaves(self)
        if self._outbox is not None:
            self._outbox.close()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        now_ns = MONOTONIC.now_ns()
        if self._link is not None:
            self._link.hear(data, now_ns)
            return
        if self._transport.is_closing():
            return
        try:
            if self._opener is None:
                self._hear_response(data)
            else:
                self._hear_facts(self._opener, data)
        except (ValueError, TypeError):  # FrameError is one
            self.shut()

    def _hear_response(self, data: bytes) -> None:
        self._said += data
        if len(self._said) < frames.RESPONSE_BYTES:
            return
        if len(self._said) > frames.RESPONSE_BYTES:
            raise FrameError("more than an answer")
        self._number = frames.number_in(self._said)
        secret = self._links.secret_of(self._number)
        self._transport.write(frames.welcome(self._challenged, self._said, secret))
        down, up = frames.keys(self._challenged, self._said, secret)
        self._sealer, self._opener = Sealer(down), Opener(up)

    def _hear_facts(self, opener: Opener, data: bytes) -> None:
        for kind, body in opener.frames(data):
            if self._link is not None:
                raise FrameError("more than its facts before it was asked")
            if kind != Kind.UPDATE or len(body) > _MOST_FACTS_BYTES:
                raise FrameError("no facts")
            told = decoded(body, _MOST_FACTS_BYTES)
            if not isinstance(told, dict):
                raise FrameError("no facts")
            facts = taken(told)
            self._limit.cancel()
            self._links.leaves(self)
            self._outbox = Outbox(self._transport, self._sealer)
            self._link = self._links.welcome(self._number, facts, self._outbox, opener)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, fault: Exception | None) -> None:
        self._limit.cancel()
        self._links.leaves(self)
        if self._link is not None:
            why = "the connection to it was lost" if fault else "it closed the connection"
            self._link.lose(why, by_itself=True)

    def pause_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.pause()

    def resume_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.resume()
