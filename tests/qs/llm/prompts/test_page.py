"""docs/prompts.md: its files are read as they stand, and its commands run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qs.llm.asked import LlmAsked, read
from qs.llm.prompts.lengths import LONGEST
from qs.llm.prompts.source import made_prompts, prompts_of
from qs.llm.prompts.texts import MOST_COUNTED_TOKENS
from qs.llm.prompts.trace_files import BLOCK, MOST_ROWS
from tests.qs.llm.prompts import counting
from tests.qs.llm.prompts.chat_server import ChatServer, chat_server
from tests.qs.program import ROOT, qs

PAGE = (ROOT / "docs" / "prompts.md").read_text()
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
ADDRESS = "openai+http://127.0.0.1:8080/v1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked_by(command: str) -> LlmAsked:
    """What a command says of prompts."""
    words = shlex.split(command)
    assert words[:3] == ["qs", "load", ADDRESS]
    pairs = zip(words[3::2], words[4::2], strict=True)
    load = ("--duration", "--time_limit", "--replay_speed", "--clients")
    asked, faults = read({flag[2:]: value for flag, value in pairs if flag not in load})
    assert faults == []
    return asked


def test_files_and_flags_make_prompts(folder: Path) -> None:
    assert len(FILES) == 9 and len(COMMANDS) == 16
    found = {}
    for command in COMMANDS:
        tokenizer = counting.words()
        made = made_prompts(asked_by(command), lambda tokenizer=tokenizer: tokenizer)
        assert made.prompts
        expected = r"lengths were drawn outside|taken for plain text|models named in the file"
        assert all(re.search(expected, note) for note in made.notes), command
        found[command.partition(" --prompts ")[2].split(" ")[0]] = made
    assert [each.choices for each in found["questions.jsonl"].prompts][1] == ("9.9", "9.11")
    assert len(found["talks.json"].prompts) == 2
    assert found["talk.jsonl"].conversations
    for name in ("trace.csv", "mooncake.jsonl", "burst.csv", "azure.csv"):
        assert found[name].dues_s[0] == 0
        assert found[name].about["format"] == {"trace.csv": "csv", "burst.csv": "burstgpt"}.get(
            name, name.partition(".")[0]
        )
    first, second = (each.text.split() for each in found["mooncake.jsonl"].prompts)
    assert first[:BLOCK] == second[:BLOCK] and first[BLOCK] != second[BLOCK]


def test_the_servers_endpoint_counts_where_there_is_one() -> None:
    asked: list[str] = []

    def ask(path: str, body: Mapping[str, Any]) -> object:
        asked.append(body.get("prompt", ""))
        assert (path, body["model"]) == ("/tokenize", "m")
        return {"count": len(body["prompt"].split())}

    found = prompts_of(LlmAsked(input_tokens="30", prompt_count=5), ask, "m")
    assert {each.text for each in found.prompts} <= set(asked)
    assert found.about["lengths"] == (
        "all counted by the server's /tokenize (vLLM, SGLang): as drawn, without what a chat "
        "template adds"
    )
    assert found.notes == []
    none = prompts_of(LlmAsked(input_tokens="30", tokenizer="none"), ask, "m")
    assert "no tokenizer is known" in none.notes[0]


def test_numbers_of_the_page() -> None:
    assert (LONGEST, MOST_ROWS, MOST_COUNTED_TOKENS) == (10_000_000, 1_000_000, 5_000_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_of_the_page(folder: Path) -> None:
    with chat_server() as server:
        for command in COMMANDS:
            ran = qs(*shlex.split(command.replace(ADDRESS, server.address))[1:], cwd=folder)
            assert ran.returncode == 0, command + "\n" + ran.stderr
            assert "Traceback" not in ran.stderr


def typed(server: ChatServer, folder: Path, *words: str) -> list[list[str]]:
    """The words of each prompt that the server was asked."""
    server.bodies.clear()
    ran = qs("load", server.address, "--warmup", "0", *words, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    texts = [" ".join(each["content"] for each in body["messages"]) for body in server.bodies]
    return [text.split() for text in texts]


@pytest.mark.slow
def test_prompts_arrive_as_they_were_drawn(folder: Path) -> None:
    with chat_server() as server:
        words = ["--input_tokens", "40", "--prefix_share", "50%", "--prompt_count", "12"]
        texts = typed(server, folder, *words, "--output_tokens", "2", "--iterations", "12")
        assert server.counted > 12
        assert {len(text) for text in texts} == {40}
        whole = {" ".join(text) for text in texts}
        assert len(whole) == 12
        assert len({" ".join(text[:20]) for text in texts}) == 1
        assert len({text[20] for text in texts}) == 12
        result = json.loads(next(folder.rglob("result-fp32.json")).read_text())
        assert "synthetic prompts (40 in, 2 out)" in json.dumps(result)
