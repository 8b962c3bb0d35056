"""The Adult model as a saved_model: what the committed folder says and computes, and that its
script wrote it.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest

from model_zoo.adult import train
from qs.tensors.saved_model import Tensor, read

FOLDER = train.HERE / "adult-widedeep-tf-fp32"
INPUTS = {
    "categorical": Tensor("serving_default_categorical:0", "int64", (None, 8)),
    "numeric": Tensor("serving_default_numeric:0", "float32", (None, 5)),
}


def test_what_the_committed_folder_says():
    found = read(FOLDER)
    assert list(found.signatures) == ["serving_default"]
    assert found.signatures["serving_default"].inputs == INPUTS
    assert list(found.signatures["serving_default"].outputs) == ["probability"]
    assert found.objects and "VarHandleOp" in found.operators
    files = {each.relative_to(FOLDER).as_posix(): each for each in FOLDER.rglob("*.*")}
    assert {"saved_model.pb", "variables/variables.index"} < set(files)
    assert sum(each.stat().st_size for each in files.values()) < 300_000
    paths = (b"site-packages", str(train.HERE).encode())
    assert not any(path in each.read_bytes() for each in files.values() for path in paths)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_its_answers_are_those_of_the_onnx_model_and_its_script_wrote_them(tmp_path):
    import onnxruntime

    tf = pytest.importorskip("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
    from model_zoo.adult import saved_model

    rng = np.random.default_rng(0)
    feeds = {
        "categorical": rng.integers(0, 100, (50, 8)),
        "numeric": rng.standard_normal((50, 5)).astype(np.float32),
    }
    session = onnxruntime.InferenceSession(str(train.MODEL), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, feeds)
    saved_model.write(saved_model.module_of(), tmp_path / "again")
    for folder in (FOLDER, tmp_path / "again"):
        function = tf.saved_model.load(str(folder)).signatures["serving_default"]
        answers = function(**{name: tf.constant(array) for name, array in feeds.items()})
        np.testing.assert_allclose(answers["probability"].numpy(), wanted, rtol=0, atol=1e-5)
