"""What is settled before the run: names, addresses, TLS, proxies and open files."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Callable

import pytest

from qs.engine.wire import blocking_connecting, connecting, limits
from qs.engine.wire.blocking import BlockingHttp
from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.http import HttpClient
from qs.engine.wire.limits import allow_connections
from qs.engine.wire.requests import http_request
from qs.engine.wire.resolving import Address
from qs.engine.wire.settings import ClientSettings, Tls
from tests.engine.wire.asking import CLIENTS, GET, LOOPS, ask, on_loop
from tests.engine.wire.byte_server import CERTIFICATES, ByteServer, Peer, answer, answers

CA = str(CERTIFICATES / "ca.pem")
TRUSTED = Tls(ca=CA)
LARGE = bytes(range(256)) * 4096


def facts(kind: str, settings: ClientSettings) -> dict[str, str]:
    """What a client says once it is open. Raises WireError."""
    if kind == "blocking":
        client = BlockingHttp(settings)
        try:
            client.open()
        finally:
            client.close()
        return client.facts

    async def work() -> dict[str, str]:
        client = HttpClient(settings)
        await client.open(1)
        await client.close()
        return client.facts

    return on_loop(kind, work)


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_is_not_there(client: str) -> None:
    port = closed_port()
    with pytest.raises(
        WireError, match=f"no connection to 127.0.0.1:{port}: it is refused"
    ) as told:
        facts(client, ClientSettings("127.0.0.1", port))
    assert told.value.failure == Failure.REFUSED


def test_a_blocking_client_counts_what_it_cannot_reach() -> None:
    (call,) = ask("blocking", ClientSettings("127.0.0.1", closed_port()), GET)
    assert (call.failure, call.sent_ns) == (Failure.REFUSED, 0)
    assert call.issued_ns < call.last_ns


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_that_does_not_exist(client: str) -> None:
    host = "a" * 70 + ".test"  # longer than a label may be: nobody is asked for it
    with pytest.raises(WireError, match=f"the name {host} cannot be resolved: ") as told:
        facts(client, ClientSettings(host, 80))
    assert told.value.failure == Failure.UNRESOLVED


@pytest.mark.parametrize("client", CLIENTS)
def test_ipv6_first_and_closed(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next address is tried, and the one that works is told."""
    with ByteServer(answers(answer(b"hello"))) as server:
        found = (Address("::1", server.port), Address("127.0.0.1", server.port))

        async def resolve(host: str, port: int) -> tuple[Address, ...]:
            return found

        monkeypatch.setattr(connecting, "resolve", resolve)
        monkeypatch.setattr(blocking_connecting, "resolve_blocking", lambda host, port: found)
        told = facts(client, ClientSettings("localhost", server.port))
    assert told["address"] == f"127.0.0.1:{server.port}"
    assert told["passed over"].startswith(f"[::1]:{server.port} (")


