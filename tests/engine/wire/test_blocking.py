"""The blocking client's own: a connection a thread, and what it has kept of it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from qs.engine.wire import blocking
from qs.engine.wire.blocking import BlockingHttp
from qs.engine.wire.failures import Failure
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import GET
from tests.engine.wire.byte_server import ByteServer, Peer, answer, answers

LARGE = bytes(range(256)) * 4096


def test_each_thread_has_a_connection() -> None:
    together = threading.Barrier(3)

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(answer(b"%d" % peer.number))

    with ByteServer(script) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))

        def asks(_: int) -> set[bytes]:
            together.wait(60)
            return {bytes(client.ask(GET).body) for _ in range(3)}

        with ThreadPoolExecutor(3) as pool:
            used = list(pool.map(asks, range(3)))
        assert sorted(used, key=min) == [{b"0"}, {b"1"}, {b"2"}]
        assert client.counts()["connections"] == 3
        client.close()


def test_a_body_is_the_callers() -> None:
    """The next answer is not received over it."""
    with ByteServer(answers(answer(LARGE), answer(LARGE[::-1]), answer(b"x" * 50_000))) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))
        first, second, third = (client.ask(GET).body for _ in range(3))
        client.close()
    assert first == LARGE
    assert second == LARGE[::-1]
    assert third == b"x" * 50_000


def test_a_request_is_sent_again_where_the_server_had_closed(monkeypatch) -> None:
    monkeypatch.setattr(blocking, "IDLE_NS", 1 << 62)  # nobody looks before sending

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"%d" % peer.number))
        peer.request()

    with ByteServer(script) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))
        client.ask(GET)
        call = client.ask(GET)
        assert (call.failure, call.body, call.resent, call.fresh) == (None, b"1", True, True)
        assert client.counts()["sent again"] == 1
        client.close()


def test_it_is_sent_again_once_only() -> None:
    requests: list[int] = []

    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.request()
            peer.send(answer())
        peer.request()
        requests.append(peer.number)

    with ByteServer(script) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))
        client.ask(GET)
        call = client.ask(GET)
        client.close()
    assert (call.failure, call.resent) == (Failure.CLOSED, True)
    assert requests == [0, 1]


def test_a_connection_that_ended_or_has_stray_bytes_is_not_used(monkeypatch) -> None:
    monkeypatch.setattr(blocking, "IDLE_NS", 0)
    gate = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"%d" % peer.number))
        if peer.number == 0:
            peer.send(answer(b"stray"))
            gate.set()
            peer.silence()
        if peer.number == 2:
            peer.silence()

    with ByteServer(script) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))
        client.ask(GET)
        assert gate.wait(60)
        time.sleep(0.01)  # loopback has brought the bytes; what has not come cannot be seen
        assert client.ask(GET).body == b"1"
        call = client.ask(GET)
        assert call.body == b"2"
        client.close()


def test_a_server_that_comes_back() -> None:
    with ByteServer(answers(answer(b"hello"))) as server:
        client = BlockingHttp(ClientSettings("127.0.0.1", server.port))
        assert client.ask(GET).failure is None
        server.down()
        assert [client.ask(GET).failure for _ in range(2)] == [Failure.REFUSED] * 2
        server.up()
        assert client.ask(GET).body == b"hello"
        client.close()
