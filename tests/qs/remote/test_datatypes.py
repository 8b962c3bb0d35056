"""Tensors as bytes: against a codec of the tests' own, and what lying servers send."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qs.base.errors import UserError
from qs.remote.datatypes import (
    DATATYPES,
    check_names,
    check_output,
    from_bytes,
    tensor_of,
    to_bytes,
    values_of,
)
from qs.remote.protocol import BadAnswer, ServedModel, ServedTensor
from tests.servers import kserve

NUMBERS = [name for name in DATATYPES if name not in ("BYTES", "BF16")]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TEXTS = st.sampled_from(["", "a", "ü€", "𝔸\0", "\n"]) | st.binary(max_size=8)


@settings(max_examples=60, deadline=None)
@given(datatype=st.sampled_from(NUMBERS), data=st.data())
def test_numbers_travel_unchanged(datatype, data):
    array = data.draw(arrays.arrays(DATATYPES[datatype], SHAPES))
    content = to_bytes(datatype, array)
    assert content == kserve._to_bytes(datatype, array)
    back = from_bytes("y", datatype, array.shape, content)
    assert back.dtype == DATATYPES[datatype] and back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@settings(max_examples=40, deadline=None)
@given(array=arrays.arrays(np.float32, SHAPES))
def test_bfloat16_is_the_nearest(array):
    content = to_bytes("BF16", array)
    with np.errstate(over="ignore"):
        nearest = array.astype(ml_dtypes.bfloat16)
    back = from_bytes("y", "BF16", array.shape, content)
    assert back.dtype == np.float32 and back.shape == array.shape
    np.testing.assert_array_equal(back, nearest.astype(np.float32))


@pytest.mark.parametrize("bits", [0x7F800001, 0xFF800001, 0x7FFFFFFF, 0x7FC00000])
def test_a_nan_stays_one_as_bfloat16(bits):
    array = np.array([bits], np.uint32).view(np.float32)
    assert np.isnan(from_bytes("y", "BF16", [1], to_bytes("BF16", array))).all()


@settings(max_examples=40, deadline=None)
@given(values=st.lists(TEXTS, max_size=5))
def test_bytes_travel_unchanged(values):
    array = np.empty(len(values), object)
    array[:] = values
    content = to_bytes("BYTES", array)
    back = from_bytes("y", "BYTES", array.shape, content)
    sent = [each.encode() if isinstance(each, str) else each for each in values]
    assert [each.encode() if isinstance(each, str) else each for each in back] == sent


def test_text_of_any_kind_of_array():
    for array in (np.array(["a", "bc"]), np.array([b"a", b"bc"]), np.array(["a", b"bc"], object)):
        assert to_bytes("BYTES", array) == b"\x01\0\0\0a\x02\0\0\0bc"


@pytest.mark.parametrize(
    ("datatype", "shape", "content", "words"),
    [
        ("FP32", [2], b"\0" * 7, "has 7 bytes; FP32 of shape [2] are 8"),
        ("FP32", [2], b"\0" * 9, "has 9 bytes"),
        ("FP32", [1 << 40, 1 << 40], b"", "has 0 bytes"),
        ("INT64", [], b"", "INT64 of shape [] are 8"),
        ("BF16", [1], b"\0" * 4, "BF16 of shape [1] are 2"),
        ("BYTES", [1], b"\x02\0\0\0a", "value 1 of its BYTES goes beyond"),
        ("BYTES", [1], b"\x02\0", "value 1 of its BYTES goes beyond"),
        ("BYTES", [2], b"\x01\0\0\0a\xff\xff\xff\xff", "value 2 of its BYTES goes beyond"),
        ("BYTES", [2], b"\x01\0\0\0a", "has 1 values; shape [2] has 2"),
        ("BYTES", [0], b"\x01\0\0\0a", "has 1 values; shape [0] has 0"),
    ],
)
def test_bytes_that_are_not_the_tensor(datatype, shape, content, words):
    with pytest.raises(BadAnswer) as bad:
        from_bytes("y\x1b[2J", datatype, shape, content)
    assert words in str(bad.value)
    assert "\x1b" not in str(bad.value)


Y = ServedTensor("y", "FP32", np.dtype("f4"), (-1, 4))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (("y", "FP64", [1, 4]), "output 'y' is FP64; announced: FP32"),
        (("y", "FP32", [1, 5]), "has the shape [1, 5]; announced: [-1, 4]"),
        (("y", "FP32", [4]), "has the shape [4]"),
        (("y", "FP32", [-1, 4]), "has the shape [-1, 4]"),
        (("y", "FP32", [1.0, 4]), "has the shape [1.0, 4]"),
        (("y", "FP32", [True, 4]), "has the shape [True, 4]"),
        (("y", "FP32", "14"), "has the shape '14'"),
        (("y", "FP32", None), "has the shape None"),
        (("y", "FP32", [1] * 40), "has the shape"),
        (("y", "FLOAT", [1, 4]), "the datatype 'FLOAT'; known: BOOL"),
        (("y", ["FP32"], [1, 4]), "the datatype"),
        (("", "FP32", [1, 4]), "without a name"),
        ((None, "FP32", [1, 4]), "without a name"),
    ],
)
def test_outputs_that_were_not_announced_so(stated, words):
    with pytest.raises(BadAnswer) as bad:
        check_output({"y": Y}, *stated)
    assert words in str(bad.value)
    assert len(str(bad.value)) < 300


def test_outputs_as_announced():
    assert check_output({"y": Y}, "y", "FP32", [0, 4]) == ("y", "FP32", (0, 4))
    assert check_output({"y": Y}, "more", "INT8", []) == ("more", "INT8", ())
    model = ServedModel("m", outputs=(Y,))
    check_names(model, {"y": np.zeros(1), "more": np.zeros(1)})
    with pytest.raises(BadAnswer, match="output 'y' is missing; there are: z"):
        check_names(model, {"z": np.zeros(1)})
    with pytest.raises(BadAnswer, match="there are: none"):
        check_names(model, {})


@pytest.mark.parametrize(
    ("datatype", "array", "words"),
    [
        ("INT8", np.array([300]), "values from -128 to 127, for INT8; it has 300"),
        ("INT64", np.array([0.5]), "whole numbers"),
        ("BYTES", np.array([1]), "is BYTES (text), and was given int64"),
        ("FP32", np.array(["a"]), "values of type FP32"),
        ("FP16", np.array([1e6]), "for FP16"),
        ("BOOL", np.array([2]), "0 and 1 alone"),
    ],
)
def test_feeds_that_would_change(datatype, array, words):
    with pytest.raises(UserError) as refused:
        values_of(tensor_of("x", datatype, [-1], "input"), array)
    assert words in str(refused.value)


def test_feeds_of_another_type_that_lose_nothing():
    found = values_of(tensor_of("x", "INT64", [-1], "input"), np.array([1.0, 2.0], np.float32))
    assert found.dtype == np.int64
