"""The client's connections: which is used, who waits, what is replaced, and what is counted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure
from qs.engine.wire.http import HttpClient
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import GET, LOOPS, ask, on_loop
from tests.engine.wire.byte_server import ByteServer, Peer, answer, answers

pytestmark = pytest.mark.parametrize("loop", LOOPS)
LIMIT_S = 60.0


def with_client(
    loop: str,
    server: ByteServer,
    work: Callable[[HttpClient], Awaitable[None]],
    count: int = 1,
    **settings: object,
) -> HttpClient:
    """Run it with a client that has so many connections."""

    async def whole() -> HttpClient:
        client = HttpClient(ClientSettings("127.0.0.1", server.port, **settings))  # type: ignore[arg-type]
        await client.open(count)
        try:
            await work(client)
        finally:
            await client.close()
        return client

    return on_loop(loop, whole)


async def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        await asyncio.sleep(0.001)


def numbered(peer: Peer) -> None:
    """Answers with the connection's number."""
    while True:
        peer.request()
        peer.send(answer(b"%d" % peer.number))


def test_stamps_are_those_of_the_socket(loop: str) -> None:
    calls: list[WireCall] = []
    times: dict[str, int] = {}

    def script(peer: Peer) -> None:
        peer.request()
        times["received"] = time.perf_counter_ns()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)
        times["first"] = time.perf_counter_ns()
        whole = answer(b"hello")
        peer.send(whole[:20])
        limit = time.monotonic() + LIMIT_S
        while calls[0].first_ns < times["first"] and time.monotonic() < limit:
            time.sleep(0.001)
        times["last"] = time.perf_counter_ns()
        peer.send(whole[20:])
        peer.silence()

    async def work(client: HttpClient) -> None:
        calls.append(client.start(GET, lambda call: None))
        await until(lambda: calls[0].last_ns > 0)

    with ByteServer(script) as server:
        with_client(loop, server, work)
    call = calls[0]
    assert call.issued_ns == call.sent_ns < times["received"]
    assert times["first"] < call.first_ns < times["last"] < call.last_ns


def test_an_answer_before_the_answer_that_comes_with_it_does_not_stamp(loop: str) -> None:
    """The read that ends the 103 brings the first byte of the answer."""
    times: list[int] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hi")
        time.sleep(0.02)
        times.append(time.perf_counter_ns())
        peer.send(b"nts\r\n\r\n" + answer(b"hello"))
        peer.silence()

    with ByteServer(script) as server:
        (call,) = ask(loop, ClientSettings("127.0.0.1", server.port), GET)
    assert times[0] < call.first_ns == call.last_ns


def test_a_request_waits_in_line_for_a_connection(loop: str) -> None:
    async def work(client: HttpClient) -> None:
        first, second, third = await asyncio.gather(*(client.call(GET) for _ in range(3)))
        assert first.issued_ns == first.sent_ns
        assert second.issued_ns < first.last_ns < second.sent_ns
        assert second.last_ns < third.sent_ns
        assert client.counts()["opened while measuring"] == 0

    with ByteServer(numbered) as server:
        with_client(loop, server, work)
        assert server.accepted == 1


def test_who_waits_comes_before_who_is_just_answered(loop: str) -> None:
    """A client in closed loop that asks again from `done` does not pass the others."""
    order: list[str] = []

    async def work(client: HttpClient) -> None:
        def again(call: WireCall) -> None:
            order.append("a")
            if len(order) < 6:
                client.start(GET, again)

        client.start(GET, again)
        client.start(GET, lambda call: order.append("b"))
        await until(lambda: len(order) >= 6)

    with ByteServer(numbered) as server:
        with_client(loop, server, work)
    assert order[:3] == ["a", "b", "a"]


@pytest.mark.parametrize(("order", "used"), [("last", 1), ("first", 3)])
def test_which_idle_connection_is_taken(loop: str, order: str, used: int) -> None:
    bodies: list[bytes | memoryview] = []

    async def work(client: HttpClient) -> None:
        for _ in range(6):
            bodies.append((await client.call(GET)).body)

    with ByteServer(numbered) as server:
        with_client(loop, server, work, count=3, order=order)
    assert len(set(bodies)) == used


