"""`qs load` of a language model's endpoint as a person uses it: what is in the result, what becomes
of every kind of fault, and where a key is not. The server is scripted.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from qs.history.entries import Wanted, entries
from qs.remote.null_server import null_stream
from tests.qs.program import ROOT, Ran, qs, refused
from tests.servers.scripted import (
    EVENTS,
    JSON,
    Piece,
    Script,
    Scripted,
    chat_events,
    event,
    scripted,
    stream,
    whole,
)

KEY = "sk-a-secret-that-nothing-may-keep"
TEXTS = ("Hel", "lo", ", you")
USAGE = {"prompt_tokens": 11, "completion_tokens": 3}
GOOD = stream(chat_events(*TEXTS, usage=USAGE), first_s=0.002, gap_s=0.001)
# Requests before the measured ones: the trial of the first prompt, that of the backend, the idle
# answer, and the warm-up.
BEFORE = 4
PAGE = (ROOT / "docs" / "llm.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
QUICK = ["--no_calibrate", "--warmup", "1", "--telemetry", "off", "--out", "r", "--json"]


def load(server: Scripted, *words: object, cwd: Path, **environment: str) -> Ran:
    return qs("load", f"openai+{server.url}/v1", *QUICK, *words, cwd=cwd, **environment)


def one_piece(status: int, content: object, *headers: tuple[str, str]) -> Script:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Script((Piece(0.0, data),), status, (*JSON, *headers), chunked=False)


def at_once(*events: bytes, end: str = "keep") -> Script:
    return Script(tuple(Piece(0.0, each) for each in events), end=end)


def cut(end: str = "keep") -> Script:
    """A stream with one token, and no end."""
    return at_once(*chat_events("a")[:2], end=end)


CHUNKS = (*EVENTS, ("Transfer-Encoding", "chunked"))

LOGIN = Script((Piece(0.0, b"<html>Log in</html>"),), 200, (("Content-Type", "text/html"),), False)
# What a server may do -> how that is counted.
FAULTS = {
    "reset": cut("reset"),
    "closed": cut("close"),
    "stalled": cut("hang"),
    "first byte timeout": Script(GOOD.pieces, head_after_s=3.0),
    "bad answer": Script((Piece(0.0, b"\0\1\2 no chunk"),), 200, CHUNKS, None, "close"),
    "HTTP 429": one_piece(429, {"error": "slow down"}, ("Retry-After", "0.01")),
    "HTTP 401": one_piece(401, {"error": {"message": f"the key {KEY} has expired"}}),
    "redirected": Script((), 302, (("Location", "http://127.0.0.1:1/login"),), chunked=False),
    "error event": at_once(*chat_events("a")[:2], event({"error": {"message": "no memory"}})),
    "cut stream": cut(),
    "empty answer": at_once(*chat_events()),
    "wrong content type": LOGIN,
    "answer too large": Script((Piece(0.0, b"data: "), Piece(0.0, b"x" * (1 << 20), times=70))),
}  # fmt: skip


def test_what_is_kept_of_a_run_and_no_key_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server repeats the key wherever it can."""
    words = ["--api_key", "@env:THE_KEY", "--body", "temperature=0", "--output_tokens", "3"]
    words += ["--clients", "2", "--iterations", "20", "--max_error_rate", "50%"]
    told = stream(chat_events(*TEXTS, KEY, usage=USAGE), first_s=0.002, gap_s=0.001)
    expired = one_piece(401, {"error": {"message": f"the key {KEY} has expired"}})
    pages = {
        "/v1/models": whole({"data": [{"id": "org/m", "owned_by": "vllm", "root": KEY}]}),
        "/version": whole({"version": f"1-{KEY}"}),
    }
    before = entries(Wanted())
    with scripted(*[told] * 9, expired, paths=pages) as server:
        address = f"openai+{server.url}/v1"
        monkeypatch.setattr(sys, "argv", ["qs", "load", address, *QUICK, *words])
        ran = load(server, *words, cwd=tmp_path, THE_KEY=KEY)
        sent = server.requests()
    assert ran.returncode in (0, 3), ran.stderr
    result = json.loads(ran.stdout)
    assert all(f"Authorization: Bearer {KEY}".encode() in each for each in sent)
    body = json.loads(sent[-1].partition(b"\r\n\r\n")[2])
    assert (body["model"], body["temperature"], body["stream"]) == ("org/m", 0, True)
    assert body["max_tokens"] == 3
    # The first prompts are sent in their order, from the first on.
    bodies = [json.loads(each.partition(b"\r\n\r\n")[2])["messages"] for each in sent]
    assert len({json.dumps(each) for each in bodies}) > 15
    title = f"127.0.0.1:{server.port}/v1/org/m"
    assert (result["Task"], result["Backend"], result["Kind"]) == (title, "OPENAI", "load")
    assert result["Model Source"]["served"]["model"] == "org/m"
    assert (result["Served"]["server"], result["Served"]["platform"]) == ("vLLM", "chat")
    (row,) = result["Performance"]
    assert row["Errors By Kind"] == {"HTTP 401": 4}
    tokens, measures = row["Tokens"], row["Measures"]
    assert tokens["counted_by"] == {"server's usage": 36}
    assert (tokens["input_tokens"], tokens["output_tokens"]) == (36 * 11, 36 * 3)
    assert measures["ttft"]["count"] == 36 and measures["ttft"]["p50"] > 2
    assert result["Samples"]["items"] == 64
    (entry,) = set(entries(Wanted())) - set(before)
    assert (entry.task, entry.model) == (title, "org-m")
    assert not any(KEY in text for text in (ran.stdout, ran.stderr, str(entry)))
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not any(KEY.encode() in path.read_bytes() for path in kept)
    assert "--api_key @env:THE_KEY" in " ".join(result["Command"])


