"""A data set's feeds arrive in the model info's order and types, whatever its dict is like."""

from __future__ import annotations

import numpy as np
import pytest

from qs.inside import samples
from qs.inside.stated_feeds import as_stated

INT32, INT64, FLOAT32 = np.dtype("int32"), np.dtype("int64"), np.dtype("float32")


def test_the_order_is_the_model_infos_and_nothing_is_lost():
    feeds = {"more": np.zeros(1), "b": np.ones(2, INT64), "a": np.zeros(2, FLOAT32)}
    found = as_stated(feeds, {"a": FLOAT32, "missing": INT64, "b": INT64})
    assert list(found) == ["a", "b", "more"]
    assert all(found[name] is feeds[name] for name in feeds)
    assert as_stated(found, {"a": FLOAT32, "b": INT64}) is found  # nothing to change


@pytest.mark.parametrize(
    ("given", "stated", "became"),
    [
        (np.array([1, 2], INT64), INT32, INT32),
        (np.array([1, 2], INT32), INT64, INT64),
        (np.array([1, 2], np.uint8), INT64, INT64),
        (np.array([1 << 40], INT64), INT32, INT64),  # does not fit
        (np.array([-1], INT64), np.dtype("uint8"), INT64),
        (np.array([], INT64), INT32, INT32),
        (np.array([0.5]), FLOAT32, FLOAT32),
        (np.array([0.5]), INT32, np.dtype("float64")),  # whoever computes says so
        (np.array([1], INT64), FLOAT32, INT64),
        (np.array(["a"]), FLOAT32, np.dtype("<U1")),
    ],
)
def test_types_are_those_stated_where_the_values_fit(given, stated, became):
    found = as_stated({"x": given}, {"x": stated})["x"]
    assert found.dtype == became
    np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("sample", [None, [1, 2], np.zeros(2)])
def test_what_is_no_feeds_is_left(sample):
    assert as_stated(sample, {"x": INT32}) is sample


LOADER = """
import numpy as np
from qs.contract.data_loader import Dataset


class DataLoader(Dataset):
    def __init__(self, config):
        super().__init__(config)
        self.items = 4

    def preprocess(self):
        pass

    def rebatch(self, new_bs, skip=True):
        self.cur_bs, self.batch_num = new_bs, 4 // new_bs

    def get_samples(self, at):
        ids = np.arange(self.cur_bs * 3).reshape(self.cur_bs, 3)
        return {"mask": ids > 0, "ids": ids}, [at] * self.cur_bs
"""


def test_all_ways_to_a_data_sets_feeds(tmp_path):
    folder = tmp_path / "datasets" / "own"
    folder.mkdir(parents=True)
    (folder / "data_loader.py").write_text(LOADER)
    info = {
        "inputs": "ids,mask",
        "input_shape": {"ids": [1, 3], "mask": [1, 3]},
        "input_type": "INT32,BOOL",
        "dataset_name": "own",
    }
    data = samples.open_data(info, str(folder), False, 0)
    (one, *_), (many, *_) = samples.single_items(data, 2), samples.batches(data, 2)
    feeds, labels = data.dataset.get_samples(0)  # as a vendor's benchmark() and a checker do
    for each in (one, many, feeds):
        assert list(each) == ["ids", "mask"]
        assert each["ids"].dtype == np.int32 and each["mask"].dtype == np.bool_
    assert labels == [0, 0]
