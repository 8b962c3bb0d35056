from __future__ import annotations

import numpy as np
import pytest

from qs.tensors.generated import (
    GeneratedItems,
    InputSpec,
    batch_shape,
    generated_feeds,
    input_specs,
    numpy_dtype,
)

BERT = {
    "inputs": "input_ids.1,attention_mask.1,token_type_ids.1",
    "input_type": "LONG,LONG,LONG",
    "input_shape": {
        "input_ids.1": [1, 384],
        "attention_mask.1": [1, 384],
        "token_type_ids.1": [1, 384],
    },
    "input_range": {"input_ids.1": [0, 30522]},
}


@pytest.mark.parametrize(
    ("type_name", "dtype"),
    [
        ("LONG", "int64"),
        ("INT64", "int64"),
        ("INT32", "int32"),
        ("INT16", "int16"),
        ("INT8", "int8"),
        ("UINT8", "uint8"),
        ("FLOAT32", "float32"),
        ("FLOAT16", "float16"),
        ("BOOL", "bool"),
        (" long ", "int64"),
    ],
)
def test_types(type_name, dtype):
    assert numpy_dtype(type_name) == np.dtype(dtype)


def test_unknown_type_names_the_known_ones():
    with pytest.raises(ValueError, match=r"FLOAT33.*FLOAT32"):
        numpy_dtype("FLOAT33")


@pytest.mark.parametrize(
    ("shape", "batch", "expected"),
    [
        ([1, 384], 4, (4, 384)),
        ([26, 2], 3, (78, 2)),
        ([100, 77], 2, (200, 77)),
        ([1], 5, (5,)),
        ([], 5, ()),
    ],
)
def test_batch_shape(shape, batch, expected):
    assert batch_shape(shape, batch) == expected


def test_bert_feeds_look_like_text():
    feeds = generated_feeds(BERT, 16, seed=0)
    ids, mask, segment = feeds["input_ids.1"], feeds["attention_mask.1"], feeds["token_type_ids.1"]
    assert ids.shape == mask.shape == segment.shape == (16, 384)
    assert ids.dtype == mask.dtype == np.int64
    assert ids.max() > 20000 and len(np.unique(ids)) > 1000
    lengths = mask.sum(axis=1)
    assert len(set(lengths.tolist())) > 5 and lengths.min() >= 96 and lengths.max() <= 384
    assert (np.diff(mask, axis=1) <= 0).all(), "a mask is ones, then zeros"
    assert not ids[mask == 0].any(), "ids end where the mask ends"
    assert set(np.unique(segment)) == {0, 1} and (segment <= mask).all()


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_an_item_does_not_depend_on_its_batch(batch):
    info = {**BERT, "input_shape": {**BERT["input_shape"], "input_ids.1": [2, 384]}}
    whole = generated_feeds(info, 24, seed=5)
    pieces = [generated_feeds(info, batch, seed=5, start=start) for start in range(0, 24, batch)]
    for name, array in whole.items():
        assert np.array_equal(array, np.concatenate([piece[name] for piece in pieces]))


def test_items_across_blocks_and_large_batches():
    items = GeneratedItems([InputSpec("x", (1, 4), "FLOAT32")], seed=1)
    whole = items.feeds(0, 700)["x"]
    assert np.array_equal(whole[250:530], items.feeds(250, 280)["x"])
    assert len(np.unique(whole)) > 2700


def test_seeds():
    a, b, c = (generated_feeds(BERT, 2, seed=seed)["input_ids.1"] for seed in (0, 0, 1))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_never_all_zero_whatever_the_type():
    for type_name in (
        "FLOAT32",
        "FLOAT16",
        "INT8",
        "UINT8",
        "INT16",
        "INT32",
        "INT64",
        "LONG",
        "BOOL",
    ):
        array = GeneratedItems([InputSpec("x", (1, 64), type_name)], seed=0).feeds(0, 2)["x"]
        assert array.dtype == numpy_dtype(type_name) and len(np.unique(array)) > 1, type_name


def test_strings_and_scalars():
    feeds = GeneratedItems(
        [InputSpec("s", (1, 3), "STRING"), InputSpec("t", (), "FLOAT32")], seed=0
    ).feeds(0, 2)
    assert feeds["s"].shape == (2, 3) and feeds["s"].dtype.kind == "U"
    assert feeds["t"].shape == ()


def test_padding_mask_is_true_where_padded_and_never_everywhere():
    mask = GeneratedItems([InputSpec("src_pad_mask", (1, 128), "BOOL")], seed=0).feeds(0, 200)[
        "src_pad_mask"
    ]
    assert not mask.all(axis=1).any() and not mask[:, 0].any() and mask[:, -1].any()


def test_float_token_ids_are_whole_numbers_within_their_range():
    info = {
        "inputs": "input_segment:0,input_token:0",
        "input_type": "FLOAT32",
        "input_shape": {"input_segment:0": [1, 1024], "input_token:0": [1, 1024]},
        "input_range": {"input_token:0": [1, 12000]},
    }
    feeds = generated_feeds(info, 2)
    tokens = feeds["input_token:0"]
    assert (
        tokens.dtype == np.float32
        and (tokens == np.floor(tokens)).all()
        and 5000 < tokens.max() < 12000
    )
    assert set(np.unique(feeds["input_segment:0"])) == {0.0, 1.0}


def test_range_bounds_plain_values():
    low_high = GeneratedItems(
        [InputSpec("sample", (1, 1000), "FLOAT32", (-1.0, 1.0))], seed=0
    ).feeds(0, 1)["sample"]
    assert -1 <= low_high.min() < -0.9 and 0.9 < low_high.max() < 1
    whole = GeneratedItems([InputSpec("category", (26, 2), "INT64", (3, 7))], seed=0).feeds(0, 10)[
        "category"
    ]
    assert whole.shape == (260, 2) and set(np.unique(whole)) == {3, 4, 5, 6}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_type": "LONG,LONG"}, "2 types for the 3 inputs"),
        ({"input_shape": {"input_ids.1": [1, 384]}}, "no entry for the input 'attention_mask.1'"),
    ],
)
def test_specs_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        input_specs({**BERT, **change})


def test_specs_accept_typed_and_published_spellings():
    as_lists = {**BERT, "inputs": BERT["inputs"].split(","), "input_type": ["LONG"] * 3}
    as_mapping = {**BERT, "input_type": dict.fromkeys(BERT["inputs"].split(","), "LONG")}
    one_for_all = {**BERT, "input_type": "LONG"}
    assert (
        input_specs(BERT)
        == input_specs(as_lists)
        == input_specs(as_mapping)
        == input_specs(one_for_all)
    )
