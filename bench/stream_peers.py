"""The peers that `stream.py` compares with: aiohttp (lines, and their JSON as they come) and the
openai client, each noting when it has read an event. Runs in whichever environment has them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from stream_work import BODY, PATH, StreamTurn, StreamWork, Window, answer, on_loop, streaming

now_ns = time.perf_counter_ns


def aiohttp(work: StreamWork) -> StreamTurn:
    import aiohttp

    async def whole() -> StreamTurn:
        url = f"http://127.0.0.1:{work.port}{PATH}"
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(window: Window, going: Callable[[], bool]) -> None:
                while going():
                    began = now_ns()
                    async with session.post(url, json=BODY) as reply:
                        async for line in reply.content:
                            if not line.startswith(b"data: {"):
                                continue
                            event = json.loads(line[6:])
                            if event["choices"][0]["delta"].get("content"):
                                began = noted(window, began, event["sent_ns"])
                    window.ended += 1

            return await streaming(work, ask)

    return on_loop(whole)


def openai(work: StreamWork) -> StreamTurn:
    import httpx
    import openai

    async def whole() -> StreamTurn:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{work.port}/v1",
            api_key="none",
            http_client=httpx.AsyncClient(limits=limits, timeout=60),
        ) as client:

            async def ask(window: Window, going: Callable[[], bool]) -> None:
                while going():
                    began = now_ns()
                    async for event in await client.chat.completions.create(**BODY):
                        if event.choices and event.choices[0].delta.content:
                            began = noted(window, began, event.sent_ns)
                    window.ended += 1

            return await streaming(work, ask)

    return on_loop(whole)


def noted(window: Window, began: int, sent: str) -> int:
    """Note an event; `began` is 0 but for the first of a stream."""
    now = now_ns()
    window.stamps.append(now)
    window.sent.append(int(sent))
    if began:
        window.firsts.append(now - began)
    return 0


if __name__ == "__main__":
    answer({"aiohttp": aiohttp, "openai": openai})
