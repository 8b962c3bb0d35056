"""Tokens are counted by a file of the library tokenizers, and by servers of each kind."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qs.base.errors import UserError
from qs.llm.tokenizing import (
    SavedTokenizer,
    ServerTokenizer,
    round_trip,
    server_tokenizer,
    tokenizer_of,
)

library = pytest.importorskip("tokenizers")

TEXTS = ["the cat sat on the mat", "the dog sat", "a cat and a dog, a mat and the cat"] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Byte-level BPE, with an end that it adds unless told not to, and truncation and padding."""
    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], show_progress=False,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = library.processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", 0)]
    )
    made.enable_truncation(4)
    made.enable_padding(length=50)
    place = tmp_path_factory.mktemp("tokenizer")
    made.save(str(place / "tokenizer.json"))
    return place


def test_a_file_or_a_folder_with_one(folder: Path) -> None:
    for path in (folder, folder / "tokenizer.json"):
        found = tokenizer_of(str(path), None, "m")
        assert found is not None and found.name == str(path)
        # Without the end that it would add, truncation and padding.
        assert found.count(["", "the cat", "the cat" * 9]) == [0, 2, 18]


def test_texts_that_no_tokenizer_knows(folder: Path) -> None:
    found = SavedTokenizer(str(folder))
    assert found.count([]) == []
    assert found.count(["\ud83d", "é", "\x00"]) == [1, 2, 1]
    assert len(found.count(["the cat"] * 3_000)) == 3_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.json", None, "allowed: a tokenizer.json, or a folder with one"),
        ("bad.json", "{}", "bad.json is not a tokenizer"),
        ("text.json", "x\ny", "text.json is not a tokenizer"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words) as raised:
        tokenizer_of(str(tmp_path / name), None, "m")
    assert "\n" not in str(raised.value) and "--tokenizer" in str(raised.value)


def test_a_folder_without_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"allowed: a tokenizer\.json"):
        tokenizer_of(str(tmp_path), None, "m")


def test_the_library_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install \"quicksilver-perf\[llm\]\""):
        tokenizer_of(str(folder), None, "m")


def test_round_trips_that_do_not_come_out_as_they_went_in(tmp_path: Path, folder: Path) -> None:
    assert round_trip(SavedTokenizer(str(folder)), TEXTS) == (15, 0, 0, 0)
    words = library.Tokenizer(library.models.WordLevel({"?": 0, "a": 1, "b": 2}, unk_token="?"))
    words.pre_tokenizer = library.pre_tokenizers.CharDelimiterSplit("-")
    words.save(str(tmp_path / "tokenizer.json"))
    # Words are put together with blanks, which do not part them: a-b is "a b", one unknown word.
    assert round_trip(SavedTokenizer(str(tmp_path)), ["a", "a-b", "a-b-a"]) == (3, 2, 2, 2)


# Servers.


def words_of(text: Any) -> list[int]:
    return list(range(len(text.split()))) if isinstance(text, str) else []


def vllm(body: Mapping[str, Any]) -> Any:
    if "prompt" not in body:
        return None  # HTTP 400
    assert body["model"] == "m" and body["add_special_tokens"] is False
    tokens = words_of(body["prompt"])
    return {"count": len(tokens), "max_model_len": 4096, "tokens": tokens}


def sglang(body: Mapping[str, Any]) -> Any:
    told = vllm(body)
    return told and {"tokens": told["tokens"]}


def llama_cpp(body: Mapping[str, Any]) -> Any:
    return {"tokens": words_of(body.get("content"))}


def tgi(body: Mapping[str, Any]) -> Any:
    if "inputs" not in body:
        return None
    begin = {"id": 1, "text": "<s>", "start": 0, "stop": 0}
    words = [{"id": 2, "text": "w", "start": at, "stop": at + 1} for at in words_of(body["inputs"])]
    return [begin, *words]


@pytest.mark.parametrize(
    ("server", "name"),
    [(vllm, "vLLM, SGLang"), (sglang, "vLLM, SGLang"), (llama_cpp, "llama.cpp"), (tgi, "TGI")],
)
def test_servers(server: Any, name: str) -> None:
    asked = []

    def ask(path: str, body: Mapping[str, Any]) -> Any:
        assert path == "/tokenize"
        asked.append(body)
        return server(body)

    found = tokenizer_of("server", ask, "m")
    assert isinstance(found, ServerTokenizer)
    assert found.name == f"the server's /tokenize ({name})"
    before = len(asked)
    assert found.count(["one two", "", "one", "one two"]) == [2, 0, 1, 2]
    assert len(asked) == before + 2  # each text once, and none at all never


@pytest.mark.parametrize(
    "answer",
    [None, {}, [], "x", {"tokens": "x"}, {"count": -1}, {"count": True}, {"count": 7},
     {"tokens": [1, 2]}, {"error": "not found"}, [{"x": 1}]],
)  # fmt: skip
def test_servers_that_have_no_such_endpoint(answer: Any) -> None:
    assert server_tokenizer(lambda path, body: answer, "m") is None
    assert tokenizer_of("", lambda path, body: answer, "m") is None
    with pytest.raises(UserError, match="this server has no endpoint for tokens"):
        tokenizer_of("server", lambda path, body: answer, "m")


def test_a_text_that_the_server_refuses_is_not_counted() -> None:
    def ask(path: str, body: Mapping[str, Any]) -> Any:
        return None if "refused" in body.get("prompt", "") else vllm(body)

    found = tokenizer_of("server", ask, "m")
    assert found is not None and found.count(["one", "refused"]) == [1, -1]


def test_what_is_stated() -> None:
    assert tokenizer_of("none", lambda path, body: vllm(body), "m") is None
    assert tokenizer_of("", None, "m") is None
    assert tokenizer_of("", lambda path, body: vllm(body), "m") is not None