def test_no_connection_is_opened_while_measuring(loop: str) -> None:
    async def work(client: HttpClient) -> None:
        await asyncio.gather(*(client.call(GET) for _ in range(20)))
        assert client.counts()["connections"] == 2

    with ByteServer(numbered) as server:
        with_client(loop, server, work, count=2, connections=10)
        assert server.accepted == 2


def test_connections_are_opened_while_measuring_if_asked(loop: str) -> None:
    gate = threading.Event()

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            gate.wait(LIMIT_S)
            peer.send(answer())

    async def work(client: HttpClient) -> None:
        calls = [client.call(GET) for _ in range(20)]
        await until(lambda: client.counts()["connections"] == 5)
        gate.set()
        await asyncio.gather(*calls)
        assert client.counts()["opened while measuring"] == 4
        assert client.counts()["replaced"] == 0

    with ByteServer(script) as server:
        with_client(loop, server, work, connections=5, open_while_measuring=True)
        assert server.accepted == 5


def test_a_call_that_is_cancelled_ends_its_connection_which_is_replaced(loop: str) -> None:
    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.silence()
        numbered(peer)

    async def work(client: HttpClient) -> None:
        ended: list[WireCall] = []
        call = client.start(GET, ended.append)
        waiting = client.start(GET, ended.append)
        waiting.cancel()
        call.cancel()
        call.cancel()
        assert ended == []
        await until(lambda: len(ended) == 2)
        assert {each.failure for each in ended} == {Failure.CANCELLED}
        call = await client.call(GET)
        call.cancel()
        assert (call.failure, call.body) == (None, b"1")
        assert client.counts()["replaced"] == 1
        assert len(ended) == 2

    with ByteServer(script) as server:
        with_client(loop, server, work)


def test_cancelling_who_awaits_a_call_cancels_it(loop: str) -> None:
    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.silence()
        numbered(peer)

    async def work(client: HttpClient) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.call(GET), 0.01)
        assert (await client.call(GET)).body == b"1"

    with ByteServer(script) as server:
        with_client(loop, server, work)


@pytest.mark.parametrize("headers", [(), ("Connection: close",)], ids=["unsaid", "said"])
def test_a_server_that_closes_after_each_answer(loop: str, headers: tuple[str, ...]) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"hello", "200 OK", *headers))

    async def work(client: HttpClient) -> None:
        for _ in range(5):
            call = await client.call(GET)
            assert (call.failure, call.body) == (None, b"hello")
        await until(lambda: client.counts()["replaced"] == 5)

    with ByteServer(script) as server:
        with_client(loop, server, work)


def test_a_request_is_sent_again_where_the_server_had_closed(loop: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"%d" % peer.number))
        peer.request()
        if peer.number:
            peer.send(answer(b"again"))

    async def work(client: HttpClient) -> None:
        assert (await client.call(GET)).body == b"0"
        call = await client.call(GET)
        assert (call.failure, call.body, call.resent, call.fresh) == (None, b"1", True, True)
        assert call.issued_ns == call.sent_ns
        call = await client.call(GET)
        assert (call.body, call.resent, call.fresh) == (b"again", False, False)
        assert client.counts()["sent again"] == 1

    with ByteServer(script) as server:
        with_client(loop, server, work)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"H"])
def test_it_is_sent_again_once_only_and_never_after_a_byte(loop: str, begun: bytes) -> None:
    requests: list[int] = []

    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.request()
            peer.send(answer())
        peer.request()
        requests.append(peer.number)
        peer.send(begun)

    async def work(client: HttpClient) -> None:
        await client.call(GET)
        call = await client.call(GET)
        assert call.failure == Failure.CLOSED
        assert call.resent is not bool(begun)

    with ByteServer(script) as server:
        with_client(loop, server, work)
    assert requests == ([0] if begun else [0, 1])


