"""Connections of the gRPC client: what a server says of them, ends of them, and how many there are
at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from qs.engine.wire.failures import WireError
from qs.engine.wire.grpc import GrpcClient
from qs.engine.wire.grpc_requests import grpc_request
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import LOOPS, on_loop
from tests.servers.http2_peer import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MOST,
    OK,
    PING,
    RST,
    WINDOW,
    Peer,
    Script,
    frame,
    message,
    scripted,
    settings,
)

CERTIFICATES = Path(__file__).parent / "certificates"
each_loop = pytest.mark.parametrize("loop", LOOPS)
Work = Callable[[GrpcClient], Awaitable[Any]]


def asked(content: bytes = b"q" * 5) -> Any:
    return grpc_request("/tests.Echo/Ask", "test", {"who": "me"}, content)


def run(loop: str, script: Script, work: Work, count: int = 1, **given: Any) -> Any:
    """What `work` makes of a client that is connected to the script."""

    async def inside() -> Any:
        async with scripted(script) as port:
            client = GrpcClient(ClientSettings("127.0.0.1", port, **given))
            await client.open(count)
            try:
                return await work(client)
            finally:
                await client.close()

    return on_loop(loop, inside)


async def answering(peer: Peer, number: int) -> None:
    await peer.begin()
    while True:
        peer.answer(await peer.request())


async def several(client: GrpcClient, count: int, *contents: bytes) -> list[Any]:
    return await asyncio.gather(*(client.call(asked(*contents)) for _ in range(count)))


@each_loop
def test_streams_the_server_does_not_read_any_more_are_sent_again(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        if number:
            await answering_on(peer)
        first, second, _ = [await peer.request() for _ in range(3)]
        # It goes away having read two, and answers those.
        peer.send(frame(GOAWAY, 0, 0, second.to_bytes(4, "big") + bytes(4) + b"restart"))
        peer.answer(second)
        await asyncio.sleep(0.02)
        peer.answer(first)

    async def answering_on(peer: Peer) -> None:
        while True:
            peer.answer(await peer.request(), b"again")

    async def work(client: GrpcClient) -> Any:
        return await several(client, 3), client.counts()

    calls, counts = run(loop, script, work, streams=10)
    assert [(each.failure, each.body, each.resent) for each in calls] == [
        (None, b"ok", False), (None, b"ok", False), (None, b"again", True),
    ]  # fmt: skip
    assert (counts["sent again"], counts["replaced"], counts["connections"]) == (1, 1, 1)
    assert calls[2].sent_ns < calls[2].first_ns


@each_loop
def test_a_graceful_goodbye_loses_nothing(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        served = 0
        while True:
            stream = await peer.request()
            served += 1
            if served == 3:
                peer.send(frame(GOAWAY, 0, 0, MOST.to_bytes(4, "big") + bytes(4)))
            peer.answer(stream, str(number).encode())

    async def work(client: GrpcClient) -> Any:
        calls = [await client.call(asked()) for _ in range(7)]
        return calls, client.counts()

    calls, counts = run(loop, script, work)
    assert [each.failure for each in calls] == [None] * 7
    assert [each.body for each in calls] == [b"0"] * 3 + [b"1"] * 3 + [b"2"]
    assert (counts["replaced"], counts["sent again"], counts["connections"]) == (2, 0, 1)


@each_loop
def test_closed_unanswered_is_sent_once_more_and_not_twice(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        if number == 0:
            peer.answer(await peer.request())
        if number == 2:
            await answering_rest(peer)
        await peer.request()
        peer.close()

    async def answering_rest(peer: Peer) -> None:
        while True:
            peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        return [await client.call(asked()) for _ in range(3)], client.counts()

    calls, counts = run(loop, script, work)
    assert [(each.failure, each.resent) for each in calls] == [
        (None, False), ("closed", True), (None, False),
    ]  # fmt: skip
    assert counts["sent again"] == 1


@each_loop
def test_a_server_that_is_gone_fails_requests_and_one_that_is_back_answers(loop: str) -> None:
    async def work() -> Any:
        async with scripted(answering) as port:
            client = GrpcClient(ClientSettings("127.0.0.1", port, timeout_s=30))
            await client.open(2)
            assert (await client.call(asked())).failure is None
        gone = await asyncio.gather(*(client.call(asked()) for _ in range(5)))
        server = await asyncio.start_server(
            lambda reader, writer: _meet(Peer(reader, writer)), "127.0.0.1", port
        )
        for _ in range(100):
            back = await client.call(asked())
            if back.failure is None:
                break
            await asyncio.sleep(0.02)
        await client.close()
        server.close()
        return gone, back

    async def _meet(peer: Peer) -> None:
        try:
            await answering(peer, 0)
        except Exception:
            peer.close()

    gone, back = on_loop(loop, work)
    assert {each.failure for each in gone} <= {"refused", "reset", "closed"}
    assert (back.failure, back.body) == (None, b"ok")


@each_loop
def test_as_many_streams_as_the_server_allows(loop: str) -> None:
    most = 0

    async def script(peer: Peer, number: int) -> None:
        nonlocal most
        await peer.begin({3: 2})
        under_way: list[int] = []
        for turn in range(20):
            under_way.append(await peer.request())
            most = max(most, len(under_way))
            if len(under_way) == 2 or turn == 19:
                for stream in under_way:
                    peer.answer(stream)
                under_way.clear()

    async def work(client: GrpcClient) -> Any:
        assert client.facts["streams"] == "2, as the server allows"
        return await several(client, 20)

    calls = run(loop, script, work, streams=10, connections=1)
    assert [each.failure for each in calls] == [None] * 20
    assert most == 2
    assert [each.issued_ns <= each.sent_ns for each in calls] == [True] * 20


@each_loop
def test_more_connections_where_the_server_allows_fewer_streams(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin({3: 3})
        while True:
            peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        return client.counts()["connections"]

    assert run(loop, script, work, 20, streams=10) == 7
    assert run(loop, script, work, 20, streams=10, connections=5) == 5


@each_loop
def test_fewer_streams_from_now_on(loop: str) -> None:
    """The server takes its allowance back, to nothing, and gives it again."""

    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        first = await peer.request()
        peer.send(settings({3: 0}))
        peer.answer(first)
        peer.send(frame(PING, 0, 0, b"12345678"))
        while (await peer.until(PING))[1] != 1:
            pass
        assert len(peer.received) == 1
        peer.send(settings({3: 1}))
        while True:
            peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        first = await client.call(asked())
        return [first, *await several(client, 3)]

    calls = run(loop, script, work, streams=4)
    assert [each.failure for each in calls] == [None] * 4


@each_loop
def test_as_many_connections_as_the_requests_need_and_no_more(loop: str) -> None:
    async def work(client: GrpcClient) -> Any:
        await several(client, 20)
        return client.counts()

    for at_a_time, streams, expected in ((7, 3, 3), (7, 1, 5), (1, 1, 1), (100, 2, 5), (0, 9, 5)):
        counts = run(loop, answering, work, at_a_time, streams=streams, connections=5)
        assert counts["connections"] == expected
        assert counts["opened while measuring"] == counts["replaced"] == 0


@each_loop
def test_more_are_opened_while_measuring_where_that_was_asked(loop: str) -> None:
    async def work(client: GrpcClient) -> Any:
        await several(client, 20)
        return client.counts()

    counts = run(loop, answering, work, 1, connections=4, open_while_measuring=True)
    assert 2 <= counts["connections"] <= 4
    assert counts["opened while measuring"] == counts["connections"] - 1


@pytest.mark.parametrize(("order", "used"), [("last", 1), ("first", 4)])
def test_which_connection_is_taken(order: str, used: int) -> None:
    numbers: list[int] = []

    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        while True:
            stream = await peer.request()
            numbers.append(number)
            peer.answer(stream)

    async def work(client: GrpcClient) -> None:
        for _ in range(8):
            await client.call(asked())

    run("uvloop", script, work, 4, order=order)
    assert len(set(numbers)) == used


@each_loop
def test_both_windows_and_the_frame_size_are_kept(loop: str) -> None:
    """A message of 100,000 bytes through a connection's window that opens by 10,000 and a stream's
    that a setting opens in mid-run: the peer takes the bytes that are allowed, and waits for them.
    """
    content = bytes(range(250)) * 400

    async def script(peer: Peer, number: int) -> None:
        await peer.begin({4: 1_000})
        await peer.until(HEADERS)
        whole = len(content) + 5
        await _received(peer, 1, 1_000)
        peer.send(settings({4: 2_000}))
        await _received(peer, 1, 2_000)
        # less than was sent already: the window is negative for a while
        peer.send(settings({4: 500}), frame(WINDOW, 0, 1, (2_000).to_bytes(4, "big")))
        await _received(peer, 1, 2_500)
        peer.send(frame(WINDOW, 0, 1, (1_000_000).to_bytes(4, "big")))
        sent = 65_535
        await _received(peer, 1, sent)
        while sent < whole:
            peer.send(frame(WINDOW, 0, 0, (10_000).to_bytes(4, "big")))
            sent = min(sent + 10_000, whole)
            await _received(peer, 1, sent)
        assert peer.largest <= 16_384
        peer.answer(1, peer.received[1])

    async def _received(peer: Peer, stream: int, size: int) -> None:
        while len(peer.received.get(stream, b"")) < size:
            await peer.next()
        peer.send(frame(PING, 0, 0, b"12345678"))
        while (await peer.until(PING))[1] != 1:
            pass
        assert len(peer.received[stream]) == size

    async def work(client: GrpcClient) -> Any:
        return await client.call(asked(content)), client.counts()

    call, counts = run(loop, script, work)
    assert (call.failure, bytes(call.body)) == (None, message(content))
    assert counts["waited for a window"] == 1


@each_loop
def test_large_frames_are_sent_where_the_server_takes_them(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin({4: MOST, 5: 200_000})
        peer.send(frame(WINDOW, 0, 0, (MOST - 65_535).to_bytes(4, "big")))
        stream = await peer.request()
        assert peer.largest == 200_000
        # and a large answer, in frames of all sizes
        content = message(peer.received[stream][5:])
        peer.send(peer.head(stream))
        at = 0
        for size in (3, 70_000, 1, 200_000, 16_384, 1 << 20):
            peer.send(frame(DATA, 0, stream, content[at : at + size]))
            at += size
        peer.send(peer.end(stream))

    content = bytes(range(256)) * 2_400

    async def work(client: GrpcClient) -> Any:
        return [await client.call(asked(content))]

    (call,) = run(loop, script, work)
    assert (call.failure, bytes(call.body) == content) == (None, True)


@each_loop
def test_an_answer_before_the_request_is_whole(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        await peer.until(HEADERS)
        peer.send(peer.head(1, {**OK, "grpc-status": "8"}, end=True))
        assert await peer.until(RST) == (RST, 0, 1, bytes(4))
        peer.send(frame(WINDOW, 0, 0, (65_535).to_bytes(4, "big")))
        peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        return await client.call(asked(bytes(200_000))), await client.call(asked())

    first, second = run(loop, script, work)
    assert (first.failure, second.failure) == ("gRPC RESOURCE_EXHAUSTED", None)


@each_loop
def test_a_cancelled_request_resets_its_stream_and_no_other(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        streams = [await peer.request() for _ in range(2)]
        peer.send(peer.head(streams[0]))
        _, _, stream, payload = await peer.until(RST)
        assert (stream, payload) == (streams[0], (8).to_bytes(4, "big"))
        # what it had sent meanwhile is nobody's
        peer.send(frame(DATA, 0, stream, message(b"late")), peer.end(stream))
        peer.answer(streams[1])
        peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        ended: list[Any] = []
        first = client.start(asked(), ended.append)
        second = client.call(asked())
        waiting = client.start(asked(), ended.append)
        await asyncio.sleep(0.02)
        waiting.cancel()
        first.cancel()
        assert ended == []  # not before the loop's next pass
        first.cancel()
        return (await second, await client.call(asked())), ended, client.counts()

    answered, ended, counts = run(loop, script, work, streams=2, connections=1)
    assert [each.failure for each in answered] == [None, None]
    assert [each.failure for each in ended] == ["cancelled", "cancelled"]
    assert counts["closed by server"] == counts["replaced"] == 0


@each_loop
def test_numbers_of_streams_run_out(loop: str) -> None:
    async def work(client: GrpcClient) -> Any:
        (line,) = client.lines
        line.next_stream = MOST - 2
        return await several(client, 4), client.counts()

    calls, counts = run(loop, answering, work, streams=10)
    assert [each.failure for each in calls] == [None] * 4
    assert (counts["replaced"], counts["connections"]) == (1, 1)


@each_loop
def test_a_table_of_headers_is_kept_as_the_peer_keeps_it(loop: str) -> None:
    """The peer's encoder has a table until it has seen that there is to be none, and says then that
    it has none.
    """

    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        for turn in range(9):
            stream = await peer.request()
            fields = {**OK, "told": str(turn // 2)}
            if turn == 6:
                peer.encoder.header_table_size = 0
            peer.send(peer.head(stream, fields), frame(DATA, 0, stream, message(b"ok")))
            peer.send(peer.end(stream))

    async def work(client: GrpcClient) -> Any:
        return [(await client.call(asked())).headers()["told"] for _ in range(9)]

    assert run(loop, script, work) == ["0", "0", "1", "1", "2", "2", "3", "3", "4"]


@each_loop
def test_our_own_headers_need_no_table_and_say_so_once(loop: str) -> None:
    blocks: list[bytes] = []

    async def script(peer: Peer, number: int) -> None:
        await peer.begin({1: 0})
        peer.decoder.max_allowed_table_size = 0  # as hpack wants it of who has set it so
        for _ in range(3):
            stream = await peer.request()
            assert peer.headers[stream] == {
                ":method": "POST", ":scheme": "http", ":path": "/tests.Echo/Ask",
                ":authority": "test", "te": "trailers", "content-type": "application/grpc",
                "user-agent": "qs", "grpc-accept-encoding": "identity", "who": "me",
            }  # fmt: skip
            peer.answer(stream)
        blocks.extend(payload for kind, _, _, payload in peer.frames if kind == HEADERS)

    async def work(client: GrpcClient) -> Any:
        return [await client.call(asked()) for _ in range(3)]

    assert [each.failure for each in run(loop, script, work)] == [None] * 3
    assert blocks[0] == b"\x20" + blocks[1]
    assert blocks[1] == blocks[2]


@each_loop
def test_pings_are_answered_and_settings_acknowledged(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin({5: 20_000})
        kind, flags, _, payload = await peer.until(4)
        assert {payload[at : at + 6] for at in range(0, len(payload), 6)} >= {
            b"\0\1\0\0\0\0", b"\0\2\0\0\0\0", b"\0\4\x7f\xff\xff\xff",
        }  # fmt: skip
        assert await peer.until(WINDOW) == (WINDOW, 0, 0, (MOST - 65_535).to_bytes(4, "big"))
        assert await peer.until(4) == (4, 1, 0, b"")
        peer.send(frame(PING, 0, 0, b"abcdefgh"), frame(PING, 1, 0, b"ijklmnop"))
        assert await peer.until(PING) == (PING, 1, 0, b"abcdefgh")
        peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        return await client.call(asked())

    assert run(loop, script, work).failure is None


def test_the_connections_window_is_opened_again() -> None:
    """After 2^30 bytes: `received` is set forward, for no test sends as many."""

    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        peer.answer(await peer.request())
        _, _, stream, payload = await peer.until(WINDOW)
        while int.from_bytes(payload, "big") == MOST - 65_535:
            _, _, stream, payload = await peer.until(WINDOW)
        assert (stream, int.from_bytes(payload, "big")) == (0, MOST // 2 + 7)
        peer.answer(await peer.request())

    async def work(client: GrpcClient) -> Any:
        (line,) = client.lines
        line.received = MOST // 2
        return [await client.call(asked()), await client.call(asked())]

    assert [each.failure for each in run("uvloop", script, work)] == [None, None]


@each_loop
def test_closing_ends_what_is_under_way(loop: str) -> None:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        assert await peer.until(GOAWAY) == (GOAWAY, 0, 0, bytes(8))

    async def work(client: GrpcClient) -> Any:
        ended: list[Any] = []
        for _ in range(3):
            client.start(asked(), ended.append)
        await asyncio.sleep(0.01)
        await client.close()
        late = await client.call(asked())
        return ended, late

    ended, late = run(loop, script, work, streams=2, connections=1)
    assert [each.failure for each in ended] == ["cancelled"] * 3
    assert (late.failure, late.detail) == ("closed", "the client is closed")


async def _http1(peer: Peer, number: int) -> None:
    await peer.reader.read(10)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


async def _silent(peer: Peer, number: int) -> None:
    await peer.reader.read(10)


async def _closes(peer: Peer, number: int) -> None:
    await peer.reader.read(10)
    peer.close()


async def _no_streams(peer: Peer, number: int) -> None:
    await peer.begin({3: 0})


async def _goes_away(peer: Peer, number: int) -> None:
    await peer.begin()
    peer.send(frame(GOAWAY, 0, 0, bytes(8)))


async def _garbage(peer: Peer, number: int) -> None:
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88"))


@each_loop
@pytest.mark.parametrize(
    ("script", "failure", "words"),
    [
        (_http1, "bad answer", "does not speak HTTP/2: its first bytes are 'HTTP/1.1 400"),
        (_silent, "connect timeout", "allows no stream of HTTP/2 within 0.2 s"),
        (_no_streams, "connect timeout", "allows no stream of HTTP/2 within 0.2 s"),
        (_closes, "closed", "it closed the connection before HTTP/2 began"),
        (_goes_away, "closed", "it closed the connection at once"),
        (_garbage, "bad answer", "does not speak HTTP/2"),
    ],
)
def test_no_grpc_there(loop: str, script: Script, failure: str, words: str) -> None:
    async def work(client: GrpcClient) -> None:
        raise AssertionError("it was opened")

    with pytest.raises(WireError) as caught:
        run(loop, script, work, connect_timeout_s=0.2)
    assert caught.value.failure == failure
    assert words in str(caught.value)
    assert str(caught.value).startswith("no gRPC at 127.0.0.1:")


def test_no_proxy_without_tls() -> None:
    async def work() -> None:
        client = GrpcClient(ClientSettings("127.0.0.1", 1, proxy="http://127.0.0.1:3128"))
        await client.open(1)

    with pytest.raises(WireError, match="no gRPC through a proxy without TLS"):
        on_loop("asyncio", work)
