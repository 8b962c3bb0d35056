"""A server that sends what a test says, byte by byte, and ends connections as it says: one thread a
connection, in the test's process, on 127.0.0.1.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"
LIMIT_S = 60.0  # nothing here waits longer, whatever the client does


class Peer:
    """The server's end of one connection; `number` counts connections from 0."""

    def __init__(self, connection: socket.socket, number: int):
        self.connection = connection
        self.number = number
        self._data = b""

    def request(self) -> bytes:
        """The next request, head and body. EOFError if the client has closed."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._data) < length:
            self._more()
        body, self._data = self._data[:length], self._data[length:]
        return head + b"\r\n\r\n" + body

    def head(self) -> bytes:
        """The next request's head, with its body left unread."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        return head

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reset(self) -> None:
        """End the connection with a RST."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def silence(self) -> None:
        """Send nothing, until the client closes."""
        while True:
            self._more()

    def _more(self) -> None:
        data = self.connection.recv(1 << 16)
        if not data:
            raise EOFError
        self._data += data


Script = Callable[[Peer], None]


class ByteServer:
    """`with ByteServer(script) as server:` runs the script for each connection, which ends with the
    script. `down()` closes the port and all connections, `up()` opens the same port again.
    """

    def __init__(
        self,
        script: Script,
        host: str = "127.0.0.1",
        certificate: str | None = None,
        client_ca: str | None = None,
    ):
        self.script = script
        self.host = host
        self.port = 0
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(CERTIFICATES / certificate)
            if client_ca is not None:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(CERTIFICATES / client_ca)
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None

    def __enter__(self) -> ByteServer:
        self.up()
        return self

    def __exit__(self, *fault: object) -> None:
        self.down()

    def up(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.host, self.port))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def down(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        listener.close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "a script of this server does not end"

    def _start(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(connection,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(LIMIT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        with self._lock:
            number, self.accepted = self.accepted, self.accepted + 1
        connection = plain
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.add(connection)
            self.script(Peer(connection, number))
        except (EOFError, OSError):
            pass  # the client has gone, or the server is to
        finally:
            with self._lock:
                self._open.discard(plain)
                self._open.discard(connection)
            connection.close()
            plain.close()


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(*each: bytes) -> Script:
    """Sends one after the other, a request each, then the last one for ever."""

    def script(peer: Peer) -> None:
        left = list(each)
        while True:
            peer.request()
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script