@pytest.mark.parametrize(
    "kinds", [list(FAULTS), *(pytest.param([kind], marks=pytest.mark.slow) for kind in FAULTS)],
    ids=lambda kinds: kinds[0] if len(kinds) == 1 else "all",
)  # fmt: skip
def test_every_fault_has_its_word_and_none_hangs(tmp_path: Path, kinds: list[str]) -> None:
    scripts = [GOOD] * (BEFORE + 4)
    for kind in kinds:
        scripts += [FAULTS[kind], GOOD]
    count = 4 + 2 * len(kinds)
    words = ["--iterations", count, "--stall_timeout", "0.3s", "--first_byte_timeout", "0.3s"]
    with scripted(*scripts) as server:
        ran = load(server, *words, cwd=tmp_path)
    assert ran.returncode == 3, ran.stderr
    assert "Traceback" not in ran.stderr
    (row,) = json.loads(ran.stdout)["Performance"]
    assert row["Errors By Kind"] == dict.fromkeys(kinds, 1)
    assert row["Completed"] == count - len(kinds)
    assert row["Counts"]["retry-after answers"] == ("HTTP 429" in kinds)
    assert (tmp_path / "r").rglob("report.html")


def test_a_busy_server_is_obeyed_where_that_is_asked(tmp_path: Path) -> None:
    busy = one_piece(429, {"error": "slow down"}, ("Retry-After", "0.2"))
    scripts = [*[GOOD] * (BEFORE + 2), busy, busy, GOOD]
    with scripted(*scripts) as server:
        ran = load(server, "--retries", "2", "--iterations", "4", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    (row,) = json.loads(ran.stdout)["Performance"]
    assert (row["Completed"], row["Errors"]) == (4, 0)
    assert row["Counts"]["retry-after answers"] == 2
    assert row["Counts"]["sent again after Retry-After"] == 2
    assert row["Max Latency"] > 400 > row["Min Latency"]


@pytest.mark.parametrize(
    ("scripts", "pages", "words", "said"),
    [
        ([GOOD], {}, ["--model", "other"], ["--model is 'other'", "the server lists: m"]),
        ([FAULTS["HTTP 401"]], {}, [], ["HTTP 401", "--api_key @env:NAME"]),
        pytest.param([LOGIN], {}, [], ["text/html"], marks=pytest.mark.slow),
        pytest.param([GOOD], {"/v1/models": LOGIN}, [], ["not with JSON"], marks=pytest.mark.slow),
        pytest.param(
            [whole({"error": {"message": "no route"}}, 404)], {}, [], ["HTTP 404: no route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [GOOD], {"/v1/models": whole({"data": [{"id": "a"}, {"id": "b"}]})}, [],
            ["--model is 'missing'", "a, b"], marks=pytest.mark.slow,
        ),
        pytest.param(
            [GOOD], {}, ["--batch_sizes", "2,4", "--shape", "prompt=3", "--fill", "zeros"],
            ["--batch_sizes is '2, 4'", "--shape", "--fill"], marks=pytest.mark.slow,
        ),
        pytest.param(
            [GOOD], {}, ["--prompts", "q.jsonl", "--score", "choice"],
            ["--score is 'choice'", "one of its `choices`"], marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_before(
    tmp_path: Path, scripts: list[Script], pages: dict[str, Script], words: list[str],
    said: list[str],
) -> None:  # fmt: skip
    (tmp_path / "q.jsonl").write_text('{"prompt": "2 + 2?", "answer": "4"}')
    with scripted(*scripts, paths=pages) as server:
        ran = load(server, *words, "--ready_timeout", "1s", cwd=tmp_path)
    refused(ran, *said)
    assert not (tmp_path / "r").exists()


def test_a_key_that_is_typed_is_refused_and_not_repeated(tmp_path: Path) -> None:
    ran = qs("load", "openai+http://127.0.0.1:1/v1", "--api_key", KEY, cwd=tmp_path)
    assert ran.returncode == 2
    assert KEY not in ran.stdout + ran.stderr and "@env:NAME" in ran.stderr


def test_a_plan_shows_what_would_be_asked_and_asks_none_of_it(tmp_path: Path) -> None:
    words = ["--dry_run", "--rate", "3", "--output_tokens", "64", "--body", "temperature=0"]
    with scripted(GOOD) as server:
        address = f"openai+{server.url}/v1"
        ran = qs("load", address, *words, "--api_key", "@env:HOME", cwd=tmp_path)
        assert server.requests() == []
    assert ran.returncode == 0, ran.stderr
    for text in (
        f"{address}: m (chat), served by ",
        "HTTP/1.1, no TLS: POST /v1/chat/completions, the first ",
        "answers: streamed",
        "prompts: 64 prompts",
        "output tokens: 64",
        "connections: 256, opened before measuring",
        "with each request: body temperature=0",
        "Poisson, batch size 1, for 10 s",
    ):
        assert text in ran.stdout
    assert not (tmp_path / "reports").exists()


@pytest.mark.slow
def test_every_command_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 3}
    completions = [
        event({"choices": [{"index": 0, "text": text, "finish_reason": None}]}) for text in TEXTS
    ] + [
        event({"choices": [{"text": "", "finish_reason": "stop"}], "usage": usage}),
        event("[DONE]"),
    ]
    message = {"role": "assistant", "content": "Hello"}
    at_one = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    assert len(COMMANDS) > 14 and all(each.startswith("qs ") for each in COMMANDS)
    with scripted(GOOD) as server:
        for command in COMMANDS:
            server.play(GOOD)
            if "completions" in command:
                server.play(stream(completions, first_s=0.002, gap_s=0.001))
            elif "--no_stream" in command:
                server.play(whole(at_one, after_s=0.003))
            words = shlex.split(command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"))
            ran = qs(*words[1:], cwd=tmp_path)
            # Whether bounds are kept, and two runs can be told apart, is the machine's business.
            depends = re.search("--slo|--rate|qs compare", command)
            assert ran.returncode in ((0, 3) if depends else (0,)), (command, ran.stderr)
            assert "Traceback" not in ran.stderr
        server.play(GOOD)
        (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        monkeypatch.chdir(tmp_path)
        exec(snippet.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"), {})


TASK = {
    "workloads/greeting.json": json.dumps(
        {"model": "greeting", "test_perf": True, "test_accuracy": True, "test_numeric": False,
         "clients": 2, "iterations": 5, "batch_sizes": [1], "data_percent": 100,
         "compile_only": False}
    ),
    "model_zoo/greeting/README.txt": "The model is the server's.",
    "model_zoo/greeting.json": json.dumps(
        {"model": "greeting", "model_path": "model_zoo/greeting/README.txt", "framework": "Onnx",
         "framework_version": "1", "model_format": "served", "model_precision": "FP32",
         "inputs": "said", "outputs": "answer", "input_shape": {"said": [1]},
         "input_type": "STRING", "dataset_name": "greeting", "max_batch_size": 1,
         "is_quantized": False}
    ),
    "datasets/greeting/data_loader.py": """
import numpy as np
from general_perf.datasets import data_loader

class DataLoader(data_loader.Dataset):
    def __init__(self, config):
        super().__init__(config)
        self.items = self.batch_num = 2
        self.batched_data = [{"said": np.array([text])} for text in ("Hello?", "Bye?")]
        self.labels = [["Hello, you"], ["Goodbye"]]
    def name(self):
        return "greeting"
    def rebatch(self, new_bs, skip=True):
        pass
""",
    "datasets/greeting/test_accuracy.py": """
from general_perf.datasets import test_accuracy

class AccuracyChecker(test_accuracy.AccuracyChecker):
    def calculate_acc(self, data_percent):
        right = 0
        for index in range(self.dataloader.get_batch_count()):
            feeds, labels = self.dataloader.get_samples(index)
            (text,) = self.runtime_backend.predict(feeds)["answer"]
            right += text == labels[0]
        return {"Exact Match": right / 2}
""",
}  # fmt: skip


@pytest.mark.slow
def test_a_task_of_texts_is_scored_and_measured(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "backends").mkdir(parents=True)
    for name, content in TASK.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(content)
    words = ["run", "--task", "greeting", "--workspace", work, "--no_history", *QUICK]
    with scripted(GOOD) as server:
        address = f"openai+{server.url}/v1"
        ran = qs(*words, "--url", address, "--output_tokens", "7", cwd=tmp_path)
        sent = [json.loads(each.partition(b"\r\n\r\n")[2]) for each in server.requests()]
        wrong = qs(*words, "--url", address, "--input_tokens", "9", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["Accuracy"]["Exact Match"] == 0.5
    (row,) = result["Performance"]
    assert (row["Completed"], row["Tokens"]["output_tokens"]) == (10, 30)
    assert {each["messages"][-1]["content"] for each in sent} == {"Hello?", "Bye?"}
    assert {each["max_tokens"] for each in sent} == {7}
    refused(wrong, "--input_tokens", "nothing, with a task")


@pytest.mark.slow
def test_a_server_that_answers_at_once_shows_the_clients_own_limit(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 100}
    events = chat_events(*["tok "] * 100, usage=usage)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"
    words = ["--model", "m", "--clients", "32", "--duration", "2s", "--warmup", "0.2s"]
    words += ["--telemetry", "off", "--no_history", "--out", "r", "--json"]
    found = []
    for _ in range(3):  # other programs may take the core that the client would have needed
        with null_stream(head, events) as port:
            ran = qs("load", f"openai+http://127.0.0.1:{port}/v1", *words, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        (row,) = json.loads(ran.stdout)["Performance"]
        client = row["Client"]
        assert client["cpu_us"] > 0 and client["limit_per_s"] > 0
        assert client["cpu_us_per_event"] > 0 and client["events_per_s"] > 0
        found = [each["Code"] for each in row["Doubts"]]
        if "client_bound" in found:
            return
    pytest.fail(f"no client_bound among {found}")
