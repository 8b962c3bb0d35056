"""What a user says of a served model: read, checked together, and never shown with a secret."""

from __future__ import annotations

import json
import pickle

import pytest

from qs.base.errors import Faults, UserError
from qs.remote.asked import Asked

URL = "kserve+http://h:8000/M"
TLS = "kserve+https://h:8000/M"
GRPC = "kserve+grpc://h:8001/M"


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("headers", ["A: b=c", "D=e:f"], {"A": "b=c", "D": "e:f"}),
        ("header", {"A": "b"}, {"A": "b"}),
        ("headers", [("A", "b")], {"A": "b"}),
        ("parameters", ["priority=1", "mode=a=b"], {"priority": "1", "mode": "a=b"}),
        ("parameters", {"deep": True, "top_k": 5}, {"deep": "true", "top_k": "5"}),
        ("sequences", 4, 4),
        ("sequences", "4", 4),
        ("connections", "12", 12),
        ("connect_timeout_s", "0.5", 0.5),
        ("shared_memory", "yes", True),
        ("version", 3, "3"),
        ("metric", "nv_inference_count", ("nv_inference_count",)),
        ("connection_order", "first", "first"),
        ("binary", None, "auto"),
    ],
)
def test_values_as_they_come(key, value, kept):
    asked = Asked.of({"url": URL, key: value})
    names = {"header": "headers", "metric": "metrics", "connection_order": "order"}
    assert getattr(asked, names.get(key, key)) == kept
    assert Asked.of(json.loads(json.dumps(asked.plain()))) == asked
    assert pickle.loads(pickle.dumps(asked)) == asked


def test_sequences_with_length_and_first_id():
    asked = Asked.of({"url": URL, "sequences": "8x5@1000"})
    assert (asked.sequences, asked.sequence_length, asked.sequence_base) == (8, 5, 1000)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "url is ''; allowed: an address such as"),
        ({"url": URL, "bynary": 1}, "did you mean 'binary'?"),
        ({"url": URL, "binary": "yes"}, "--binary is 'yes'; allowed: auto, always or never"),
        ({"url": URL, "sequences": "8x0"}, "at least 1 request"),
        ({"url": URL, "metrics_url": "nonsense"}, "--metrics_url is 'nonsense'; allowed: http://"),
        ({"url": URL, "metrics_url": "http://h:99999/"}, "http://HOST:PORT/metrics"),
        ({"url": URL, "metrics_url": "http://[h/"}, "http://HOST:PORT/metrics"),
        ({"url": URL, "metrics_url": "ftp://h/"}, "http://HOST:PORT/metrics"),
        ({"url": URL, "metrics_url": "http://h/a b"}, "http://HOST:PORT/metrics"),
        ({"url": URL, "metrics_url": "http://u:p@h/metrics"}, "without a user's name"),
        ({"url": URL, "sequences": "8@0"}, "an id of at least 1"),
        ({"url": URL, "sequences": "-1"}, "NxLENGTH"),
        ({"url": URL, "connections": 0}, "a whole number from 1"),
        ({"url": URL, "connections": True}, "a whole number from 1"),
        ({"url": URL, "connect_timeout_s": "soon"}, "--connect_timeout is 'soon'"),
        ({"url": URL, "ready_timeout_s": float("nan")}, "seconds, above 0"),
        ({"url": URL, "ready_timeout_s": 1e9}, "at most 86,400"),
        ({"url": URL, "parameters": ["=1"]}, "--parameter"),
        ({"url": URL, "parameters": "x"}, "NAME=VALUE"),
        ({"url": URL, "headers": ["Host=x"]}, "does not set itself"),
        ({"url": URL, "headers": {"A": "1", "a": "2"}}, "twice"),
        ({"url": URL, "ca": "/nowhere"}, "a file that exists"),
        ({"url": URL, "insecure": True}, "kserve+https:// has it"),
        ({"url": URL, "server_name": "x"}, "without TLS"),
        ({"url": TLS, "key": __file__}, "without --certificate"),
        ({"url": TLS, "ca": __file__, "insecure": True}, "either a --ca"),
        ({"url": URL, "streams": 2}, "one request at a time per connection"),
        ({"url": URL, "client": "grpcio"}, "lean or blocking, over HTTP"),
        ({"url": GRPC, "client": "blocking"}, "lean or grpcio, over gRPC"),
        ({"url": URL, "client": "blocking", "sequences": 2}, "lean, with --sequences"),
        ({"url": GRPC, "proxy": "http://p:1"}, "over gRPC without TLS"),
        ({"url": URL, "sequence_base": 2**63}, "a whole number from 1"),
        ({"url": GRPC, "binary": "never"}, "have both"),
        ({"url": URL, "compression": "br"}, "nothing or gzip"),
        ({"url": URL, "compression": "gzip", "sequences": 2}, "nothing, with --sequences"),
        ({"url": "https://h/p", "sequences": 2}, "nothing, with https://"),
        ({"url": "https://h/p", "shared_memory": True}, "nothing, with https://"),
        ({"url": URL, "template": __file__}, "nothing, with KServe's protocol"),
        ({"url": URL, "model": "N"}, "which the address names"),
    ],
)
def test_what_is_refused(values, words):
    with pytest.raises(Faults) as refused:
        Asked.of(values)
    assert words in str(refused.value)


