"""What a driver sends to one node: short messages at once, long ones in parts with others between
them, and a sign of life each second, whatever the driver's event loop is busy with.
"""

from __future__ import annotations

import asyncio
import os
import threading

from qs.engine.distributed.talking.frames import Kind, Sealer
from qs.engine.distributed.talking.tcp import try_often


class Outbox:
    """The sending side of a node's connection. All but `alive` is for the event loop's thread."""

    def __init__(self, transport: asyncio.Transport, sealer: Sealer):
        self._transport, self._sealer = transport, sealer
        self._turn = asyncio.Lock()  # of long messages
        self._room = asyncio.Event()
        self._room.set()
        # Frames are numbered in the order in which they are written.
        self._writing = threading.Lock()
        self._own = os.dup(transport.get_extra_info("socket").fileno())
        try_often(self._own)
        self._closed = False

    def tell(self, kind: Kind, body: bytes | memoryview = b"") -> None:
        """Send one frame; nothing once it is closed."""
        with self._writing:
            if not self._closed:
                self._transport.write(self._sealer.frame(kind, body))

    async def send(self, message: bytes) -> None:
        """Send a message that may be long; returns when the node, or the way to it, has room for
        more.
        """
        async with self._turn:
            for kind, body in self._sealer.parts(message):
                self.tell(kind, body)
                await self._room.wait()
                if self._closed:
                    return

    def alive(self) -> None:
        """Let the node know that its driver lives. Called from a thread of its own, for what holds
        up the event loop is no reason to end the nodes.
        """
        with self._writing:
            # What waits to be written says the same, and nothing may overtake it.
            if self._closed or self._transport.get_write_buffer_size():
                return
            frame = self._sealer.frame(Kind.ALIVE)
            try:
                written = os.write(self._own, frame)
            except OSError:
                written = 0
            if not written:
                self._sealer.take_back()  # the way is full, or lost: that is seen elsewhere
            elif written < len(frame):
                self._transport.abort()

    def pause(self) -> None:
        self._room.clear()

    def resume(self) -> None:
        self._room.set()

    def close(self) -> None:
        """Cut the node off."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            os.close(self._own)
            self._transport.abort()
        self._room.set()
