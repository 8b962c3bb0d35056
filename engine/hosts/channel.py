"""Messages between a conductor and a child process: length-prefixed pickles over Unix sockets, with
file descriptors beside them.

What a child sends is read by an unpickler that knows only plain data (None, bool, int, float, str,
bytes, list, tuple, dict): a child runs code that is not trusted, and none of its messages can name
a class or call a function in the conductor.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

from qs.engine.descriptors import above_standard
from qs.engine.errors import HostError

_LENGTH = struct.Struct("<Q")
_PROTOCOL = 4
_MOST_FDS = 8


class PlainUnpickler(pickle.Unpickler):
    """Loads plain data and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(
            f"a host answered with a {module}.{name}; only plain data may cross a process boundary"
        )


def send(sock: socket.socket, message: Any, fds: list[int] | tuple[int, ...] = ()) -> None:
    """Send one message (blocking, within the socket's time-out). Raises OSError if the other side
    is gone.
    """
    data = pickle.dumps(message, _PROTOCOL)
    head = _LENGTH.pack(len(data))
    if fds:
        socket.send_fds(sock, [head], list(fds))
        sock.sendall(data)
    else:
        sock.sendall(head + data)


def receive(sock: socket.socket) -> tuple[Any, list[int]]:
    """Wait for one message and its descriptors. Raises EOFError if the other side is gone. Only for
    the trusted direction.
    """
    head, fds, _, _ = socket.recv_fds(sock, _LENGTH.size, _MOST_FDS)
    if not head:
        raise EOFError
    head += _exactly(sock, _LENGTH.size - len(head))
    # A vendor may have closed the standard ones: what is printed must not go into what is measured.
    fds = [above_standard(fd) for fd in fds]
    return pickle.loads(_exactly(sock, _LENGTH.unpack(head)[0])), fds


async def receive_plain(sock: socket.socket, hear: Callable[[int], object] = int) -> Any:
    """Wait on the event loop for one message of a child; `hear` is called with the bytes of each
    part of it. Raises EOFError if it is gone, UnpicklingError if it is not plain data.
    """
    loop = asyncio.get_running_loop()

    async def exactly(size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = await loop.sock_recv(sock, min(size - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
            hear(len(part))
        return bytes(data)

    size = _LENGTH.unpack(await exactly(_LENGTH.size))[0]
    return PlainUnpickler(io.BytesIO(await exactly(size))).load()


def value_of(message: tuple) -> Any:
    """The value that a child answers with. Raises HostError if it answers with an error."""
    if message[0] == "ok":
        return message[1]
    raise HostError(*message[1:])


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
