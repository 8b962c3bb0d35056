"""What the engine submits in a case, in figures; and what a run against a server that does nothing
needs of it: one real answer, and requests that go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def described(batches: Sequence[Mapping[str, Any]], items: int) -> dict[str, Any]:
    """How many batches of how many items there are, and how large they are."""
    return {
        "distinct_batches": len(batches),
        "items_per_batch": items,
        "bytes": sum(array.nbytes for feeds in batches for array in feeds.values()),
        "shapes": {name: list(array.shape) for name, array in batches[0].items()},
    }


def real_answer(backend: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of qs.evaluate.said.RealAnswer, of one request for this batch."""
    if not callable(getattr(backend, "diverted", None)) or not callable(
        getattr(backend, "ask", None)
    ):
        return {"why": "the backend's requests cannot be sent elsewhere"}
    request = backend.request_of(batch)
    call = backend.ask(request)
    if call.failure is not None:
        return {"why": f"a request before the case failed: {call.failure}"}
    return {
        "request_bytes": _bytes_of(request),
        "head": bytes(getattr(call, "head", b"")),
        "body": _body_of(call),
    }


def _body_of(call: Any) -> bytes:
    """What the server that does nothing answers is not packed."""
    if getattr(call, "compressed", False):
        from qs.engine.wire.grpc_calls import message_of

        return bytes(message_of(call))
    return bytes(call.body)


def _bytes_of(request: Any) -> int | None:
    """Of HTTP all of it, of gRPC the message; None: it is not known before it is sent."""
    sent = getattr(request, "data", request)
    return len(sent) if isinstance(sent, (bytes, bytearray, memoryview)) else None


def diverted(backend: Any, port: int | None) -> Any:
    """The backend, or its like whose requests go to that port of this machine."""
    return backend if port is None else backend.diverted(port)
