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
    states_length = True
    status: int | None = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.body = BODY

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/models/m.onnx?version=1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range", "")
        server.asked.append(asked)
        server.credentials.append(self.headers.get("Authorization", ""))
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
        if server.states_length:
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


SECRET = "s3cr3t"


@pytest.fixture
def said():
    return []


def with_secrets(server):
    return server.address.replace("http://", f"http://me:{SECRET}@") + f"&token={SECRET}"


def test_credentials_of_an_address_are_used_and_never_kept(server, tmp_path, cache, said):
    entry = {"kind": "url", "url": with_secrets(server), "sha256": SHA256}
    found = resolve({"model": "m", "sources": [entry]}, tmp_path, say=said.append)
    assert server.credentials[0].startswith("Basic ")
    assert "downloading http://****@127.0.0.1" in said[0]
    everything = [*said, str(found.to_dict()), *map(str, cache.rglob("*"))]
    assert not any(SECRET in text for text in everything)


@pytest.mark.parametrize("status", [401, 404, 503, None])
def test_credentials_are_in_no_error(server, tmp_path, status):
    server.status = status
    entry = {"kind": "url", "url": with_secrets(server), "sha256": "0" * 64}
    with pytest.raises(UserError) as refused:
        resolve({"model": "m", "sources": [entry]}, tmp_path)
    assert SECRET not in str(refused.value) and "http://****@" in str(refused.value)
    with pytest.raises(UserError) as refused:
        resolve({"model": "m", "sources": [entry]}, tmp_path, offline=True)
    assert SECRET not in str(refused.value)


def test_more_than_a_source_states_is_not_downloaded(server, tmp_path, cache):
    entry = {"kind": "url", "url": server.address, "sha256": SHA256, "bytes": 1000}
    with pytest.raises(UserError, match="larger than.*nothing of it was kept"):
        resolve({"model": "m", "sources": [entry]}, tmp_path)
    assert leftovers(cache) == []
    entry["bytes"] = len(BODY)
    assert resolve({"model": "m", "sources": [entry]}, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_without_end_is_given_up(server, tmp_path, cache, monkeypatch, stated):
    """Whether or not the server says how long it is."""
    server.states_length = stated
    monkeypatch.setenv("QS_MAX_DOWNLOAD", "0.0005")
    with pytest.raises(UserError, match="QS_MAX_DOWNLOAD"):
        fetch(server, tmp_path)
    assert leftovers(cache) == []


def test_what_the_disk_has_no_room_for_is_not_begun(server, tmp_path, cache, monkeypatch):
    free = type("Usage", (), {"free": url.SPARE_BYTES + 1000})
    monkeypatch.setattr(url.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(UserError, match="QS_CACHE to another disk"):
        fetch(server, tmp_path)
    assert leftovers(cache) == []


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf", "0"])
def test_a_bound_that_is_no_number(monkeypatch, text):
    monkeypatch.setenv("QS_MAX_DOWNLOAD", text)
    with pytest.raises(UserError, match="QS_MAX_DOWNLOAD is"):
        url.most_bytes()
    assert url.most_bytes(7) == 7
