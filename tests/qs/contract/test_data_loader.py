from __future__ import annotations

import numpy as np
import pytest

from qs import Dataset
from qs.contract.data_loader import INPUT_TYPE

BERT = {"input_ids.1": [1, 384], "attention_mask.1": [1, 384], "token_type_ids.1": [1, 384]}


def test_a_new_data_set_is_empty() -> None:
    dataset = Dataset({"model": "m"})
    assert dataset.config == {"model": "m"}
    assert (dataset.cur_bs, dataset.get_item_count(), dataset.get_batch_count()) == (1, 0, 0)
    assert dataset.preprocess() is None
    with pytest.raises(ValueError, match="there is no batch 0, only 0 batches"):
        dataset.get_samples(0)


@pytest.mark.parametrize(
    ("method", "arguments"), [("name", ()), ("rebatch", (4,)), ("get_id", (0,))]
)
def test_what_a_data_set_has_to_write_says_its_name(method: str, arguments: tuple) -> None:
    with pytest.raises(NotImplementedError, match=f"Dataset:{method}"):
        getattr(Dataset({}), method)(*arguments)


def test_samples_come_with_labels_where_there_are_any() -> None:
    dataset = Dataset({})
    dataset.batched_data = [{"x": 1}, {"x": 2}]
    assert dataset.get_samples(1) == {"x": 2}
    dataset.labels = ["a", "b"]
    assert dataset.get_samples(1) == ({"x": 2}, "b")
    for outside in (-1, 2):
        with pytest.raises(ValueError, match="only 2 batches"):
            dataset.get_samples(outside)


def test_long_is_64_bits_on_every_platform() -> None:
    assert INPUT_TYPE["LONG"] is np.int64


@pytest.mark.parametrize("types", ["LONG", ["LONG"], "LONG,LONG,LONG", ["LONG", "LONG", "LONG"]])
def test_generated_text_is_text(types: object) -> None:
    feeds = Dataset({}).get_fake_samples(8, BERT, types)
    ids, mask, segments = (feeds[name] for name in BERT)
    assert {array.shape for array in feeds.values()} == {(8, 384)}
    assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}
    assert len(np.unique(ids)) > 300
    assert set(np.unique(mask)) == {0, 1}
    assert set(np.unique(segments)) <= {0, 1}
    assert len(set(mask.sum(axis=1).tolist())) > 1, "masks are ragged"
    assert mask.sum(axis=1).min() > 0
    assert np.all(np.diff(mask, axis=1) <= 0), "text first, then padding"


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("a", [26, 2], "INT64"),
        ("ids", [100, 77], "LONG"),
        ("image", [1, 3, 8, 8], "FLOAT32"),
        ("pixels", [1, 4], "UINT8"),
        ("src_pad_mask", [1, 128], "BOOL"),
        ("half", [1, 4], "FLOAT16"),
        ("t", [1], "INT64"),
        ("attention_mask", [1, 16], "INT32"),
    ],
)
def test_the_batch_multiplies_the_first_side_and_nothing_is_all_zeros(
    name: str, shape: list[int], kind: str
) -> None:
    feeds = Dataset({}).get_fake_samples(16, {name: shape}, [kind])
    assert feeds[name].shape == (16 * shape[0], *shape[1:])
    assert feeds[name].dtype == INPUT_TYPE[kind]
    assert np.any(feeds[name])


def test_the_seed_decides_and_the_models_range_is_kept() -> None:
    def feeds(seed: int) -> np.ndarray:
        dataset = Dataset({"input_range": {"x": [-2, -1]}})
        dataset.fake_seed = seed
        return dataset.get_fake_samples(4, {"x": [1, 100]}, "FLOAT32")["x"]

    assert np.array_equal(feeds(0), feeds(0))
    assert not np.array_equal(feeds(0), feeds(1))
    assert feeds(0).min() >= -2
    assert feeds(0).max() <= -1


@pytest.mark.parametrize(
    ("batch_size", "shape", "types", "message"),
    [
        (1, {"x": [1, 2]}, [], "input_type is empty"),
        (1, {"x": [1, 2]}, None, "input_type is empty"),
        (1, {"x": [1, 2]}, ["FLOAT23"], "FLOAT23"),
        (1, {"x": [1], "y": [1], "z": [1]}, ["LONG", "LONG"], "2 types"),
        (0, {"x": [1, 2]}, ["LONG"], "the batch size is 0"),
        (1, {"x": [-1, 2]}, ["LONG"], "the shape of 'x'"),
        (1, {"x": [None, 2]}, ["LONG"], "the shape of 'x'"),
    ],
)
def test_what_cannot_be_generated_says_why(
    batch_size: int, shape: dict, types: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Dataset({}).get_fake_samples(batch_size, shape, types)
