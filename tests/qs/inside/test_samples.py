from __future__ import annotations

import numpy as np
import pytest

from qs.inside import samples
from qs.inside.samples import GeneratedDataset, open_data

IMAGES = {
    "inputs": "x",
    "input_shape": {"x": [1, 3, 64, 64]},
    "input_type": "FLOAT32",
    "dataset_name": None,
}


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(samples, "MOST_BYTES", 10 * 3 * 64 * 64 * 4)
    data = open_data(IMAGES, None, False, 0)
    assert len(samples.batches(data, 1)) == 10
    assert len(samples.batches(data, 4)) == 2
    assert len(samples.batches(data, 64)) == 1, "one batch has to be, however large"


def test_generated_batches_and_items_are_the_same_items():
    data = open_data(IMAGES, None, False, 3)
    whole = samples.batches(data, 4, most=2)
    singles = samples.single_items(data, 8)
    np.testing.assert_array_equal(samples.joined(whole)["x"], samples.joined(singles)["x"])
    data.dataset.rebatch(4)
    np.testing.assert_array_equal(data.dataset.get_samples(1)["x"], whole[1]["x"])


def test_a_seed_of_the_samples_own():
    data = open_data(IMAGES, None, False, 3)
    (usual,), (other,) = samples.batches(data, 1, 1), samples.batches(data, 1, 1, seed=4)
    assert not np.array_equal(usual["x"], other["x"])


def test_generated_data_set_behaves_like_one():
    dataset = GeneratedDataset(IMAGES, seed=0)
    assert dataset.get_item_count() == 64
    for size, count in ((1, 64), (24, 2), (100, 1)):
        dataset.rebatch(size)
        assert (dataset.cur_bs, dataset.get_batch_count(), len(dataset.batched_data)) == (
            size,
            count,
            count,
        )
        assert dataset.get_samples(count - 1)["x"].shape == (size, 3, 64, 64)
        assert dataset.get_id(count - 1)[-1] == size * count - 1
        with pytest.raises(ValueError, match=f"only {count} batches"):
            dataset.get_samples(count)
    assert len(dataset.batched_data[0:1]) == 1
    with pytest.raises(IndexError):
        dataset.batched_data[1]
    fake = dataset.get_fake_samples(2, {"x": [1, 3]}, ["FLOAT32"])
    assert fake["x"].shape == (2, 3)


def test_rows_that_belong_together_stay_together():
    """[26, 2] per item: batch 3 has 78 rows, and item 1 is rows 26 to 52."""
    info = {
        "inputs": "c",
        "input_shape": {"c": [26, 2]},
        "input_type": "INT64",
        "dataset_name": None,
    }
    data = open_data(info, None, False, 0)
    (batch,) = samples.batches(data, 3, 1)
    assert batch["c"].shape == (78, 2)
    np.testing.assert_array_equal(batch["c"][26:52], samples.single_items(data, 2)[1]["c"])
