"""Tensors in JSON, from servers that are not to be trusted, and values that JSON does not have."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qs.base.errors import UserError
from qs.remote.datatypes import DATATYPES
from qs.remote.json_tensors import from_json, json_data, read_json, read_object
from qs.remote.protocol import BadAnswer

NUMBERS = [name for name in DATATYPES if name != "BYTES"]


@settings(max_examples=60, deadline=None)
@given(datatype=st.sampled_from(NUMBERS), data=st.data())
def test_finite_numbers_travel_unchanged(datatype, data):
    dtype = DATATYPES[datatype]
    values = arrays.from_dtype(dtype, allow_nan=False, allow_infinity=False)
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    array = data.draw(arrays.arrays(dtype, shapes, elements=values))
    text = orjson.dumps(json_data("x", datatype, array), option=orjson.OPT_SERIALIZE_NUMPY)
    back = from_json("y", datatype, array.shape, read_json(text))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "made"),
    [
        ("FP32", [2, 2], [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("FP32", [2, 2], [1, 2, 3, 4], [[1, 2], [3, 4]]),
        ("FP32", [1], [None], [np.nan]),
        ("FP64", [2, 1], [[1.5], [None]], [[1.5], [np.nan]]),
        ("FP32", [2], [float("inf"), 1], [np.inf, 1]),
        ("INT64", [2], [1.0, -(2**63)], [1, -(2**63)]),
        ("UINT64", [2], [0, 2**64 - 1], [0, 2**64 - 1]),
        ("BOOL", [2], [True, 0], [True, False]),
        ("INT32", [], [7], 7),
        ("INT32", [0, 4], [], np.empty((0, 4))),
        ("BYTES", [2, 1], [["a"], ["ü"]], [["a"], ["ü"]]),
    ],
)
def test_data_that_are_the_tensor(datatype, shape, data, made):
    found = from_json("y", datatype, shape, data)
    assert found.shape == tuple(shape)
    np.testing.assert_array_equal(found, np.array(made, found.dtype))


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "words"),
    [
        ("FP32", [2], [1], "has 1 values; shape [2] has 2"),
        ("FP32", [2], [1, 2, 3], "has 3 values"),
        ("FP32", [1 << 60], [1], "has 1 values"),
        ("FP32", [2], [[1], [2, 3]], "unlike lengths"),
        ("FP32", [1], ["1"], "'1' for a number"),
        ("FP32", [2], [1, "2"], "for a number"),
        ("FP32", [1], [{}], "{} for a number"),
        ("FP32", [1], [True], "true and false"),
        ("FP32", [1], [1e300], "values from"),
        ("FP32", [1], None, "no list of data, but None"),
        ("FP32", [1], "1", "no list of data"),
        ("FP32", [1], 1, "no list of data"),
        ("INT64", [1], [None], "None for a number"),
        ("INT64", [1], [2**63], "for INT64"),
        ("INT64", [1], [2**70], "for INT64"),
        ("INT64", [1], [0.5], "whole numbers"),
        ("INT8", [1], [200], "values from -128 to 127"),
        ("UINT8", [1], [-1], "values from 0 to 255"),
        ("BOOL", [1], [2], "0 and 1 alone"),
        ("BYTES", [1], [1], "is BYTES, and its data have 1"),
        ("BYTES", [2], ["a"], "has 1 values"),
        ("BYTES", [1], [[[["a"], "b"]]], "has 2 values"),
    ],
)
def test_data_that_are_not(datatype, shape, data, words):
    with pytest.raises(BadAnswer) as bad:
        from_json("y", datatype, shape, data)
    assert words in str(bad.value)
    assert len(str(bad.value).splitlines()) == 1


def test_data_nested_too_deeply():
    data: list = ["a"]
    for _ in range(100):
        data = [data]
    for datatype in ("BYTES", "FP32"):
        with pytest.raises(BadAnswer):
            from_json("y", datatype, [1], data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is no JSON"),
        (b"<html>busy</html>", "it begins '<html>busy</html>'"),
        (b"\xff\xfe", "is no JSON"),
        (b'{"a": 1', "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[" * 5_000_000, "more than 4,000,000 lists"),
        (b"[NaN" + b"[" * 100_000, "is no JSON"),
        (b"\x1b[2J", "is no JSON"),
    ],
)
def test_text_that_is_no_json(text, words):
    with pytest.raises(BadAnswer) as bad:
        read_json(text)
    assert words in str(bad.value)
    assert "\x1b" not in str(bad.value)


def test_what_is_no_object():
    assert read_object(memoryview(b'{"a": [NaN, -Infinity]}'))["a"][1] == -np.inf
    with pytest.raises(BadAnswer, match="the model's metadata is a JSON list, not an object"):
        read_object(b"[]", "the model's metadata")


@pytest.mark.parametrize(
    ("datatype", "array", "words"),
    [
        ("FP32", np.array([np.nan], np.float32), "NaN or infinite"),
        ("FP64", np.array([np.inf]), "NaN or infinite"),
        ("BYTES", np.array([b"\xff"], object), "bytes that are no text"),
        ("BYTES", np.array(["\ud800"], object), "bytes that are no text"),
    ],
)
def test_values_that_json_does_not_have(datatype, array, words):
    with pytest.raises(UserError, match=words) as refused:
        json_data("x", datatype, array)
    assert "kserve+grpc://" in str(refused.value)
