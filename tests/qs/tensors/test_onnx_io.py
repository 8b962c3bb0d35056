from __future__ import annotations

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.tensors.onnx_io import FileTensor, batch_fault, bind_inputs, bind_outputs, is_dynamic

BERT = {
    "inputs": "input_ids.1,attention_mask.1,token_type_ids.1",
    "input_type": "LONG",
    "input_shape": {
        name: [1, 384] for name in ("input_ids.1", "attention_mask.1", "token_type_ids.1")
    },
    "outputs": "start_logits,end_logits",
}


def tensors(*names, shape=("batch", 384), type="tensor(int64)"):
    return [FileTensor(name, shape, type) for name in names]


@pytest.mark.parametrize(
    ("names", "pairs", "noted"),
    [
        # as declared, in whatever order
        (
            ["token_type_ids.1", "input_ids.1", "attention_mask.1"],
            {
                "token_type_ids.1": "token_type_ids.1",
                "input_ids.1": "input_ids.1",
                "attention_mask.1": "attention_mask.1",
            },
            0,
        ),
        # without the exporter's suffix: by name, although the order differs and all types agree
        (
            ["input_ids", "token_type_ids", "attention_mask"],
            {
                "input_ids": "input_ids.1",
                "token_type_ids": "token_type_ids.1",
                "attention_mask": "attention_mask.1",
            },
            3,
        ),
        # one is known, the others follow by position
        (
            ["ids", "attention_mask.1", "segments"],
            {
                "ids": "input_ids.1",
                "attention_mask.1": "attention_mask.1",
                "segments": "token_type_ids.1",
            },
            2,
        ),
        (
            ["a", "b", "c"],
            {"a": "input_ids.1", "b": "attention_mask.1", "c": "token_type_ids.1"},
            3,
        ),
        # two that look alike without their suffix are not told apart by it
        (
            ["input_ids.7", "input_ids.8", "x"],
            {
                "input_ids.7": "input_ids.1",
                "input_ids.8": "attention_mask.1",
                "x": "token_type_ids.1",
            },
            3,
        ),
    ],
)
def test_inputs_are_matched(names, pairs, noted):
    bound, notes = bind_inputs(BERT, tensors(*names), "model.onnx")
    assert {fed.file: fed.declared for fed in bound} == pairs
    assert [fed.file for fed in bound] == names, "in the file's order"
    assert len(notes) == noted


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            tensors("a", "b"),
            r"takes 2 inputs \(a \['batch', 384\] tensor\(int64\), .*names 3: input_ids\.1",
        ),
        (
            tensors("a", "b", "c", shape=("batch", 128)),
            r"shape \[1, 384\] against \['batch', 128\]",
        ),
        (tensors("a", "b", "c", shape=("batch",)), "shape"),
        (tensors("a", "b", "c", type="tensor(string)"), r"LONG cannot become tensor\(string\)"),
        (tensors("a", "b", "c", type="seq(tensor(float))"), "only tensors are supported"),
    ],
)
def test_inputs_that_cannot_be_matched(found, message):
    with pytest.raises(UserError, match=message):
        bind_inputs(BERT, found, "model.onnx")


@pytest.mark.parametrize(
    ("declared", "file", "dtype", "cast"),
    [
        ("LONG", "tensor(int64)", np.int64, False),
        ("LONG", "tensor(int32)", np.int32, True),
        ("LONG", "tensor(float)", np.float32, True),
        ("BOOL", "tensor(int64)", np.int64, True),
        ("INT32", "tensor(bool)", np.bool_, True),
        ("UINT8", "tensor(int8)", np.int8, True),
        ("FLOAT32", "tensor(float16)", np.float16, True),
        ("STRING", "tensor(string)", np.object_, False),
    ],
)
def test_types(declared, file, dtype, cast):
    info = {"inputs": "x", "input_shape": {"x": [1, 4]}, "input_type": declared}
    (fed,), notes = bind_inputs(info, tensors("x", shape=("n", 4), type=file), "f")
    assert fed.dtype == np.dtype(dtype) and bool(notes) is cast


@pytest.mark.parametrize(
    ("names", "expected", "noted"),
    [
        (
            ["start_logits", "end_logits"],
            [("start_logits", "start_logits"), ("end_logits", "end_logits")],
            0,
        ),
        (
            ["end_logits", "start_logits"],
            [("start_logits", "start_logits"), ("end_logits", "end_logits")],
            0,
        ),
        # the file gives more than the model info names
        (
            ["pooled", "end_logits", "start_logits"],
            [("start_logits", "start_logits"), ("end_logits", "end_logits")],
            0,
        ),
        (["o1", "o2"], [("o1", "start_logits"), ("o2", "end_logits")], 2),
        (["end_logits:0", "x"], [("x", "start_logits"), ("end_logits:0", "end_logits")], 2),
        (["only"], [("only", "only")], 1),
    ],
)
def test_outputs(names, expected, noted):
    pairs, notes = bind_outputs(BERT, names)
    assert pairs == expected and len(notes) == noted


def test_no_declared_outputs_means_the_files_own():
    assert bind_outputs({}, ["a", "b"]) == ([("a", "a"), ("b", "b")], [])


@pytest.mark.parametrize(
    ("declared", "shape", "batch", "fault"),
    [
        ([1, 384], ("batch", 384), 24, None),
        ([1, 384], (None, 384), 24, None),
        ([1, 384], (1, 384), 1, None),
        ([1, 384], (1, 384), 2, "dimension 0 of input x is fixed to 1, but the batch has 2"),
        ([26, 2], (52, 2), 2, None),
        ([26, 2], (52, 2), 1, "dimension 0 of input x is fixed to 52, but the batch has 26"),
    ],
)
def test_batch_sizes_a_file_can_take(declared, shape, batch, fault):
    info = {"inputs": "x", "input_shape": {"x": declared}, "input_type": "INT64"}
    bound, _ = bind_inputs(info, tensors("x", shape=shape), "f")
    assert batch_fault(bound, batch) == fault
    assert is_dynamic(bound) is not isinstance(shape[0], int)