def test_all_faults_at_once_and_the_file_they_are_in():
    with pytest.raises(Faults) as refused:
        Asked.of({"url": "x", "streams": 0, "order": "random"}, "answers.json")
    lines = str(refused.value).splitlines()
    assert lines[0] == "3 faults:"
    assert "  answers.json: streams is 0; allowed: a whole number from 1 to 1000000" in lines


@pytest.mark.parametrize("kind", [["Authorization: Bearer s3cret"], {"Authorization": "s3cret"}])
def test_no_secret_is_shown(kind):
    asked = Asked.of({"url": URL, "headers": kind})
    assert "s3cret" in asked.headers_now()["Authorization"]
    assert "s3cret" not in repr(asked) + str(asked) + json.dumps(asked.public())
    assert asked.public()["headers"] == {"Authorization": "****"}


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3crét", ["s3cret"], 7])
def test_a_header_that_is_refused_is_not_shown_either(value):
    with pytest.raises(Faults) as refused:
        Asked.of({"url": URL, "headers": {"A": value}})
    assert "s3cr" not in str(refused.value)
    with pytest.raises(Faults) as refused:
        Asked.of({"url": URL, "headers": [f"s3cret {value}"]})
    assert "s3cr" not in str(refused.value)


def test_secrets_are_read_at_the_last_moment(monkeypatch, tmp_path):
    file = tmp_path / "token"
    asked = Asked.of({"url": URL, "headers": {"A": "@env:QS_A", "B": f"@file:{file}"}})
    with pytest.raises(UserError, match="no variable QS_A"):
        asked.headers_now()
    monkeypatch.setenv("QS_A", "one")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        asked.headers_now()
    file.write_text("two\n")
    assert asked.headers_now() == {"A": "one", "B": "two"}
    assert asked.plain()["headers"] == {"A": "@env:QS_A", "B": f"@file:{file}"}
    for content in ("twö".encode(), b"two\nlines", b"\xff\xfe", b"x" * 70_000):
        file.write_bytes(content)
        with pytest.raises(UserError, match="--header B"):
            asked.headers_now()


def test_parameters_are_what_they_look_like():
    asked = Asked.of(
        {"url": URL, "parameters": ["a=1", "b=true", "c=0.5", 'd="1"', "e=x", "f=[1]"]}
    )
    kept = {"a": 1, "b": True, "c": 0.5, "d": "1", "e": "x", "f": "[1]"}
    assert asked.parameters_now() == kept
    assert list(map(type, asked.parameters_now().values())) == list(map(type, kept.values()))
