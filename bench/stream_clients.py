"""Our client for `stream.py`, and the floor under it: a protocol that only receives. Events are
kept as bytes with the marks of their reads; what stands in them is read when nothing is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial

from stream_work import BODY, FIRST_S, PATH, StreamTurn, StreamWork, Window, answer, on_loop

from qs.engine import ClosedLoop, Pool, RunPlan, Stop, run
from qs.engine.wire.calls import WireCall
from qs.engine.wire.http import HttpClient
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings
from qs.llm.apis.chat import Chat
from qs.llm.asked import LlmAsked
from qs.llm.measures import measures_of
from qs.llm.outcomes import judge
from qs.llm.reading import reader

EVENT = re.compile(rb'data: (\{[^\n]*"sent_ns":"(\d{19})"[^\n]*"content":" token"[^\n]*)')
SAMPLE = 8
LAST = b"0\r\n\r\n"


def request_of(work: StreamWork) -> bytes:
    body = json.dumps(BODY).encode()
    headers = {"Content-Type": "application/json"}
    return http_request("POST", PATH, f"127.0.0.1:{work.port}", headers, body)


def ours(work: StreamWork, *, sample: int = 1, read: bool = True) -> StreamTurn:
    """The bare client, each answer's callback starting the next request. One in `sample` answers is
    kept; `read`: with all JSON in it, when the run is over.
    """
    return on_loop(partial(_ours, work, sample, read))


async def _ours(work: StreamWork, sample: int, read: bool) -> StreamTurn:
    settings = ClientSettings("127.0.0.1", work.port, connections=work.streams, streamed=True)
    client, request = HttpClient(settings), request_of(work)
    await client.open(work.streams)
    window, going, running, number = Window(), True, work.streams, 0
    kept: list[WireCall] = []
    ended = asyncio.get_running_loop().create_future()

    def done(call: WireCall) -> None:
        nonlocal running, number
        if call.failure is not None and not ended.done():
            ended.set_exception(RuntimeError(f"{call.failure}: {call.detail}"))
        window.ended += 1
        number += 1
        if number % sample == 0:
            kept.append(call)
        if going:
            client.start(request, done)
            return
        running -= 1
        if not running and not ended.done():
            ended.set_result(None)

    for _ in range(work.streams):
        client.start(request, done)
    await asyncio.sleep(FIRST_S)
    window.begin()
    await asyncio.sleep(work.for_s)
    window.end()
    going = False
    try:
        await ended
    finally:
        await client.close()
    note(window, kept, read=read)
    return window.turn(sample=sample)


def engine(work: StreamWork, *, read: bool) -> StreamTurn:
    """The same client under the engine, closed loop. `read`: with a plan that has all measures of a
    language model, whose reader reads the answers when the run is over.
    """
    settings = ClientSettings("127.0.0.1", work.port, connections=work.streams, streamed=True)
    client, api = HttpClient(settings), Chat()
    calls: list[WireCall] = []

    class Asking:
        open, close = client.open, client.close

        def start(self, request: bytes, done: Callable[[WireCall], None]) -> WireCall:
            def judging(call: WireCall) -> None:
                judge(call, api, True)
                calls.append(call)
                done(call)

            return client.start(request, judging)

    class Reading(Asking):
        read = staticmethod(reader(api, LlmAsked(), None))

    plan = RunPlan(
        ClosedLoop(work.streams),
        Stop(duration_s=work.for_s + FIRST_S),
        Pool("async"),
        warmup_iterations=0,
        calibrate=False,
        measures=measures_of("chat", True) if read else (),
    )
    result = run(plan, Reading() if read else Asking(), [request_of(work)])
    if result.errors:
        raise RuntimeError(f"{result.errors_by_kind}: {result.first_fault}")
    if read and result.measures["ttft"].histogram.count < work.streams:
        raise RuntimeError(f"measures of {result.measures['ttft'].count} requests only")
    window = Window()
    note(window, calls, read=False)
    window.ended = len(calls)
    window.was(result.worker_cpu_s, min(window.stamps), max(window.stamps) + 1)
    return window.turn()


def note(window: Window, calls: Sequence[WireCall], *, read: bool) -> None:
    """The stamps of events: of the read that brought the first byte of each."""
    events = reads = 0
    for call in calls:
        assert call.marks is not None
        stamps, sizes = call.marks[::2], call.marks[1::2]
        found = set()
        for match in EVENT.finditer(bytes(call.body)):
            at = bisect_right(sizes, match.start())
            if not found:
                window.firsts.append(stamps[at] - call.sent_ns)
            if read:
                json.loads(match[1])
            window.stamps.append(stamps[at])
            window.sent.append(int(match[2]))
            found.add(at)
            events += 1
        reads += len(found)
    window.alone = reads / max(events, 1)


def floor(work: StreamWork) -> StreamTurn:
    """What the loop and the system take: a protocol that counts reads and asks again."""
    return on_loop(partial(_floor, work))


async def _floor(work: StreamWork) -> StreamTurn:
    room = memoryview(bytearray(1 << 18))
    request, reads = request_of(work), 0

    class Counting(asyncio.BufferedProtocol):
        def connection_made(self, transport) -> None:
            self.transport = transport
            transport.write(request)

        def get_buffer(self, sizehint: int) -> memoryview:
            return room

        def buffer_updated(self, nbytes: int) -> None:
            nonlocal reads
            reads += 1
            if room[nbytes - len(LAST) : nbytes] == LAST:
                self.transport.write(request)

        def eof_received(self) -> None:
            pass

    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(Counting, "127.0.0.1", work.port))[0]
        for _ in range(work.streams)
    ]
    await asyncio.sleep(FIRST_S)
    first, cpu_s = reads, time.process_time()
    await asyncio.sleep(work.for_s)
    count, cpu_s = reads - first, time.process_time() - cpu_s
    for transport in made:
        transport.abort()
    return StreamTurn(cpu_s / count * 1e6, count / work.for_s, 0.0, 0.0, 0.0)


CLIENTS: dict[str, Callable[[StreamWork], StreamTurn]] = {
    "ours": ours,
    "ours, dropped": partial(ours, sample=SAMPLE, read=False),
    "engine": partial(engine, read=False),
    "engine, read": partial(engine, read=True),
    "floor": floor,
}

if __name__ == "__main__":
    answer(CLIENTS)
