"""A real gRPC server, grpcio's, without protobuf: it does what a request's metadata says.

code, message   the status to end with, and its words
size            the answer's length in bytes; without it the answer is the request
sleep           seconds before it answers
trailing        a value to send back in the trailers
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

METHOD = "/tests.Echo/Ask"
LARGEST = 256 << 20
STATUSES = {each.value[0]: each for each in grpc.StatusCode}


class Answers:
    """`seen` is the metadata of each request; `deadlines` what was left of their time, in s."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.deadlines: list[float | None] = []

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = dict(context.invocation_metadata())
        self.seen.append(asked)
        self.deadlines.append(context.time_remaining())
        if "sleep" in asked:
            time.sleep(float(asked["sleep"]))
        if "trailing" in asked:
            context.set_trailing_metadata((("told", asked["trailing"]),))
        if "code" in asked:
            context.abort(STATUSES[int(asked["code"])], asked.get("message", "") + " é")
        if "pack" in asked:
            context.set_compression(grpc.Compression.Gzip)
        return bytes(int(asked["size"])) if "size" in asked else request


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, answers: Answers) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(answers)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return self._handler if details.method == METHOD else None


@contextmanager
def grpcio_server(
    *, options: dict[str, int] | None = None, credentials: Any = None
) -> Iterator[tuple[int, Answers]]:
    """The port on 127.0.0.1, and what was seen there. `credentials`: TLS."""
    limits = {"grpc.max_receive_message_length": LARGEST, "grpc.max_send_message_length": LARGEST}
    given = [*limits.items(), *(options or {}).items()]
    answers = Answers()
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, handlers=[_Handlers(answers)], options=given)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield port, answers
        finally:
            server.stop(0).wait(5)