@pytest.mark.parametrize("client", CLIENTS)
def test_no_answer_to_a_connect(client: str) -> None:
    """A listen queue that is full drops what comes."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        settings = ClientSettings(*listener.getsockname(), connect_timeout_s=0.1)
        with pytest.raises(WireError, match=r"no connection to .* within 0\.1 s") as told:
            facts(client, settings)
    assert told.value.failure == Failure.CONNECT_TIMEOUT


# TLS


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("certificate", "tls"),
    [
        ("server.pem", TRUSTED),
        ("elsewhere.pem", Tls(ca=CA, server_name="elsewhere.test")),
        ("expired.pem", Tls(verify=False)),
        ("elsewhere.pem", Tls(verify=False)),
    ],
    ids=["right", "other name", "expired, unverified", "other name, unverified"],
)
def test_tls(client: str, certificate: str, tls: Tls) -> None:
    with ByteServer(answers(answer(LARGE), answer(b"small")), certificate=certificate) as server:
        settings = ClientSettings("127.0.0.1", server.port, tls=tls)
        upload = http_request("POST", "/", "test", body=LARGE)
        calls = ask(client, settings, GET, GET, upload)
        told = facts(client, settings)
    assert [(call.failure, call.detail) for call in calls] == [(None, "")] * 3
    assert [call.body for call in calls] == [LARGE, b"small", b"small"]
    assert told["tls"].startswith("TLSv1.3 TLS_")
    assert told.get("certificate") == (None if tls.verify else "not verified")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("certificate", "tls", "message"),
    [
        ("elsewhere.pem", TRUSTED, "certificate is not accepted: .*not valid for '127.0.0.1'"),
        ("server.pem", Tls(ca=CA, server_name="other"), "not valid for 'other'"),
        ("server.pem", Tls(), "certificate is not accepted: .*issuer certificate"),
        ("expired.pem", TRUSTED, "certificate is not accepted: certificate has expired"),
        (None, TRUSTED, "it does not speak TLS there|it was reset"),
    ],
    ids=["wrong name", "wrong other name", "untrusted", "expired", "no TLS"],
)
def test_tls_that_fails(client: str, certificate: str | None, tls: Tls, message: str) -> None:
    with ByteServer(answers(b"HTTP/1.1 400 Bad\r\n\r\n"), certificate=certificate) as server:
        server.script = answers(answer()) if certificate else speak_plainly
        with pytest.raises(WireError, match=message) as told:
            facts(client, ClientSettings("127.0.0.1", server.port, tls=tls))
    assert told.value.failure == Failure.TLS
    assert "\n" not in str(told.value)


def speak_plainly(peer: Peer) -> None:
    peer.connection.recv(1)
    peer.send(answer(b"what?", "400 Bad Request"))
    peer.silence()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_asks_who_we_are(client: str) -> None:
    with ByteServer(answers(answer()), certificate="server.pem", client_ca="ca.pem") as server:
        ours = Tls(ca=CA, certificate=str(CERTIFICATES / "client.pem"))
        (call,) = ask(client, ClientSettings("127.0.0.1", server.port, tls=ours), GET)
        assert call.failure is None
        # TLS 1.3 refuses a client only after the handshake is through for it.
        (call,) = ask(client, ClientSettings("127.0.0.1", server.port, tls=TRUSTED), GET)
        assert call.failure in (Failure.TLS, Failure.RESET, Failure.CLOSED)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (Tls(ca="missing.pem"), "the authority's certificate cannot be read from missing.pem: No"),
        (Tls(ca=__file__), "the authority's certificate cannot be read from "),
        (
            Tls(certificate="missing.pem"),
            "the client's certificate cannot be read from missing.pem",
        ),
        (Tls(certificate=CA), "the client's certificate cannot be read from "),
    ],
)
def test_a_certificate_that_cannot_be_read(client: str, tls: Tls, message: str) -> None:
    with pytest.raises(WireError, match=message):
        facts(client, ClientSettings("127.0.0.1", 1, tls=tls))


# Proxies


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_is_asked_for_the_whole_address(client: str) -> None:
    seen: list[bytes] = []

    def proxy(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(answer(b"through"))

    with ByteServer(proxy) as server:
        url = f"http://user:secret%21@127.0.0.1:{server.port}"
        settings = ClientSettings("server.invalid", 8000, proxy=url)
        (call,) = ask(client, settings, http_request("POST", "/x?y", "server.invalid:8000"))
        told = facts(client, settings)
    assert call.body == b"through"
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"POST http://server.invalid:8000/x?y HTTP/1.1"
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQh" in lines
    assert told == {"address": "server.invalid:8000", "proxy": f"127.0.0.1:{server.port}"}


def relays(port: int) -> Callable[[Peer], None]:
    """A proxy that connects to this port, whatever it is asked for."""

    def proxy(peer: Peer) -> None:
        assert peer.request().startswith(b"CONNECT localhost:8443 HTTP/1.1\r\n")
        with socket.create_connection(("127.0.0.1", port)) as onward:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := onward.recv(1 << 16):
                        peer.send(data)

            thread = threading.Thread(target=back, daemon=True)
            thread.start()
            while data := peer.connection.recv(1 << 16):
                onward.sendall(data)
            onward.shutdown(socket.SHUT_RDWR)
            thread.join()

    return proxy


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_connects_us_to_a_server_with_tls(client: str) -> None:
    script = answers(answer(b"secret"), answer(LARGE))
    with (
        ByteServer(script, certificate="server.pem") as server,
        ByteServer(relays(server.port)) as proxy,
    ):
        url = f"http://127.0.0.1:{proxy.port}"
        calls = ask(client, ClientSettings("localhost", 8443, tls=TRUSTED, proxy=url), GET, GET)
    assert [call.body for call in calls] == [b"secret", LARGE]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answer(b"", "407 Proxy Authentication Required"), "answers 'HTTP/1.1 407 Proxy"),
        (b"", "it closed the connection"),
        (b"SSH-2.0\r\n\r\n", "does not answer in HTTP/1.1 but with 'SSH-2.0'"),
        (b"HTTP/1.1 200 " + b"x" * 20_000, "its answer has no end"),
    ],
)
def test_a_proxy_that_does_not_connect_us(client: str, said: bytes, message: str) -> None:
    def proxy(peer: Peer) -> None:
        peer.request()
        peer.send(said)

    with ByteServer(proxy) as server:
        url = f"http://127.0.0.1:{server.port}"
        settings = ClientSettings("localhost", 8443, tls=TRUSTED, proxy=url)
        with pytest.raises(WireError, match="the proxy does not connect to the server: ") as told:
            facts(client, settings)
    assert message in str(told.value)
    assert told.value.failure == Failure.PROXY


@pytest.mark.parametrize("client", CLIENTS)
def test_the_proxies_of_the_environment_are_ignored(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with ByteServer(answers(answer(b"hello"))) as server:
        (call,) = ask(client, ClientSettings("127.0.0.1", server.port), GET)
    assert call.body == b"hello"


# Open files


class Files:
    """The limit on open files, without moving this process's."""

    def __init__(self, soft: int, hard: int):
        self.limit = (soft, hard)

    def getrlimit(self, what: int) -> tuple[int, int]:
        assert what == resource.RLIMIT_NOFILE
        return self.limit

    def setrlimit(self, what: int, limit: tuple[int, int]) -> None:
        assert what == resource.RLIMIT_NOFILE
        self.limit = limit


