"""A server of chat completions that answers at once, and counts words as tokens at /tokenize."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.scripted import chat_events

TEMPLATE = 3  # tokens that it adds to each message


class ChatServer(ThreadingHTTPServer):
    """What it was asked stands in `bodies`, how often it counted in `counted`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.counted = 0

    @property
    def address(self) -> str:
        return f"openai+http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v1/models" else 404, {"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self.server.counted += 1
            self._answer(200, {"count": len(body["prompt"].split())})
            return
        self.server.bodies.append(body)
        most = min(body.get("max_completion_tokens") or body.get("max_tokens") or 4, 32)
        given = sum(len(each["content"].split()) + TEMPLATE for each in body["messages"])
        usage = {"prompt_tokens": given, "completion_tokens": most}
        events = chat_events(*[" word"] * most, usage=usage, finish="length")
        self._send(200, "text/event-stream", b"".join(events))

    def _answer(self, status: int, content: Any) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
