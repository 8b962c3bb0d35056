"""gRPC through grpcio, blocking: the client that most programs use, as a second opinion on ours,
with the same outcomes.

It has no stamps at the socket: `sent_ns` is when it was called, `first_ns` and `last_ns` are when
it returned.
"""

from __future__ import annotations

import base64
import gzip
import os
import re
import threading
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.wire.calls import WireCall
from qs.engine.wire.connecting import origin
from qs.engine.wire.failures import Failure, WireError, shown
from qs.engine.wire.grpc_answers import STATUSES, grpc_failure
from qs.engine.wire.grpc_requests import GrpcRequest
from qs.engine.wire.settings import ClientSettings, Tls

_now_ns = MONOTONIC.now_ns
# Requests whose message is kept as grpcio wants it.
MOST_PREPARED = 4_096
# What grpcio says, in the words of a failure; it has no other way to tell them apart.
_WORDS = (
    (r"DNS|errors resolving|[Ll]ookup failed", Failure.UNRESOLVED),
    (r"SSL|TLS|[Hh]andshake|CERTIFICATE|[Cc]ertificate|Verification", Failure.TLS),
    (r"[Rr]eceived message larger than max", Failure.TOO_LARGE),
    (r"parsing HTTP/2|PROTOCOL_ERROR", Failure.BAD_ANSWER),
    (r"timed out|FD Shutdown", Failure.CONNECT_TIMEOUT),
    (r"reset by peer|RST_STREAM|Broken pipe", Failure.RESET),
    (r"Socket closed|GOAWAY|[Ee]nd of TCP stream|transport closed", Failure.CLOSED),
    (r"[Cc]onnection refused|[Ff]ailed to connect|No route|unreachable", Failure.REFUSED),
)
# a message, its metadata, and how it is to be compressed
_Prepared = tuple[bytes, Any, Any]
_HTTP = re.compile(r"[Rr]eceived http2 header with status: (\d{3})")


class GrpcioCall(WireCall):
    """A WireCall with the headers that grpcio shows; its message is unpacked."""

    __slots__ = ("fields",)
    fields: dict[str, str]

    def headers(self) -> dict[str, str]:
        """Headers and trailers by name, as far as grpcio shows them."""
        return dict(self.fields)


