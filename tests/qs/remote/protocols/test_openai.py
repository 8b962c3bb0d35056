"""A language model's endpoint as a protocol: what is asked first, requests, and answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qs.base.errors import Faults, UserError
from qs.engine.wire.calls import WireCall
from qs.remote.asked import Asked
from qs.remote.protocol import BadAnswer, NotReady, Unanswered
from qs.remote.protocols.openai import OpenAi
from qs.remote.serving import Serving
from tests.servers.rest import Answer, App, as_json, asking, read_request
from tests.servers.scripted import chat_events

URL = "openai+http://h:8080/base/v1"
KEY = "s3cret-key"


def protocol(**given) -> OpenAi:
    asked = Asked.of({"url": URL, **given})
    return OpenAi(asked.address(), asked)


def server(pages: dict[str, Answer]) -> App:
    missing = as_json({"error": {"message": "no such page"}}, 404)
    return lambda asked: pages.get(asked.path, missing)


def models(*names: str, **more) -> Answer:
    return as_json({"object": "list", "data": [{"id": name, **more} for name in names]})


def told(pages: dict[str, Answer], **given):
    return protocol(**given).describe(asking(server(pages)))


LISTED = {"/base/v1/models": models("m")}


@pytest.mark.parametrize(
    ("more", "page", "server_name", "version", "fact"),
    [
        ({"owned_by": "vllm", "max_model_len": 4096}, ("/version", {"version": "0.9.1"}),
         "vLLM", "0.9.1", ("context", "4096 tokens")),
        ({"owned_by": "llamacpp"}, ("/props", {"build_info": "b1-2", "total_slots": 4}),
         "llama.cpp", "b1-2", ("slots", "4")),
        ({"owned_by": "sglang"}, ("/get_server_info", {"version": "0.5", "tp_size": 2}),
         "SGLang", "0.5", ("tensor parallel", "2")),
        ({}, ("/info", {"model_id": "m", "version": "3.0", "max_total_tokens": 99}),
         "TGI", "3.0", ("context", "99 tokens")),
        ({"owned_by": "library"}, ("/api/version", {"version": "0.6"}), "Ollama", "0.6", None),
        ({}, ("/props", ["no object"]), "", "", None),
        ({"owned_by": 7}, ("/version", {"version": 7}), "", "", None),
    ],
)  # fmt: skip
def test_which_server_it_is(more, page, server_name, version, fact):
    path, content = page
    pages = {"/base/v1/models": models("m", **more), f"/base{path}": as_json(content)}
    found = told(pages)
    assert (found.name, found.server_name, found.server_version) == ("m", server_name, version)
    assert fact is None or found.facts[fact[0]] == fact[1]
    assert [each.name for each in found.inputs] == ["prompt"]
    assert (found.platform, found.max_batch_size) == ("chat", 1)


@pytest.mark.parametrize(
    ("pages", "given", "words"),
    [
        ({"/base/v1/models": models("a", "b")}, {}, "--model is 'missing'; allowed: one of the "),
        ({"/base/v1/models": models("a", "b")}, {"model": "ab"}, "did you mean 'a'?"),
        ({"/base/v1/models": models()}, {}, "the server lists none"),
        ({}, {}, "this server has no list of them"),
        ({"/base/v1/models": models("bad\nname", "b")}, {"model": "n"}, "bad name, b"),
    ],
)
def test_a_model_that_is_not_to_be_had(pages, given, words):
    with pytest.raises(Faults) as refused:
        told(pages, **given)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_server_without_a_list_is_believed():
    assert told({}, model="any").name == "any"
    assert told({"/base/v1/models": models()}, model="any").name == "any"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (as_json({"error": {"message": "Incorrect API key"}}, 401), "--api_key @env:NAME"),
        (as_json({"error": "loading"}, 503), "/models: HTTP 503"),
    ],
)
def test_a_server_that_is_not_ready(answer, words):
    with pytest.raises(NotReady, match=words):
        told({"/base/v1/models": answer})


def test_a_server_whose_health_says_no():
    with pytest.raises(NotReady, match="/health: "):
        told({**LISTED, "/base/health": as_json({"error": {"message": "Loading"}}, 503)})


@pytest.mark.parametrize("body", [b"<html>", b"3", b'{"data": 3}', b'{"models": []}'])
def test_a_list_that_is_none(body):
    with pytest.raises(BadAnswer, match="/models is answered, but not with"):
        told({"/base/v1/models": Answer(body=body)})
    assert told({"/base/v1/models": Answer(body=body)}, model="any").name == "any"


@pytest.mark.parametrize(
    ("api", "path", "key_header"),
    [
        ("chat", "chat/completions", ("authorization", f"Bearer {KEY}")),
        ("completions", "completions", ("authorization", f"Bearer {KEY}")),
        ("embeddings", "embeddings", ("authorization", f"Bearer {KEY}")),
        ("responses", "responses", ("authorization", f"Bearer {KEY}")),
        ("messages", "messages", ("x-api-key", KEY)),
    ],
)
def test_a_request_of_each_api(monkeypatch, api, path, key_header):
    monkeypatch.setenv("THE_KEY", KEY)
    made = protocol(llm={"api": api, "api_key": "@env:THE_KEY", "body": ["top_k=4", "a.b=1"]})
    made.describe(asking(server(LISTED)))
    line = json.dumps({"messages": [{"role": "user", "content": "hü"}], "output_tokens": 5})
    request = made.request({"prompt": np.array([line], object)})
    sent = read_request(request)
    assert sent.path == f"/base/v1/{path}"
    assert sent.headers[key_header[0]] == key_header[1]
    assert sent.headers["content-type"] == "application/json"
    assert (sent.json["model"], sent.json["top_k"], sent.json["a"]) == ("m", 4, {"b": 1})
    assert request.prompt.text == "hü"
    assert ("stream" in sent.json and sent.json["stream"]) == (api != "embeddings")


def test_a_plain_text_is_what_the_user_says():
    made = protocol(model="m")
    sent = read_request(made.request({"prompt": np.array(["{not JSON"], object)}))
    assert sent.json["messages"] == [{"role": "user", "content": "{not JSON"}]
    with pytest.raises(UserError, match="a request has one prompt, and this batch 2"):
        made.request({"prompt": np.array(["a", "b"], object)})


def test_what_is_no_unicode_is_sent_all_the_same():
    made = protocol(model="m", llm={"body": {"seed": 2**80}})
    sent = read_request(made.request({"prompt": np.array(["half \ud83d of it"], object)}))
    assert sent.json["messages"][0]["content"] == "half \ud83d of it"
    assert sent.json["seed"] == 2**80


def test_a_trial_asks_for_little():
    made = protocol(model="m")
    line = json.dumps({"prompt": "a", "output_tokens": 4000})
    sent = read_request(made.brief({"prompt": np.array([line], object)}))
    assert sent.json["max_tokens"] == 16
    sent = read_request(made.brief({"prompt": np.array(['{"prompt":"a","output_tokens":3}'])}))
    assert sent.json["max_tokens"] == 3


def answered(body: bytes, kind: bytes = b"text/event-stream", failure: str = "") -> WireCall:
    call = WireCall(b"", lambda call: None, None)
    call.status, call.body = 200, body
    call.head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind
    if failure:
        call.failure, call.status = failure, int(failure.rpartition(" ")[2])
    return call


def test_the_text_of_an_answer():
    body = b"".join(chat_events("Hel", "lo", usage={"completion_tokens": 2}))
    assert protocol(model="m").outputs(answered(body))["text"].tolist() == ["Hello"]
    whole = json.dumps({"choices": [{"message": {"content": "Hi"}}]}).encode()
    made = protocol(model="m", llm={"stream": False})
    assert made.outputs(answered(whole))["text"].tolist() == ["Hi"]
    with pytest.raises(BadAnswer, match="out of memory"):
        protocol(model="m").outputs(answered(b'data: {"error": {"message": "out of memory"}}\n\n'))


def test_the_vector_of_an_embedding():
    made = protocol(model="m", llm={"api": "embeddings"})
    body = json.dumps({"data": [{"embedding": [1, 2.5]}]}).encode()
    assert made.outputs(answered(body))["embedding"].tolist() == [[1.0, 2.5]]
    for wrong in (b"{}", b"[]", b'{"data": []}', b'{"data": [{"embedding": ["x"]}]}', b"\xff"):
        with pytest.raises(BadAnswer, match="embedding"):
            made.outputs(answered(wrong))


def test_a_failure_is_told_without_the_key(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    made = protocol(model="m", llm={"api_key": "@env:THE_KEY"})
    call = answered(b'{"error": {"message": "wrong key %s"}}' % KEY.encode(), failure="HTTP 401")
    call.detail = call.body.decode()
    made.judge(call)
    assert (call.failure, call.detail) == ("HTTP 401", "wrong key ****")


def test_a_model_with_nothing_to_say_to_the_first_prompt_is_measured_all_the_same():
    """A base model ends at once where a request does not hold it to a length."""
    kind = {"content-type": "text/event-stream"}
    silent = Answer(200, b"".join(chat_events()), kind)
    cut = Answer(200, b"".join(chat_events("a", finish=None, done=False)), kind)
    at = "/base/v1/chat/completions"
    feeds = {"prompt": np.array(["Hello"], object)}
    serving = Serving(Asked.of({"url": URL}), asking(server({**LISTED, at: silent})))
    assert serving.infer(feeds, brief=True) == {}
    with pytest.raises(Unanswered, match="empty answer: stop, and no token"):
        serving.infer(feeds)
    serving = Serving(Asked.of({"url": URL}), asking(server({**LISTED, at: cut})))
    with pytest.raises(Unanswered, match="cut stream: after 1 piece"):
        serving.infer(feeds, brief=True)
