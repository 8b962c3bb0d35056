"""One way of asking for each client that there is: on uvloop, on asyncio's own loop, and over
blocking sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import uvloop

from qs.engine.wire.blocking import BlockingHttp
from qs.engine.wire.calls import WireCall
from qs.engine.wire.http import HttpClient
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings

CLIENTS = ("uvloop", "asyncio", "blocking")
LOOPS = ("uvloop", "asyncio")
GET = http_request("GET", "/", "test")
LIMIT_S = 60.0
Result = TypeVar("Result")


def on_loop(kind: str, work: Callable[[], Awaitable[Result]]) -> Result:
    """Run it on a new loop of this kind. What the loop complains of fails the test."""
    loop: asyncio.AbstractEventLoop
    loop = uvloop.new_event_loop() if kind == "uvloop" else asyncio.new_event_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        result = loop.run_until_complete(asyncio.wait_for(work(), LIMIT_S))
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    assert complaints == []
    return result


def ask(kind: str, settings: ClientSettings, *requests: bytes) -> list[WireCall]:
    """One after the other, over one connection as long as the server keeps it."""
    if kind == "blocking":
        blocking = BlockingHttp(settings)
        try:
            return [blocking.ask(request) for request in requests]
        finally:
            blocking.close()

    async def work() -> list[WireCall]:
        client = HttpClient(settings)
        await client.open(1)
        try:
            return [await client.call(request) for request in requests]
        finally:
            await client.close()

    return on_loop(kind, work)