def test_a_connection_that_ends_while_idle_is_replaced(loop: str) -> None:
    def script(peer: Peer) -> None:
        if peer.number:
            numbered(peer)
        peer.request()
        peer.send(answer())

    async def work(client: HttpClient) -> None:
        await client.call(GET)
        await until(lambda: client.counts()["replaced"] == 1)
        call = await client.call(GET)
        assert (call.body, call.resent) == (b"1", False)
        assert client.counts()["closed by server"] == 1

    with ByteServer(script) as server:
        with_client(loop, server, work)


def test_bytes_that_nobody_asked_for_end_the_connection(loop: str) -> None:
    gate = threading.Event()

    def script(peer: Peer) -> None:
        if peer.number == 0:
            peer.request()
            peer.send(answer())
            gate.wait(LIMIT_S)
            peer.send(answer(b"stray"))
            peer.silence()
        numbered(peer)

    async def work(client: HttpClient) -> None:
        await client.call(GET)
        gate.set()
        await until(lambda: client.counts()["stray bytes"] == 1)
        assert (await client.call(GET)).body == b"1"

    with ByteServer(script) as server:
        with_client(loop, server, work)


def test_an_answer_too_large_leaves_the_connection_in_order(loop: str) -> None:
    large = answer(b"x" * 300_000)

    async def work(client: HttpClient) -> None:
        failures = [(await client.call(GET)).failure for _ in range(3)]
        assert failures == [Failure.TOO_LARGE, None, None]

    with ByteServer(answers(large, answer(b"x" * 1000), answer(b"y"))) as server:
        with_client(loop, server, work, most_kept_bytes=1000)
        assert server.accepted == 1


def test_answers_of_all_sizes_follow_each_other(loop: str) -> None:
    """In one read, in several, in place, in chunks, and again."""
    sizes = [0, 1, 5_000, 70_000, 400_000, 3, 300_000, 70_000, 65_536, 65_537, 2_000_000, 10]
    bodies = [bytes([index + 1]) * size for index, size in enumerate(sizes)]
    sent = []
    for body in bodies:
        sent.append(answer(body))
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in pieces(body))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        sent.append(head + chunks + b"0\r\n\r\n")

    async def work(client: HttpClient) -> None:
        for number in range(len(sent)):
            call = await client.call(GET)
            assert call.failure is None, call.detail
            assert call.body == bodies[number // 2]

    with ByteServer(answers(*sent)) as server:
        with_client(loop, server, work)
        assert server.accepted == 1


def pieces(body: bytes) -> list[bytes]:
    return [body[start : start + 30_000] for start in range(0, len(body), 30_000)]


def test_the_detail_is_told_each_time(loop: str) -> None:
    """What a warm-up was told of a kind of failure, the measured phase has not seen."""

    async def work(client: HttpClient) -> None:
        calls = [await client.call(GET) for _ in range(3)]
        assert [call.failure for call in calls] == ["HTTP 503"] * 3
        assert [call.detail for call in calls] == ["busy"] * 3

    with ByteServer(answers(answer(b"busy", "503 Service Unavailable"))) as server:
        with_client(loop, server, work)


def test_a_server_that_goes_down_and_comes_back(loop: str) -> None:
    async def work(client: HttpClient) -> None:
        loop_of_test = asyncio.get_running_loop()
        assert (await client.call(GET)).failure is None
        asked = client.call(GET)
        await loop_of_test.run_in_executor(None, server.down)
        assert (await asked).failure in (None, Failure.REFUSED, Failure.CLOSED)
        # Whoever asks meanwhile is told, and not faster than a new attempt is made.
        calls = [await client.call(GET) for _ in range(6)]
        assert {call.failure for call in calls} == {Failure.REFUSED}
        assert all(call.resent or call.sent_ns == 0 for call in calls)
        await loop_of_test.run_in_executor(None, server.up)
        while (call := await client.call(GET)).failure == Failure.REFUSED:
            pass
        assert call.failure is None
        await until(lambda: client.counts()["connections"] == 4)

    with ByteServer(numbered) as server:
        with_client(loop, server, work, count=4)


def test_many_wait_when_the_server_goes_down_and_none_hangs(loop: str) -> None:
    def script(peer: Peer) -> None:
        peer.silence()

    async def work(client: HttpClient) -> None:
        calls = [client.call(GET) for _ in range(50)]
        await until(lambda: server.accepted == 2)
        await asyncio.get_running_loop().run_in_executor(None, server.down)
        failures = [call.failure for call in await asyncio.gather(*calls)]
        assert failures[:2] == [Failure.CLOSED] * 2
        assert set(failures[2:]) <= {Failure.REFUSED, Failure.CLOSED, Failure.RESET}

    with ByteServer(script) as server:
        with_client(loop, server, work, count=2)


def test_what_waits_too_long_in_line_times_out(loop: str) -> None:
    async def work(client: HttpClient) -> None:
        calls = await asyncio.gather(*(client.call(GET) for _ in range(3)))
        assert [call.failure for call in calls] == [Failure.TIMEOUT] * 3
        assert calls[2].sent_ns == 0

    with ByteServer(lambda peer: peer.silence()) as server:
        with_client(loop, server, work, timeout_s=0.05)


def test_closing_ends_what_is_under_way(loop: str) -> None:
    calls: list[asyncio.Future[WireCall]] = []

    async def work(client: HttpClient) -> None:
        calls.extend(client.call(GET) for _ in range(2))
        await until(lambda: server.accepted == 1)

    with ByteServer(lambda peer: peer.silence()) as server:
        client = with_client(loop, server, work)
    assert [call.result().failure for call in calls] == [Failure.CANCELLED] * 2
    assert client.counts()["connections"] == 1  # while it was measuring


def test_counts_begin_and_end_with_the_measurement(loop: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"", "200 OK", "Connection: close"))

    async def work(client: HttpClient) -> None:
        await client.call(GET)
        await until(lambda: client.counts()["replaced"] == 1)
        client.begin_measuring()
        assert client.counts()["replaced"] == 0
        await client.call(GET)
        await until(lambda: client.counts()["replaced"] == 1)
        client.end_measuring()
        await client.call(GET)
        await until(lambda: server.accepted == 4)
        assert client.counts()["replaced"] == 1

    with ByteServer(script) as server:
        with_client(loop, server, work)


