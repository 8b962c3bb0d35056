"""What a user says of a language model: read, checked together, and never shown with a key."""

from __future__ import annotations

import pytest

from qs.llm.asked import LlmAsked, nested, read, read_field
from qs.remote.asked import Asked

URL = "openai+http://h:8080/v1"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("api", "messages", "messages"),
        ("stream", "no", False),
        ("api_key", "@env:KEY", "@env:KEY"),
        ("api_key", "", ""),
        ("body", ["temperature=0", "a.b=x"], {"temperature": 0, "a": {"b": "x"}}),
        ("body", {"a.b": 1, "a.c": [2]}, {"a": {"b": 1, "c": [2]}}),
        ("body", "stop=END", {"stop": "END"}),
        ("output_tokens", 128, "128"),
        ("prompt_count", "7", 7),
        ("retries", 3, 3),
        ("exact_lengths", None, "auto"),
    ],
)
def test_values_as_they_come(name, value, kept):
    asked, faults = read({name: value})
    assert (getattr(asked, name), faults) == (kept, [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api": "chats"}, "--api is 'chats'; allowed: chat, completions"),
        ({"apis": "chat"}, "did you mean 'api'?"),
        ({"stream": "perhaps"}, "--no_stream is 'perhaps'; allowed: true or false"),
        ({"api_key": "sk-s3cret"}, "@env:NAME or @file:PATH, never the key itself"),
        ({"api_key": "@env:"}, "@env:NAME or @file:PATH"),
        ({"body": ["temperature"]}, "allowed: key=value"),
        ({"body": ["model=x"]}, "--model says model"),
        ({"body": ["stream=false"]}, "--no_stream says stream"),
        ({"body": ["n=2"]}, "one answer a request"),
        ({"body": ["a=1", "a.b=2"]}, "each field once"),
        ({"body": ["a=1", "a=2"]}, "each field once"),
        ({"body": {"a": {1, 2}}}, "what JSON has"),
        ({"body": {"a": float("nan")}}, "what JSON has"),
        ({"prefix_share": 1.5}, "a share from 0 to 1"),
        ({"prefix_share": 0.5}, "given with --input_tokens"),
        ({"prefixes": 2}, "given with --prefix_share"),
        ({"prompts": "/no/such/file"}, "a file that is there"),
        ({"prompts": __file__, "input_tokens": "9"}, "nothing, with --prompts"),
        ({"prompt_format": "csv"}, "given with --prompts"),
        ({"score": "exact"}, "given with --prompts"),
        ({"turns": 3}, "given with --input_tokens"),
        ({"api": "completions", "turns": 2, "input_tokens": "9"}, "takes no messages"),
        ({"api": "embeddings", "output_tokens": "9"}, "no text answers"),
        ({"exact_lengths": "always"}, "given with --output_tokens"),
        ({"output_tokens": "long"}, "--output_tokens is 'long'"),
        ({"retries": 1000}, "a whole number from 0 to 100"),
    ],
)
def test_what_is_refused(given, words):
    _, faults = read(given)
    said = "; ".join(map(str, faults))
    assert words in said
    assert "s3cret" not in said


def test_all_faults_at_once_and_by_the_key_of_a_file():
    _, faults = read({"api": "x", "retries": -1, "score": "good"}, "asked.json")
    assert len(faults) == 3
    assert all(str(each).startswith("asked.json: ") for each in faults)


def test_an_embedding_comes_whole():
    asked, faults = read({"api": "embeddings"})
    assert (asked.stream, faults) == (False, [])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("temperature=0", ("temperature", 0)),
        ("stop=", ("stop", "")),
        ("a.b={\"c\": null}", ("a.b", {"c": None})),
        ("seed=NaN", ("seed", "NaN")),
        ("text=a=b", ("text", "a=b")),
        ("deep=" + "[" * 100_000, ("deep", "[" * 100_000)),
    ],
)  # fmt: skip
def test_a_field_of_the_body_is_json_or_text(text, field):
    assert read_field(text) == field


@pytest.mark.parametrize("body", [{"": 1}, {"a..b": 1}, {".".join("a" * 40): 1}, {"a.": 1}])
def test_names_of_fields_that_are_none(body):
    with pytest.raises(ValueError, match="with dots between"):
        nested(body)


def test_an_address_of_a_language_model_has_them_and_no_other():
    asked = Asked.of({"url": URL, "llm": {"api": "completions"}})
    assert asked.llm == LlmAsked(api="completions")
    assert Asked.of({"url": URL}).llm == LlmAsked()
    assert Asked.of({"url": "kserve+http://h/m"}).llm is None
    assert Asked.of(asked.plain()) == asked


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "kserve+http://h/m", "llm": {"api": "messages"}}, ["--api is 'given'"]),
        ({"url": "kserve+http://h/m", "stall_timeout_s": 1}, ["--stall_timeout"]),
        ({"url": URL, "llm": {"stream": False}, "stall_timeout_s": 1}, ["--stall_timeout"]),
        ({"url": URL, "template": __file__}, ["--template"]),
        ({"url": URL, "version": "3"}, ["version is '3'"]),
        ({"url": URL, "parameters": ["a=1"]}, ["--body KEY=VALUE"]),
        ({"url": URL, "client": "blocking"}, ["--client is 'blocking'"]),
        ({"url": URL, "binary": "always", "streams": 2}, ["--binary", "--streams"]),
        (
            {"url": URL, "headers": ["Authorization: x"], "llm": {"api_key": "@env:K"}},
            ["one of --api_key and a header"],
        ),
    ],
)
def test_flags_that_mean_nothing_are_refused(given, words):
    with pytest.raises(Exception, match="allowed") as refused:
        Asked.of(given)
    assert [word for word in words if word not in str(refused.value)] == []


def test_a_key_is_read_at_the_last_moment_and_shown_nowhere(monkeypatch, tmp_path):
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    asked = Asked.of({"url": URL, "llm": {"api_key": f"@file:{file}"}})
    assert asked.key_now() == "s3cret"
    monkeypatch.setenv("THE_KEY", "s3cret")
    named = Asked.of({"url": URL, "llm": {"api_key": "@env:THE_KEY"}})
    assert named.key_now() == "s3cret"
    for each in (asked, named):
        assert "s3cret" not in f"{each} {each.plain()} {each.public()}"
    monkeypatch.delenv("THE_KEY")
    with pytest.raises(Exception, match="--api_key: the environment has no variable THE_KEY"):
        named.key_now()
