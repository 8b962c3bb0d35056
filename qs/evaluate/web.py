"""`--web [PORT]`: the report's page on this machine while its run goes on, made of the same
template and charts as the one that is written at the end, with the history's trend of the task.

Only this machine is served, and only to a browser that was given this address: a name that another
site has made to point here (DNS rebinding) is refused. There is nothing to write and no file to
ask for. A browser asks once a second for what goes on now, and for the page when a stage or a case
has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from qs.base.errors import Fault, Faults
from qs.base.files import to_json_line
from qs.base.words import number
from qs.render.html.page import Live, result_page
from qs.result.record import Record, to_result
from qs.result.story import story_of
from qs.watch.nodes import LOST, name_of, phase_word, standing_out, summary
from qs.watch.progress import PHASES, state
from qs.watch.view import Follow, View

if TYPE_CHECKING:
    from pathlib import Path

    from qs.engine import NodeProgress, Progress, RunResult

FLAG = "--web"
LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
MOST_POINTS = 600  # of the case in flight; of a longer one every second is left out, and so on
MOST_NODES = 40  # with a line each
LAST_LOOK_S = 3.0  # that a browser which is looking has to fetch the last page
SOCKET_S = 10.0
TRIES = 5
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'; img-src data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Point = dict[str, Any]
Trend = Callable[[str, str, str], Sequence[Point]]  # of a task, a backend and a kind of run


class LivePage(View):
    """What a browser is shown: the record so far, and the case in flight."""

    def __init__(self, trend: Sequence[Point] = (), clock: Callable[[], float] = time.monotonic):
        self.address = ""
        self._trend = trend
        self._clock = clock
        self._record: Record | None = None
        self._folder: Path | None = None
        self._version = 0
        self._drawn: tuple[int, bytes] | None = None
        self._drawing = threading.Lock()
        self._doing = "starting"
        self._nodes: tuple[NodeProgress, ...] = ()
        self._points: list[Point] = []
        self._every = 1
        self._seen = 0
        self._asked_s: float | None = None
        self._fetched = -1
        self._over = False

    def follow(self, record: Record, folder: Path) -> None:
        self._record, self._folder = record, folder
        self._version += 1

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._doing = name
        yield
        self._version += 1

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        self._points, self._every, self._seen = [], 1, 0
        self._doing = title

        def follow(progress: Progress) -> None:
            self._nodes = progress.nodes
            self._doing = f"{title}: {PHASES[progress.phase]}, {state(progress)}"
            if progress.phase == "measure":
                self._keep(title, progress)

        yield follow
        self._nodes = ()

    def _keep(self, title: str, progress: Progress) -> None:
        self._seen += 1
        if self._seen % self._every:
            return
        started = self._points[-1]["to"] if self._points else 0.0
        if progress.elapsed_s <= started:
            return
        self._points.append(
            {
                "case": title,
                "s": round(started, 3),
                "to": round(progress.elapsed_s, 3),
                "per_s": progress.now_per_s,
                "p50": None if not progress.p50_now_ns else progress.p50_now_ns / 1e6,
                "p99": None if not progress.p99_now_ns else progress.p99_now_ns / 1e6,
                "errors": 0,
            }
        )
        if len(self._points) >= MOST_POINTS:
            self._points = self._points[1::2]
            self._every *= 2

    def ended(self, title: str, result: RunResult) -> None:
        self._version += 1

    def over(self) -> None:
        """The run has ended. A browser that is looking gets the last page."""
        self._doing, self._over = "the run has ended", True
        self._version += 1
        until_s = self._clock() + LAST_LOOK_S
        while self._is_watched() and self._fetched < self._version and self._clock() < until_s:
            time.sleep(0.05)

    def _is_watched(self) -> bool:
        return self._asked_s is not None and self._clock() - self._asked_s < LAST_LOOK_S

    def state(self) -> bytes:
        """What goes on now, as JSON."""
        self._asked_s = self._clock()
        points = list(self._points)
        return to_json_line(
            {
                "version": self._version,
                "over": self._over,
                "now": self._doing,
                "points": points,
                "nodes": nodes_now(self._nodes),
            }
        )

    def page(self) -> bytes:
        """The page of what is known; drawn once for each stage and case that has ended."""
        with self._drawing:
            version = self._version
            if self._drawn is None or self._drawn[0] != version:
                self._drawn = version, self._draw(version)
            self._fetched = version
            return self._drawn[1]

    def _draw(self, version: int) -> bytes:
        if self._record is None:
            return b"<!doctype html><title>qs</title><p>The run has not begun. Reload."
        for _ in range(TRIES - 1):
            try:
                result = to_result(self._record)
                break
            except RuntimeError:  # something was added to it meanwhile
                time.sleep(0.01)
        else:
            result = to_result(self._record)
        live = Live(version, self._doing, self._over, tuple(self._trend))
        return result_page(story_of(result, self._folder), live)


def nodes_now(nodes: Sequence[NodeProgress]) -> dict[str, Any]:
    """The nodes of the case in flight: how many there are, and lines of a table, of those that
    stand out where there are many.
    """
    if not nodes:
        return {"said": "", "lines": []}
    shown = standing_out(nodes, MOST_NODES)
    return {
        "said": summary(nodes),
        "lines": [
            {
                "node": name_of(node),
                "doing": phase_word(node),
                "tone": "bad" if node.phase == LOST else "",
                "per_s": number(node.now_per_s, 3),
                "p99": "" if not node.p99_ns else f"{number(node.p99_ns / 1e6)} ms",
                "completed": number(node.completed),
                "errors": number(node.errors),
            }
            for node in shown
        ],
    }


class _Handler(BaseHTTPRequestHandler):
    """Two addresses to read, for this machine's own names."""

    live: LivePage
    allowed: frozenset[str]
    timeout = SOCKET_S
    server_version, sys_version = "qs", ""

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def _answer(self, whole: bool) -> None:
        if self.headers.get("Host", "").lower() not in self.allowed:
            self._send(403, "text/plain", b"this address is for a browser on this machine\n", whole)
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(200, "text/html; charset=utf-8", self.live.page(), whole)
        elif path == "/state":
            self._send(200, "application/json", self.live.state(), whole)
        else:
            self._send(404, "text/plain", b"there is one page: /\n", whole)

    def _send(self, status: int, kind: str, content: bytes, whole: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if whole:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The terminal is the run's."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no fault of the run."""


@contextmanager
def served(port: int | None, trend: Sequence[Point] = ()) -> Iterator[LivePage | None]:
    """The live page of a run, served as long as the context lasts; 0 is any free port. Raises
    Faults if the port is taken.
    """
    if port is None:
        yield None
        return
    live = LivePage(trend)
    handler = type("Handler", (_Handler,), {"live": live})
    try:
        server = _Server((LOOPBACK, port), handler)
    except OSError as error:
        raise Faults(
            [Fault(FLAG, "", port, "a free port", hint=error.strerror or str(error))]
        ) from None
    number = server.server_address[1]
    handler.allowed = frozenset(f"{name}:{number}" for name in NAMES)  # type: ignore[attr-defined]
    live.address = f"http://{LOOPBACK}:{number}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True)
    thread.start()
    try:
        yield live
        live.over()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
