"""`qs load` with --verify and --score against a language model that answers otherwise when busy."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.qs.program import ROOT, qs

ANSWER = "the cat sat on the mat and looked at all the birds in the tree"
BUSY = "the cat sat on the roof and looked at all the birds in the tree"


class Handler(BaseHTTPRequestHandler):
    """Whole answers of chat completions. `fickle`: a second request at the same time changes the
    answer.
    """

    protocol_version = "HTTP/1.1"
    fickle = True
    alone_s = 0.05  # how long a second client's request may take to come
    seen: list[dict] = []
    under_way = 0
    lock = threading.Lock()
    met = threading.Event()

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "m"}]} if "models" in self.path else None)

    def do_POST(self) -> None:
        kind = type(self)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with kind.lock:
            kind.under_way += 1
            if kind.under_way > 1:
                kind.met.set()
        busy = kind.met.wait(kind.alone_s)
        with kind.lock:
            kind.seen.append(body)
            kind.under_way -= 1
            if not kind.under_way:
                kind.met.clear()
        asked = body["messages"][-1]["content"]
        text = {"B or A?": "B", "C or D?": "who knows"}.get(asked, f"{asked}: {ANSWER}")
        if busy and kind.fickle:
            text = text.replace(ANSWER, BUSY)
        self._send(
            {
                "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 15},
            }
        )

    def _send(self, content: dict | None) -> None:
        body = json.dumps(content or {}).encode()
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Handler], str]]:
    class Own(Handler):
        seen: list[dict] = []
        lock = threading.Lock()
        met = threading.Event()

    made = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Own, f"openai+http://127.0.0.1:{made.server_address[1]}/v1"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def prompts(folder: Path, *lines: dict) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def measured(folder: Path, url: str, *more: str) -> dict:
    done = qs(
        "load", url, "--no_stream", "--iterations", "4", "--warmup", "0", "--no_input", "-q",
        "--no_calibrate", "--no_history", *more, "--out", str(folder), cwd=folder,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    (path,) = folder.rglob("result-*.json")
    return json.loads(path.read_text())["Performance"][0]


def test_a_server_that_answers_otherwise_when_busy_is_seen(tmp_path, server):
    kind, url = server
    file = prompts(tmp_path, {"prompt": "one"}, {"prompt": "two"})
    row = measured(tmp_path, url, "--prompts", str(file), "-c", "2", "--verify", "all")
    texts = row["Verification"]["texts"]
    assert 0 < texts["compared"] - texts["same"] <= 8
    assert (texts["earliest"], texts["unit"]) == (7, "word")  # one: the cat sat on the | roof
    assert texts["example"]["idle"] == " mat" and texts["example"]["busy"] == " roof"
    assert "answers_differ_under_load" in row["Warning Codes"]
    assert row["Verdict"] == "VALID"
    assert all(each["temperature"] == 0 and "seed" in each for each in kind.seen)


def test_one_that_answers_the_same_has_no_doubt(tmp_path, server):
    kind, url = server
    kind.fickle = False
    file = prompts(tmp_path, {"prompt": "one"}, {"prompt": "two"})
    row = measured(tmp_path, url, "--prompts", str(file), "-c", "2", "--verify", "sample")
    texts = row["Verification"]["texts"]
    assert texts["compared"] == texts["same"] == 8
    assert "answers_differ_under_load" not in row["Warning Codes"]


def test_prompts_with_answers_are_scored(tmp_path, server):
    kind, url = server
    kind.fickle = False
    file = prompts(
        tmp_path,
        {"prompt": "B or A?", "answer": "B", "choices": ["first", "second"]},
        {"prompt": "C or D?", "answer": "first", "choices": ["first", "second"]},
        {"prompt": "no answer is known"},
    )
    row = measured(tmp_path, url, "--prompts", str(file), "-c", "1", "--score", "choice")
    score = row["Verification"]["score"]
    assert (score["items"], score["right"], score["unread"]) == (2, 1, 1)
    assert score["low"] < 0.5 < score["high"]


def test_without_either_nothing_is_asked_of_the_answers(tmp_path, server):
    kind, url = server
    file = prompts(tmp_path, {"prompt": "one"})
    row = measured(tmp_path, url, "--prompts", str(file), "-c", "1")
    assert row.get("Verification") is None
    assert all("temperature" not in each for each in kind.seen)


PAGE = (ROOT / "docs" / "llm-answers.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE))
def test_the_commands_of_the_page(tmp_path, server, command):
    kind, url = server
    kind.alone_s = 0.001
    for name, content in re.findall(r"^`([\w.]+)`:\n\n```json\n(.*?)^```$", PAGE, re.M | re.S):
        (tmp_path / name).write_text(content)
    assert "--duration 2s" in command
    words = shlex.split(command.replace("--duration 2s", "--duration 300ms"))
    words[2] = url
    done = qs(*words[1:], "--no_stream", "--no_calibrate", "--no_input", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.rglob("result-*.json")
    found = json.loads(path.read_text())["Performance"][0]["Verification"]
    assert found["checked"] > 0
    assert (found["score"] is not None) == ("--score" in command)
