"""Outputs at their places in an answer, and what is told of answers that do not fit."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from qs.remote.templates.answers import Output, Unfit, read_outputs, way

BODY = {
    "predictions": [[1, 2.5], [3, 4]],
    "choices": [{"score": 0.5, "label": "a"}, {"score": 0.25, "label": "b"}],
    "a/b": {"*": [True]},
    "one": 7,
    "big": 2**70,
    "ragged": [[1], [1, 2]],
    "texts": [["a"], "b"],
    "mixed": [1, "a"],
    "null": [1, None],
    "b64": "AACAPwAAAEA=",
    "empty": [],
}
F32, I64, STR = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.str_)


def output(at: str, format: str = "json", dtype=None, shape=None) -> Output:
    parts, wild = way(at)
    return Output("o", parts, format, dtype, shape, wild)


def read(one: Output, body: object = BODY) -> np.ndarray:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_outputs(sent, [one])["o"]


RIGHT = [
    (output("predictions", dtype=F32, shape=(-1, 2)), [[1, 2.5], [3, 4]]),
    (output("/predictions/1/0", dtype=I64), 3),
    (output("choices.*.score"), [0.5, 0.25]),
    (output("choices[1].label"), "b"),
    (output("$.choices.*.label", dtype=STR), ["a", "b"]),
    (output("/a~1b/*"), [True]),
    (output("one", dtype=F32, shape=(1, 1)), [[7]]),
    (output("predictions", shape=(1, 2, 2)), [[[1, 2.5], [3, 4]]]),
    (output("b64", "base64", F32), [1, 2]),
    (output("b64", "base64", F32, (1, -1)), [[1, 2]]),
    (output("empty", dtype=F32), []),
    (output("a/b"), ['{"*": [true]}']),
]


@pytest.mark.parametrize(("one", "wanted"), RIGHT, ids=range(len(RIGHT)))
def test_outputs(one, wanted):
    found = read(one)
    assert found.tolist() == wanted
    assert one.dtype is None or one.dtype.kind == "U" or found.dtype == one.dtype


WRONG = [
    (output("prediction"), "the answer has no 'prediction'; it has predictions, choices"),
    (output("predictions.5"), "/predictions has no '5'; it is a list of 2"),
    (output("one.x"), "/one is 7, which has no 'x'"),
    (output("a/b.*.c"), "is an object; `\\*` needs a list"),
    (output("predictions", dtype=I64), "int64 cannot hold|allowed: int64 values"),
    (output("predictions", dtype=STR), "allowed: texts"),
    (output("choices.*.label", dtype=F32), "holds texts; allowed: float32 values"),
    (output("choices", dtype=F32), "holds an object"),
    (output("predictions", shape=(-1, 3)), r"has shape \[2, 2\]; allowed: \[-1, 3\]"),
    (output("big", dtype=I64), "int64 cannot hold|allowed: int64 values"),
    (output("ragged"), "unequal length"),
    (output("texts"), "unequal length"),
    (output("mixed"), "mixes number, string"),
    (output("null"), "mixes null, number"),
    (output("one", "base64", F32), "is 7; allowed: base64"),
    (output("b64", "base64", F32, (3,)), "do not make"),
]


@pytest.mark.parametrize(("one", "words"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit(one, words):
    with pytest.raises(Unfit, match=f"output o: .*({words})"):
        read(one)


def test_answers_that_are_no_json():
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    stream = io.BytesIO()
    np.save(stream, array)
    assert (read(output("", "npy", F32), stream.getvalue()) == array).all()
    assert (read(output("", "raw", np.dtype("f8"), (-1, 3)), array.tobytes()) == array).all()
    assert read(output("", "raw"), b"\x01\x02").tolist() == [1, 2]
    assert read(output("", "text"), b"h\xc3\xa9\xff").tolist() == ["hé\\xff"]
    assert read(output("x"), b'{"x": NaN}').tolist() != [0]
    for one, body, words in (
        (output("", "npy"), b"PK", "no .npy file"),
        (output("", "raw", F32), b"123", "3 bytes"),
        (output(""), b"<html>", "not JSON .*it begins b'<html>'"),
        (output(""), b"[" * 100_000, "not JSON"),
    ):
        with pytest.raises(Unfit, match=words):
            read(one, body)
