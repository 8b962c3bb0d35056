"""Requests of gRPC as bytes."""

from __future__ import annotations

import gzip
import pickle
from typing import Any

import numpy as np
import pytest
from hpack import Decoder

from qs.engine.wire import frames
from qs.engine.wire.grpc_requests import grpc_request, timeout_words

PATH = "/a.Service/Method"


def fields(block: bytes) -> dict[str, str]:
    decoder = Decoder()
    found = {str(name): str(value) for name, value in decoder.decode(block)}
    assert not decoder.header_table.dynamic_entries
    return found


def test_the_pieces_around_the_streams_number_are_the_frames() -> None:
    request = grpc_request(PATH, "host:1", {"X-Who": "me"}, b"hello", timeout_s=1.5)
    number = (9).to_bytes(4, "big")
    for secure, scheme in enumerate(("http", "https")):
        block = request.blocks[secure]
        assert fields(block)[":scheme"] == scheme
        sent = request.begins[secure] + number + request.middles[secure] + number + request.data
        assert sent == frames.header_frames(9, block) + frames.frame(
            frames.DATA, frames.END_STREAM, 9, request.data
        )
    assert fields(request.blocks[0])["x-who"] == "me"
    assert fields(request.blocks[0])["grpc-timeout"] == "1500000u"
    assert bytes(request.message) == b"hello"


def test_a_large_one_is_not_put_together_beforehand() -> None:
    request = grpc_request(PATH, "host:1", {}, bytes(16_380))
    assert request.middles == (b"", b"")
    request = grpc_request(PATH, "host:1", {"long": "x" * 40_000}, b"")
    assert request.middles == (b"", b"")
    sent = frames.header_frames(1, request.blocks[0])
    assert sent.count(b"x") >= 40_000
    assert sent[3:5] == bytes((frames.HEADERS, 0))


@pytest.mark.parametrize("message", [b"ab", bytearray(b"ab"), np.array([25185], "<u2").data])
def test_any_bytes_are_a_message(message: Any) -> None:
    request = grpc_request(PATH, "host:1", {}, message)
    assert request.data == b"\0\0\0\0\2ab"
    assert pickle.loads(pickle.dumps(request)) == request


def test_packed() -> None:
    request = grpc_request(PATH, "host:1", {}, b"a" * 1000, compressed=True)
    assert request.data[0] == 1
    assert gzip.decompress(request.message) == b"a" * 1000
    assert fields(request.blocks[0])["grpc-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "metadata", "words"),
    [
        ("a.Service/Method", {}, "no method of gRPC"),
        ("/a.Service", {}, "no method of gRPC"),
        ("/a.Service/Method\r\nx: y", {}, "no method of gRPC"),
        (PATH, {"b\xe4d": "x"}, "no name of metadata"),
        (PATH, {"a b": "x"}, "no name of metadata"),
        (PATH, {":path": "x"}, "no name of metadata"),
        (PATH, {"grpc-timeout": "1S"}, "the protocol's own"),
        (PATH, {"TE": "x"}, "the protocol's own"),
        (PATH, {"who": "secret\r\nx: y"}, "the value of metadata 'who'"),
        (PATH, {"who": "secr\xe9t"}, "the value of metadata 'who'"),
    ],
)
def test_what_cannot_be_sent(path: str, metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        grpc_request(path, "host:1", metadata, b"")
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize(
    ("timeout_s", "words"),
    [(0.0, "1u"), (1e-7, "1u"), (0.25, "250000u"), (99.999999, "99999999u"), (100, "100000m"),
     (1e6, "1000000S"), (1e12, "99999999S")],
)  # fmt: skip
def test_time_outs_in_the_protocols_words(timeout_s: float, words: str) -> None:
    assert timeout_words(timeout_s) == words