def limited(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> Files:
    files = Files(soft, hard)
    monkeypatch.setattr(limits.resource, "getrlimit", files.getrlimit)
    monkeypatch.setattr(limits.resource, "setrlimit", files.setrlimit)
    return files


def test_the_limit_on_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    files = limited(monkeypatch, 1_024, 524_288)
    allow_connections(20_000)
    assert files.limit == (524_288, 524_288)


@pytest.mark.parametrize("loop", LOOPS)
def test_more_connections_than_files_are_told_before_the_start(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 1_024, 1_024)
    with ByteServer(answers(answer())) as server:

        async def work() -> None:
            client = HttpClient(ClientSettings("127.0.0.1", server.port, connections=20_000))
            await client.open(20_000)

        with pytest.raises(WireError, match=r"20,000 connections need 20,\d\d\d open files, and"):
            on_loop(loop, work)
        assert server.accepted == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_takes_no_more_connections(loop: str) -> None:
    """Nothing is left open, and the message says how many there could be."""
    port = closed_port()
    made: list[HttpClient] = []

    async def work() -> None:
        client = HttpClient(ClientSettings("127.0.0.1", port))
        made.append(client)
        connect, count = client._connector.connect, 0

        async def connects(*what: object) -> object:
            nonlocal count
            count += 1
            if count > 4:
                raise WireError("no connection: it is refused", Failure.REFUSED)
            return await connect(*what)  # type: ignore[arg-type]

        client._connector.connect = connects  # type: ignore[method-assign, assignment]
        await client.open(64)

    with ByteServer(lambda peer: peer.silence()) as server:
        port = server.port
        with pytest.raises(WireError, match=r"refused \(4 of 64 connections could be opened\)"):
            on_loop(loop, work)
    assert made[0].lines == set()