class BlockingGrpc:
    """Requests to one server over one channel, from any thread. Raises WireError where grpcio is
    missing, or cannot do what is asked.
    """

    def __init__(self, settings: ClientSettings) -> None:
        # It would log each lost connection; a user's own word stands.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        try:
            import grpc
        except ImportError:
            raise WireError(
                "the client grpcio needs the package grpcio: pip install 'quicksilver-perf[grpc]'"
            ) from None
        self._grpc: Any = grpc
        self.settings = settings
        self.facts = {"address": origin(settings), "client": f"grpcio {grpc.__version__}"}
        self._channel: Any = None
        self._methods: dict[str, Any] = {}
        self._prepared: dict[int, tuple[GrpcRequest, _Prepared]] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Connect, to be told what is wrong before anything is asked. Raises WireError."""
        ready = self._grpc.channel_ready_future(self._channel_of(origin(self.settings)))
        limit_s = self.settings.connect_timeout_s
        try:
            ready.result(timeout=limit_s)
        except self._grpc.FutureTimeoutError:
            ready.cancel()
            words = f"no gRPC at {origin(self.settings)} within {limit_s:g} s"
            raise WireError(words, Failure.CONNECT_TIMEOUT) from None

    def ask(self, request: GrpcRequest) -> GrpcioCall:
        """Send it and wait for the answer. A request that fails is a call with a failure."""
        call = GrpcioCall(request, _nobody, None)
        call.fields = {}
        message, metadata, compression = self._prepare(request)
        method = self._method(request)
        limit_s = self.settings.timeout_s
        if limit_s is None:
            limit_s = request.timeout_s
        call.issued_ns = call.sent_ns = _now_ns()
        try:
            body, answered = method.with_call(
                message, timeout=limit_s, metadata=metadata, compression=compression
            )
        except self._grpc.RpcError as fault:
            call.last_ns = _now_ns()
            self._judge(call, fault)
        else:
            call.first_ns = call.last_ns = _now_ns()
            call.body = body
            call.fields = _fields(answered)
        return call

    def close(self) -> None:
        """End the channel."""
        with self._lock:
            channel, self._channel = self._channel, None
            self._methods.clear()
        if channel is not None:
            channel.close()

    def counts(self) -> dict[str, int]:
        """grpcio does not say what has become of its connections."""
        return {}

    def _method(self, request: GrpcRequest) -> Any:
        found = self._methods.get(request.path)
        if found is None:
            found = self._channel_of(request.authority).unary_unary(request.path)
            self._methods[request.path] = found
        return found

    def _channel_of(self, authority: str) -> Any:
        with self._lock:
            if self._channel is None:
                self._channel = self._open(authority)
            return self._channel

    def _open(self, authority: str) -> Any:
        settings, grpc = self.settings, self._grpc
        if settings.proxy is not None:
            raise WireError("the client grpcio does not go through a proxy: the lean client does")
        options: list[tuple[str, Any]] = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", min(settings.most_kept_bytes, 2**31 - 1)),
            # The first of them is also how long one attempt may take.
            ("grpc.min_reconnect_backoff_ms", int(settings.connect_timeout_s * 1_000)),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 250),
        ]
        target = f"dns:///{origin(settings)}"
        if settings.tls is None:
            options.append(("grpc.default_authority", authority))
            return grpc.insecure_channel(target, options)
        if settings.tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", settings.tls.server_name))
        return grpc.secure_channel(target, self._credentials(settings.tls), options)

    def _credentials(self, tls: Tls) -> Any:
        if not tls.verify:
            raise WireError(
                "the client grpcio always checks the server's certificate: name its authority, or "
                "take the lean client"
            )
        ca, certificate = _read(tls.ca), _read(tls.certificate)
        key = _read(tls.key) if tls.key is not None else certificate
        return self._grpc.ssl_channel_credentials(ca, key, certificate)

    def _prepare(self, request: GrpcRequest) -> _Prepared:
        """Message, metadata and compression as grpcio wants them."""
        found = self._prepared.get(id(request))
        if found is None:
            packed = bool(request.data[0])
            message = gzip.decompress(request.message) if packed else bytes(request.message)
            metadata = tuple((name, _value(name, value)) for name, value in request.metadata)
            compression = self._grpc.Compression.Gzip if packed else None
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()
            # The request is kept too, so that its id stays its own.
            found = self._prepared[id(request)] = (request, (message, metadata, compression))
        return found[1]

    def _judge(self, call: GrpcioCall, fault: Any) -> None:
        call.status = code = fault.code().value[0]
        details = fault.details() or ""
        call.detail = shown(details)
        call.fields = _fields(fault)
        call.failure = grpc_failure(code)
        name = STATUSES[code]
        if name == "DEADLINE_EXCEEDED" and self.settings.timeout_s is not None:
            call.failure, call.status = Failure.TIMEOUT, 0
            return
        if name in ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "RESOURCE_EXHAUSTED"):
            page = _HTTP.search(details)
            if page:
                call.failure, call.status = Failure.http(int(page[1])), int(page[1])
                return
            for pattern, failure in _WORDS:
                if re.search(pattern, details):
                    call.failure, call.status = failure, 0
                    return


def _fields(answered: Any) -> dict[str, str]:
    pairs = [*(answered.initial_metadata() or ()), *(answered.trailing_metadata() or ())]
    return {str(name): value if isinstance(value, str) else repr(value) for name, value in pairs}


def _value(name: str, value: str) -> str | bytes:
    if not name.endswith("-bin"):
        return value
    return base64.b64decode(value + "=" * (-len(value) % 4))


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as fault:
        raise WireError(f"{path} cannot be read: {fault.strerror}", Failure.TLS) from fault


def _nobody(call: WireCall) -> None:
    """Whoever asks gets the call itself."""
