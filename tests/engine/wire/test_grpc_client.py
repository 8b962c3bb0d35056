"""The gRPC clients against grpcio's server: ours on both loops, grpcio's as a second opinion."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from qs.engine.wire.failures import BadAnswer, WireError
from qs.engine.wire.grpc import GrpcClient
from qs.engine.wire.grpc_answers import STATUSES
from qs.engine.wire.grpc_calls import message_of
from qs.engine.wire.grpc_requests import GrpcRequest, grpc_request
from qs.engine.wire.grpcio import BlockingGrpc
from qs.engine.wire.settings import ClientSettings, Tls
from tests.engine.wire.asking import LOOPS, on_loop
from tests.engine.wire.byte_server import CERTIFICATES
from tests.servers.grpcio_server import METHOD, Answers, grpcio_server
from tests.servers.http2_peer import Peer, scripted

CLIENTS = (*LOOPS, "grpcio")
CA = str(CERTIFICATES / "ca.pem")
each_client = pytest.mark.parametrize("client", CLIENTS)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, Answers]]:
    with grpcio_server() as running:
        yield running


def asked(metadata: dict[str, Any], message: bytes = b"hello", **how: Any) -> GrpcRequest:
    return grpc_request(METHOD, "test", metadata, message, **how)


def ask(client: str, settings: ClientSettings, *requests: GrpcRequest) -> list[Any]:
    """One after the other."""
    if client == "grpcio":
        blocking = BlockingGrpc(settings)
        try:
            return [blocking.ask(request) for request in requests]
        finally:
            blocking.close()

    async def work() -> list[Any]:
        ours = GrpcClient(settings)
        await ours.open(1)
        try:
            return [await ours.call(request) for request in requests]
        finally:
            await ours.close()

    return on_loop(client, work)


@each_client
def test_every_status(client: str, server: tuple[int, Answers]) -> None:
    codes = range(1, 17)
    words = "50 % of it, and \N{LATIN SMALL LETTER E WITH ACUTE}"
    requests = [asked({"code": str(code), "message": "50 % of it, and"}) for code in codes]
    calls = ask(client, ClientSettings("127.0.0.1", server[0]), asked({}), *requests)
    assert (calls[0].failure, calls[0].status, bytes(calls[0].body)) == (None, 0, b"hello")
    assert [(each.failure, each.status) for each in calls[1:]] == [
        (f"gRPC {STATUSES[code]}", code) for code in codes
    ]
    assert {each.detail for each in calls[1:]} == {words}
    assert all(each.sent_ns < each.last_ns for each in calls)


@each_client
def test_metadata_goes_there_and_comes_back(client: str, server: tuple[int, Answers]) -> None:
    port, answers = server
    request = asked({"Who": " me ", "raw-bin": b"\0\xff!", "trailing": "told"})
    (call,) = ask(client, ClientSettings("127.0.0.1", port), request)
    seen = answers.seen[-1]
    assert (seen["who"], seen["raw-bin"]) == ("me", b"\0\xff!")
    assert call.headers()["told"] == "told"


@each_client
def test_a_deadline_is_the_servers_too(client: str, server: tuple[int, Answers]) -> None:
    port, answers = server
    request = asked({"sleep": "0.3"}, timeout_s=0.1)
    (call,) = ask(client, ClientSettings("127.0.0.1", port), request)
    assert (call.failure, call.status) == ("gRPC DEADLINE_EXCEEDED", 4)
    left = answers.deadlines[-1]
    assert left is not None and left <= 0.1


@each_client
def test_a_time_out_of_the_client(client: str, server: tuple[int, Answers]) -> None:
    settings = ClientSettings("127.0.0.1", server[0], timeout_s=0.1)
    (call,) = ask(client, settings, asked({"sleep": "0.3"}))
    assert (call.failure, call.status) == ("timeout", 0)


@each_client
def test_large_messages(client: str, server: tuple[int, Answers]) -> None:
    content = bytes(range(256)) * 12_000
    settings = ClientSettings("127.0.0.1", server[0], most_kept_bytes=len(content))
    requests = [asked({}, content), asked({"size": "2000000"}), asked({"size": "3072001"})]
    calls = ask(client, settings, *requests, asked({}))
    assert bytes(calls[0].body) == content
    assert bytes(calls[1].body) == bytes(2_000_000)
    assert [each.failure for each in calls] == [None, None, "answer too large", None]


@each_client
def test_packed_messages(client: str, server: tuple[int, Answers]) -> None:
    settings = ClientSettings("127.0.0.1", server[0])
    up, down = ask(
        client,
        settings,
        asked({}, b"hello" * 1000, compressed=True),
        asked({"pack": "1", "size": "50000"}, compressed=True),
    )
    assert (up.failure, down.failure) == (None, None)
    assert bytes(message_of(up)) == b"hello" * 1000
    assert bytes(message_of(down)) == bytes(50_000)
    if client != "grpcio":
        assert down.compressed and len(down.body) < 1_000
        with pytest.raises(BadAnswer, match="longer than allowed"):
            message_of(down, 49_999)
        for body, words in ((down.body[:-9], "is cut off"), (b"x" * 90, "cannot be unpacked")):
            down.body = body
            with pytest.raises(BadAnswer, match=words):
                message_of(down)


@each_client
def test_a_method_that_is_not_there(client: str, server: tuple[int, Answers]) -> None:
    request = grpc_request("/tests.Echo/Nothing", "test", {}, b"")
    (call,) = ask(client, ClientSettings("127.0.0.1", server[0]), request)
    assert (call.failure, call.detail) == ("gRPC UNIMPLEMENTED", "Method not found!")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("streams", [1, 64])
def test_many_at_a_time_each_with_its_own_answer(
    loop: str, streams: int, server: tuple[int, Answers]
) -> None:
    contents = [str(number).encode() * (1 + number * 37 % 500) for number in range(300)]
    contents[7] = contents[150] = bytes(300_000)

    async def work() -> Any:
        client = GrpcClient(ClientSettings("127.0.0.1", server[0], streams=streams))
        await client.open(32)
        calls = await asyncio.gather(*(client.call(asked({}, each)) for each in contents))
        counts = client.counts()
        await client.close()
        return calls, counts

    calls, counts = on_loop(loop, work)
    assert [bytes(each.body) for each in calls] == contents
    assert all(each.issued_ns <= each.sent_ns < each.first_ns <= each.last_ns for each in calls)
    assert (counts["connections"], counts["replaced"]) == (32 if streams == 1 else 1, 0)


@pytest.fixture(scope="module")
def secure() -> Iterator[int]:
    pem = (CERTIFICATES / "server.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(pem, pem)])
    with grpcio_server(credentials=credentials) as (port, _):
        yield port


@each_client
def test_tls(client: str, secure: int) -> None:
    settings = ClientSettings("127.0.0.1", secure, tls=Tls(ca=CA))
    calls = ask(client, settings, asked({}), asked({}, bytes(300_000)))
    assert [each.failure for each in calls] == [None, None]
    assert bytes(calls[1].body) == bytes(300_000)


@each_client
def test_tls_of_a_name_that_is_not_the_servers(client: str, secure: int) -> None:
    settings = ClientSettings("127.0.0.1", secure, tls=Tls(ca=CA, server_name="other.test"))
    if client == "grpcio":
        (call,) = ask(client, settings, asked({}))
        assert call.failure == "tls"
    else:
        with pytest.raises(WireError) as caught:
            ask(client, settings, asked({}))
        assert caught.value.failure == "tls"


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_without_http2(loop: str) -> None:
    async def work() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATES / "server.pem")
        server = await asyncio.start_server(
            lambda reader, writer: None, "127.0.0.1", 0, ssl=context
        )
        port = server.sockets[0].getsockname()[1]
        client = GrpcClient(ClientSettings("127.0.0.1", port, tls=Tls(ca=CA)))
        try:
            with pytest.raises(WireError, match=r"no gRPC at .*does not offer HTTP/2 over TLS"):
                await client.open(1)
        finally:
            server.close()
            await asyncio.sleep(0.05)

    on_loop(loop, work)


@each_client
def test_nobody_there(client: str) -> None:
    settings = ClientSettings("127.0.0.1", 1)
    if client == "grpcio":
        (call,) = ask(client, settings, asked({}))
        assert call.failure == "refused"
    else:
        with pytest.raises(WireError, match="refused"):
            ask(client, settings, asked({}))


def test_grpcio_says_the_same_of_servers_that_speak_something_else() -> None:
    async def http1(peer: Peer, number: int) -> None:
        await peer.reader.read(10)
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async def ends(peer: Peer, number: int) -> None:
        await peer.begin()
        await peer.request()
        peer.close()

    async def page(peer: Peer, number: int) -> None:
        await peer.begin()
        stream = await peer.request()
        peer.send(peer.head(stream, {":status": "503", "content-type": "text/html"}, end=True))

    async def work() -> list[str | None]:
        found = []
        for script in (http1, ends, page):
            async with scripted(script) as port:
                client = BlockingGrpc(ClientSettings("127.0.0.1", port))
                loop = asyncio.get_running_loop()
                call = await loop.run_in_executor(None, client.ask, asked({}))
                found.append(call.failure)
                client.close()
        return found

    assert on_loop("asyncio", work) == ["bad answer", "closed", "HTTP 503"]


def test_grpcio_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(WireError, match=r"pip install 'quicksilver-perf\[grpc\]'"):
        BlockingGrpc(ClientSettings("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls": Tls(verify=False)}, "always checks the server's certificate"),
        ({"tls": Tls(ca="/no/such.pem")}, "/no/such.pem cannot be read"),
        ({"proxy": "http://127.0.0.1:3128"}, "does not go through a proxy"),
    ],
)
def test_what_grpcio_cannot_do(given: dict[str, Any], words: str) -> None:
    client = BlockingGrpc(ClientSettings("127.0.0.1", 1, **given))
    with pytest.raises(WireError, match=words):
        client.ask(asked({}))
