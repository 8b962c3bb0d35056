"""Calls made by hand: bodies and marks as a client would have left them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from qs.engine import Ended
from qs.engine.wire.calls import WireCall
from qs.llm.prompt import Message, Prompt, PromptRequest

STREAM = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
MS = 1_000_000


def call_of(
    body: bytes,
    marks: Iterable[int] | None = None,
    *,
    kind: bytes = STREAM,
    sent_ns: int = 1,
    last_ns: int = 0,
    prompt: Prompt | None = None,
    failure: str | None = None,
) -> WireCall:
    request: bytes = b"POST"
    if prompt is not None:
        request = PromptRequest(b"POST")
        request.prompt = prompt
    call = WireCall(request, lambda call: None, None)
    call.head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nDate: now"
    call.body, call.status, call.failure = body, 200, failure
    call.sent_ns, call.last_ns = sent_ns, last_ns
    call.marks = None if marks is None else array("q", marks)
    return call


def streamed(
    reads: Mapping[float, bytes],
    *,
    due_ms: float = 1000,
    sent_ms: float = 1000,
    last_ms: float | None = None,
    prompt: Prompt | None = None,
    failure: str | None = None,
) -> Ended:
    """A stream whose reads returned at so many ms."""
    marks: list[int] = []
    body = b""
    for at_ms, part in reads.items():
        body += part
        marks += [round(at_ms * MS), len(body)]
    last = max(reads) if last_ms is None else last_ms
    call = call_of(body, marks, sent_ns=round(sent_ms * MS), last_ns=round(last * MS),
                   prompt=prompt, failure=failure)  # fmt: skip
    return Ended(call, round(due_ms * MS), failure)


def prompt_of(text: str = "Hello", **fields: Any) -> Prompt:
    return Prompt((Message("user", text),), **fields)
