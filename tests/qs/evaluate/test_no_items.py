"""A data set of no items: one message that names it, whatever was asked of it, and no number."""

from __future__ import annotations

import pytest

from qs.base.errors import NoItems
from qs.inside.reference import ReferenceService
from qs.inside.samples import open_data
from tests.qs.program import qs
from tests.qs.small_backend import arguments, write

LOADER = """
import numpy as np
from general_perf.datasets import data_loader

class DataLoader(data_loader.Dataset):
    def name(self):
        return "digits"

    def preprocess(self):
        self.items = {items}
        self.rebatch(1, skip=False)

    def rebatch(self, new_bs, skip=True):
        self.cur_bs, self.batch_num = new_bs, {there} // new_bs

    def get_samples(self, sample_id):
        if sample_id >= self.batch_num:
            raise IndexError(sample_id)
        return {{"x": np.ones((self.cur_bs, 4), np.float32)}}, np.zeros(self.cur_bs)
"""
CHECKER = """
from general_perf.datasets import test_accuracy

class AccuracyChecker(test_accuracy.AccuracyChecker):
    def calculate_acc(self, data_percent):
        raise AssertionError("there is nothing to score")
"""
INFO = {
    "inputs": "x",
    "input_shape": {"x": [1, 4]},
    "input_type": "FLOAT32",
    "dataset_name": "digits",
}


def data_set(root, items, there):
    folder = root / "datasets" / "digits"  # in place of the one that ships
    folder.mkdir(parents=True)
    (folder / "data_loader.py").write_text(LOADER.format(items=items, there=there))
    (folder / "test_accuracy.py").write_text(CHECKER)
    return folder


@pytest.mark.parametrize("items", ["0", "None", "-1"])
def test_it_is_refused_by_name_where_it_is_opened(tmp_path, items):
    folder = str(data_set(tmp_path, items, 0))
    with pytest.raises(NoItems, match="the data set digits has no items .*allowed: at least 1"):
        open_data(INFO, folder, False, 0)
    with pytest.raises(NoItems, match="the data set digits has no items"):
        ReferenceService().reference_outputs("m.onnx", INFO, folder, False, 0, 4, "r.npz")
    assert open_data(INFO, folder, True, 0).kind == "generated", "fake data needs none"


def test_one_that_counts_batches_alone_has_as_many(tmp_path):
    assert open_data(INFO, str(data_set(tmp_path, 0, 3)), False, 0).items == 3


@pytest.mark.parametrize("verb", ["run", "numeric", "check"])
def test_every_command_refuses_it_in_one_message(tmp_path, verb):
    root = write(tmp_path, test_accuracy=True, test_numeric=True)
    data_set(root, 0, 0)
    line = arguments(root, verb)
    if verb == "check":
        at = line.index("--out")
        del line[at : at + 2]
    ran = qs(*line, cwd=root)
    assert ran.returncode == 2, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    errors = [text for text in ran.stderr.splitlines() if text.startswith("error:")]
    assert len(errors) == 1
    assert "the data set digits has no items" in errors[0]
    assert str(root / "datasets" / "digits") in errors[0]
