"""A server of a language model whose limit is known: so many slots, a time to a first token and a
time per token that are constant, and a first-come, first-served queue before the slots. An M/D/c
queue, behind OpenAI's chat API.

    with queue_llm(slots=4, first_s=0.005, token_s=0.005, tokens=8) as server:
        ... f"openai+{server.url}/v1" ...

`cliff`: with more requests than this in the queue everything takes ten times as long, which is what
a server does that swaps. `slow_after_s`: from then on, too. `locked_after`: after so many
requests no key is right. /metrics tells what runs and waits, by
llama.cpp's names. A process of its own, on uvloop where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MODEL = "queue"
SLOWER = 10.0
REFUSAL = b'{"error":{"message":"the key has expired"}}'
LOCKED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)
)
LOOKING_S = 0.05  # how often a waiting request looks whether its client is still there


@dataclass(frozen=True)
class QueueLlm:
    """The server, from outside."""

    url: str

    @property
    def address(self) -> str:
        return f"openai+{self.url}/v1"

    def most_waiting(self) -> int:
        """The longest that its queue ever was."""
        with urllib.request.urlopen(f"{self.url}/most_waiting", timeout=10) as answer:
            return int(answer.read())


@contextmanager
def queue_llm(
    slots: int = 4,
    first_s: float = 0.005,
    token_s: float = 0.005,
    tokens: int = 8,
    cliff: int = 0,
    slow_after_s: float = 0.0,
    locked_after: int = 0,
) -> Iterator[QueueLlm]:
    """The server for as long as the context lasts."""
    known = (slots, first_s, token_s, tokens, cliff, slow_after_s, locked_after)
    process = subprocess.Popen(
        [sys.executable, __file__, *map(str, known)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield QueueLlm(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


class _Model:
    """The slots and the queue before them."""

    def __init__(
        self,
        slots: int,
        first_s: float,
        token_s: float,
        tokens: int,
        cliff: int,
        slow_s: float,
        locked_after: int,
    ):
        self._free, self._first_s, self._token_s = slots, first_s, token_s
        self.tokens, self._cliff, self._slow_s = tokens, cliff, slow_s
        self._locked_after = locked_after
        self.asked = 0
        self._began = time.monotonic()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.running = self.most_waiting = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def locked(self) -> bool:
        return bool(self._locked_after) and self.asked > self._locked_after

    async def enter(self) -> None:
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self.most_waiting = max(self.most_waiting, len(self._waiting))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                elif turn in self._waiting:
                    self._waiting.remove(turn)
                raise
        self.running += 1

    def exit(self) -> None:
        self.running -= 1
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def at(self, began: float, token: int) -> float:
        """When a token of an answer that began then is due."""
        slow = self._cliff and len(self._waiting) > self._cliff
        slow = slow or (self._slow_s and time.monotonic() - self._began > self._slow_s)
        return began + (self._first_s + self._token_s * token) * (SLOWER if slow else 1.0)


async def _serve(model: _Model, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, _ = head.split(" ", 2)
            length = 0
            for line in head.split("\r\n"):
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            body = json.loads(await reader.readexactly(length)) if length else {}
            model.asked += method == "POST"
            if model.locked and path != "/metrics":
                writer.write(LOCKED)
            elif method == "POST":
                await _answer(model, body, reader, writer)
            else:
                _tell(model, path, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _tell(model: _Model, path: str, writer: asyncio.StreamWriter) -> None:
    kind, status = "application/json", "200 OK"
    if path == "/v1/models":
        text = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
    elif path == "/metrics":
        kind = "text/plain; version=0.0.4"
        text = "".join(
            f"# TYPE llamacpp:{name} gauge\nllamacpp:{name} {value}\n"
            for name, value in (
                ("requests_processing", model.running),
                ("requests_deferred", model.waiting),
            )
        )
    elif path == "/most_waiting":
        text = str(model.most_waiting)
    else:
        text, status = "{}", "404 Not Found"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
    writer.write(head.encode() + text.encode())


async def _answer(
    model: _Model, body: dict, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    wanted = min(int(body.get("max_tokens") or model.tokens), model.tokens)
    usage = {"prompt_tokens": 8, "completion_tokens": wanted, "total_tokens": 8 + wanted}
    turn = asyncio.ensure_future(model.enter())
    while not turn.done():
        await asyncio.wait({turn}, timeout=LOOKING_S)
        if reader.at_eof() and not turn.done():
            turn.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await turn
            raise ConnectionError("the client has gone")
    try:
        began = time.monotonic()
        if not body.get("stream"):
            await _until(model.at(began, wanted - 1))
            text = json.dumps(_whole(wanted, usage)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                + b"Content-Length: %d\r\n\r\n" % len(text)
                + text
            )
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for token in range(wanted):
            await _until(model.at(began, token))
            if reader.at_eof() or writer.is_closing():
                raise ConnectionError("the client has gone")
            _event(writer, {"choices": [{"index": 0, "delta": {"content": "a "}}]})
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
        _event(writer, end)
        if (body.get("stream_options") or {}).get("include_usage"):
            _event(writer, {"choices": [], "usage": usage})
        writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    finally:
        model.exit()


def _whole(tokens: int, usage: dict) -> dict:
    message = {"role": "assistant", "content": "a " * tokens}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    return {"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}


def _event(writer: asyncio.StreamWriter, event: dict) -> None:
    made = {"object": "chat.completion.chunk", "model": MODEL, **event}
    writer.write(_chunk(b"data: " + json.dumps(made).encode() + b"\n\n"))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _until(at: float) -> None:
    if (left := at - time.monotonic()) > 0:
        await asyncio.sleep(left)


async def _main(words: list[str]) -> None:
    slots, first_s, token_s, tokens, cliff, slow_s, locked = words
    model = _Model(
        int(slots),
        float(first_s),
        float(token_s),
        int(tokens),
        int(cliff),
        float(slow_s),
        int(locked),
    )
    server = await asyncio.start_server(
        lambda reader, writer: _serve(model, reader, writer), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(_main(sys.argv[1:]))
