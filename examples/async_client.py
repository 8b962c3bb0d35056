"""Load-test an HTTP server with an asynchronous client: one event loop can have thousands of
coroutines in flight.

The server is the standard library's, started here on the loopback interface; the client is a few
lines over asyncio's streams.

    python examples/async_client.py
"""

from __future__ import annotations

import asyncio

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run_async

WORK_S = 0.005


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The server: read the request's head, work, answer, close."""
    request = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)
    await asyncio.sleep(WORK_S)
    found = request[1] != b"/missing"
    head = b"200 OK" if found else b"404 Not Found"
    writer.write(b"HTTP/1.0 " + head + b"\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()
    writer.close()


class Client:
    """The target. A coroutine function, or as here an object with one: called with a sample, it
    makes one request.
    """

    def __init__(self, port: int):
        self._port = port

    async def __call__(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise LookupError(path)  # a failed request: counted by its kind, part of no percentile
        return body


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = Client(server.sockets[0].getsockname()[1])
    async with server:
        closed = await run_async(
            RunPlan(load=ClosedLoop(clients=8, iterations=40), pool=Pool("async")), client, ["/"]
        )
        print(
            f"8 clients: {closed.queries_per_s:,.0f} queries/s, p50 "
            f"{closed.response.percentile_ns(50) / 1e6:.1f} ms"
        )

        plan = RunPlan(
            load=Poisson(200, seed=1),
            stop=Stop(duration_s=2),
            pool=Pool("async", max_in_flight=100),
        )
        opened = await run_async(plan, client, ["/"])
        print(
            f"200/s at random: p99 {opened.response.percentile_ns(99) / 1e6:.1f} ms, "
            f"{opened.verdict}"
        )

        some_missing = await run_async(
            RunPlan(load=ClosedLoop(clients=2, iterations=20), pool=Pool("async")),
            client,
            ["/", "/missing"],
        )
        print(
            f"half of the pages missing: {some_missing.completed} completed, errors "
            f"{some_missing.errors_by_kind}"
        )
        print(f"{some_missing.verdict}: {some_missing.reasons[0]}")


if __name__ == "__main__":
    asyncio.run(main())