def test_a_done_that_raises_leaves_the_client_in_order(loop: str) -> None:
    complaints: list[str] = []

    async def work(client: HttpClient) -> None:
        running = asyncio.get_running_loop()
        running.set_exception_handler(
            lambda _, context: complaints.append(str(context.get("exception")))
        )

        def done(call: WireCall) -> None:
            raise RuntimeError("the caller's own fault")

        client.start(GET, done)
        await until(lambda: bool(complaints))
        assert (await client.call(GET)).failure is None

    with ByteServer(numbered) as server:
        with_client(loop, server, work)
    assert complaints == ["the caller's own fault"]


def test_a_done_that_raises_does_not_keep_it_from_the_others(loop: str) -> None:
    complaints: list[str] = []
    told: list[str | None] = []

    async def work(client: HttpClient) -> None:
        running = asyncio.get_running_loop()
        running.set_exception_handler(
            lambda _, context: complaints.append(str(context.get("exception")))
        )

        def done(call: WireCall) -> None:
            told.append(call.failure)
            raise RuntimeError("the caller's own fault")

        for _ in range(4):
            client.start(GET, done)
        await until(lambda: len(told) == 4)

    with ByteServer(lambda peer: peer.silence()) as server:
        with_client(loop, server, work, count=2, timeout_s=0.05)
    assert told == [Failure.TIMEOUT] * 4
    assert complaints == ["the caller's own fault"] * 4


def test_a_client_can_be_opened_again(loop: str) -> None:
    async def work(client: HttpClient) -> None:
        await client.close()
        await client.open(1)
        assert (await client.call(GET)).body == b"1"

    with ByteServer(numbered) as server:
        with_client(loop, server, work)


def test_a_client_that_is_not_open_says_so(loop: str) -> None:
    async def work() -> None:
        client = HttpClient(ClientSettings("127.0.0.1", 1))
        call = await client.call(GET)
        assert (call.failure, call.detail) == (Failure.CLOSED, "the client is closed")
        await client.close()

    on_loop(loop, work)
