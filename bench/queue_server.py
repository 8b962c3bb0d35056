"""A server of fixed service time with a number of workers: one FIFO queue, as theory has it.

It answers every HTTP/1.1 request without a body. A worker takes the first in line and sleeps until
the service time has passed; then the answer is written. When its standard input is closed it prints
how long each request was served, in the order of their arrival, and ends.

    python bench/queue_server.py WORKERS SERVICE_S       prints its port on 127.0.0.1
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from queue import SimpleQueue

import uvloop
from targets import Sleeper

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END = b"\r\n\r\n"
Line = SimpleQueue  # of (number, transport)


class Connection(asyncio.Protocol):
    """Puts each request into the line."""

    def __init__(self, line: Line, served_ns: list[int]):
        self._line, self._served_ns, self._rest = line, served_ns, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(END)
        for _ in whole:
            self._served_ns.append(0)
            self._line.put((len(self._served_ns) - 1, self._transport))


def work(line: Line, serve: Sleeper, served_ns: list[int], loop: asyncio.AbstractEventLoop) -> None:
    """One worker: takes from the line for ever."""
    while True:
        number, transport = line.get()
        began = time.perf_counter_ns()
        serve(None)
        served_ns[number] = time.perf_counter_ns() - began
        loop.call_soon_threadsafe(transport.write, ANSWER)


async def serve(workers: int, service_s: float) -> list[int]:
    loop, line, served_ns = asyncio.get_running_loop(), Line(), []
    work_of_one = (line, Sleeper(service_s), served_ns, loop)
    server = await loop.create_server(lambda: Connection(line, served_ns), "127.0.0.1", 0)
    for _ in range(workers):
        threading.Thread(target=work, args=work_of_one, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    return served_ns


if __name__ == "__main__":
    uvloop.install()
    print(json.dumps(asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))))
