"""Downloads from a real server on this machine: resumed, verified, kept, and refused with one
message.
"""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from qs.base.errors import UserError
from qs.models import resolve, url

pytest.importorskip("requests")

BODY = bytes(range(256)) * 4000  # about a megabyte
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY. The first `cuts` connections break off after `cut_after` bytes; without `ranges`
    it cannot resume; `status` is what it answers instead, where set.
    """

    cut_after: int | None = None
    cuts = 0
    ranges = True
    status: int | None = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.body = BODY

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/models/m.onnx?version=1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range", "")
        server.asked.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start and start >= len(server.body):
            self.send_error(416)
            return
        rest = server.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}"
            )
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            rest = rest[: server.cut_after]
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(url, "PAUSE_S", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def fetch(server, tmp_path, sha256=SHA256, **options):
    entry = {"kind": "url", "url": server.address, "sha256": sha256}
    return resolve({"model": "m", "sources": [entry]}, tmp_path, **options)


def leftovers(cache):
    return sorted(path.name for path in (cache / "models").iterdir() if path.suffix != ".lock")


def test_a_file_is_downloaded_verified_and_kept(server, tmp_path, cache):
    seen = []
    found = fetch(server, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert found.path.read_bytes() == BODY
    assert (found.kind, found.synthetic, found.sha256) == ("url", False, SHA256)
    assert seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)
    assert fetch(server, tmp_path, offline=True).path == found.path
    assert len(server.asked) == 1
    assert leftovers(cache) == [f"{SHA256}.onnx"]


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.cut_after, server.cuts = 4 * url.CHUNK_BYTES, 2
    assert fetch(server, tmp_path).path.read_bytes() == BODY
    assert server.asked == ["", "bytes=262144-", "bytes=524288-"]


def test_a_later_run_resumes_what_an_earlier_one_left(server, tmp_path, cache):
    server.cut_after, server.cuts = url.CHUNK_BYTES, url.ATTEMPTS
    with pytest.raises(UserError, match="url: http.*the connection broke off 4 times"):
        fetch(server, tmp_path)
    assert leftovers(cache) == [f"{SHA256}.part"]
    server.asked.clear()
    assert fetch(server, tmp_path).path.read_bytes() == BODY
    assert server.asked == [f"bytes={url.CHUNK_BYTES * url.ATTEMPTS}-"]


def test_a_server_that_cannot_resume_sends_the_whole(server, tmp_path):
    server.ranges = False
    server.cut_after, server.cuts = 300_000, 1
    assert fetch(server, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize("size", [1000, len(BODY), len(BODY) + 5])
def test_a_stale_part_of_another_file_is_thrown_away_and_fetched_anew(
    server, tmp_path, cache, size
):
    (cache / "models").mkdir(parents=True)
    (cache / "models" / f"{SHA256}.part").write_bytes(b"?" * size)
    assert fetch(server, tmp_path).path.read_bytes() == BODY


def test_a_wrong_digest_is_refused_and_nothing_stays(server, tmp_path, cache):
    with pytest.raises(UserError, match=f"has sha256 {SHA256}, not {'0' * 64}"):
        fetch(server, tmp_path, sha256="0" * 64)
    assert leftovers(cache) == []


def test_what_the_server_refuses_is_said_and_the_next_source_is_asked(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="url: http.*the server answered 404 Not Found"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1  # a 404 is final: no second attempt


def test_a_passing_fault_of_the_server_is_tried_again(server, tmp_path):
    server.status = 503
    with pytest.raises(UserError, match="503"):
        fetch(server, tmp_path)
    assert len(server.asked) == url.ATTEMPTS


def test_offline_says_what_is_missing_and_asks_nobody(server, tmp_path):
    with pytest.raises(UserError, match="offline, and http.*is not in the cache"):
        fetch(server, tmp_path, offline=True)
    assert server.asked == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"url": "file:///etc/passwd", "sha256": SHA256}, "not an http or https address"),
        ({"url": "http:///m.onnx", "sha256": SHA256}, "not an http or https address"),
        ({"url": "https://example.com/m.onnx"}, "needs `sha256`"),
        ({"url": "https://example.com/m.onnx", "sha256": "12"}, "needs `sha256`"),
    ],
)
def test_an_entry_that_cannot_be_is_one_message(tmp_path, entry, message):
    with pytest.raises(UserError, match=message):
        resolve({"model": "m", "sources": [{"kind": "url", **entry}]}, tmp_path)
