"""What the clients that `stream.py` compares share: what is asked of each, and what it found. Needs
nothing but the standard library, since peers may have an environment of their own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

BODY = {
    "model": "null",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 64,
    "stream": True,
}
PATH = "/v1/chat/completions"
FIRST_S = 0.4  # until all streams have begun, and the client is warm


@dataclass(frozen=True)
class StreamWork:
    """What is asked: so many streams at a time from this port, for so long."""

    port: int
    streams: int
    for_s: float


@dataclass(frozen=True)
class StreamTurn:
    """One client in one round. Times in us."""

    cpu_us: float  # CPU time of its process by events
    events_per_s: float
    late_p50_us: float  # an event's stamp, later than the server's send
    late_p99_us: float
    stream_cpu_us: float  # CPU time by streams that ended
    ttft_p50_ms: float = 0.0  # from the request's first byte; 0: not looked at
    alone: float = 0.0  # share of events that were alone in their read; 0: not known


class Window:
    """CPU and wall time of this process between `begin` and `end`, and the events stamped then:
    `stamps` and the server's own, `sent`.
    """

    def __init__(self) -> None:
        self.stamps = array("q")
        self.sent = array("q")
        self.firsts = array("q")  # from request to first token, ns
        self.alone = 0.0
        self.ended = 0

    def begin(self) -> None:
        self.ended = 0
        self._cpu = time.process_time()
        self._began_ns = time.perf_counter_ns()

    def end(self) -> None:
        self.was(time.process_time() - self._cpu, self._began_ns, time.perf_counter_ns())

    def was(self, cpu_s: float, began_ns: int, ended_ns: int) -> None:
        """The window as somebody else has measured it."""
        self._cpu, self._began_ns, self._ended_ns = cpu_s, began_ns, ended_ns
        self._streams = self.ended

    def turn(self, *, sample: int = 1) -> StreamTurn:
        """`sample`: one in so many streams was noted. Raises RuntimeError if no event came."""
        late = [
            stamp - sent
            for stamp, sent in zip(self.stamps, self.sent, strict=True)
            if self._began_ns <= stamp < self._ended_ns
        ]
        if not late:
            raise RuntimeError("no event came")
        events = len(late) * sample
        wall_s = (self._ended_ns - self._began_ns) / 1e9
        return StreamTurn(
            self._cpu / events * 1e6,
            events / wall_s,
            rank(late, 0.5) / 1e3,
            rank(late, 0.99) / 1e3,
            self._cpu / max(self._streams, 1) * 1e6,
            rank(self.firsts, 0.5) / 1e6 if self.firsts else 0.0,
            self.alone,
        )


def rank(values: list[int] | array[int], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def streaming(
    work: StreamWork, ask: Callable[[Window, Callable[[], bool]], Awaitable[None]]
) -> StreamTurn:
    """As many coroutines as there are to be streams, each of which goes on asking for streams and
    noting events as long as it is told to.
    """
    window, going = Window(), True
    clients = [asyncio.ensure_future(ask(window, lambda: going)) for _ in range(work.streams)]
    await asyncio.sleep(FIRST_S)
    window.begin()
    await asyncio.sleep(work.for_s)
    window.end()
    going = False
    await asyncio.gather(*clients)
    return window.turn()


def on_loop(whole: Callable[[], Awaitable[StreamTurn]]) -> StreamTurn:
    """On uvloop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(whole())
    finally:
        loop.close()


def own_process(python: str, script: Path, name: str, work: StreamWork) -> StreamTurn:
    """One client in a process of its own. Raises RuntimeError with what it said."""
    done = subprocess.run(
        [python, str(script), name, json.dumps(vars(work))],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {work}: {done.stderr[-2_000:]}")
    return StreamTurn(**json.loads(done.stdout.splitlines()[-1]))


def answer(clients: dict[str, Callable[[StreamWork], StreamTurn]]) -> None:
    """The command line of a process: a client's name and its work, answered in a line of JSON."""
    turn = clients[sys.argv[1]](StreamWork(**json.loads(sys.argv[2])))
    print(json.dumps(vars(turn)))
