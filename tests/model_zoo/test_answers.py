"""What seeded networks answer: finite, spread, and different for different items, else agreement
would prove nothing.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from qs.tensors.generated import generated_feeds
from tests.model_zoo import zoo


def answers(name, file, **sizes):
    info, entry = zoo.info(name), zoo.source(name)
    module, _, function = entry["builder"].removeprefix("builders/").partition(".py:")
    getattr(zoo.builder(module), function)(file, 0, **entry["kwargs"], **sizes)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    file.unlink()
    feeds = generated_feeds(info, 2)
    return (
        session,
        feeds,
        dict(zip(info["outputs"].split(","), session.run(None, feeds), strict=True)),
    )


# task: the least deviation between items, the largest value
SPREAD = {
    "widedeep-tf-fp32": (0.02, 1),
    "yolov5-onnx-fp32": (0.3, 5000),
    "conformer-encoder-onnx-fp32": (0.1, 50),
    "albert-torch-fp32": (0.1, 20),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPREAD)
def test_answers_are_finite_and_tell_items_apart(name, tmp_path):
    session, feeds, made = answers(name, tmp_path / "m.onnx")
    least, largest = SPREAD[name]
    for output, value in made.items():
        assert np.isfinite(value).all() and np.abs(value).max() <= largest, output
        assert np.std(value[0] - value[1]) > least, output


@pytest.mark.slow
def test_what_a_conformer_is_given_at_padding_does_not_matter(tmp_path):
    """Columns of padding are mixed by the two convolutions before, so the last one is left its
    own.
    """
    session, feeds, made = answers("conformer-encoder-onnx-fp32", tmp_path / "m.onnx")
    padding = feeds["src_pad_mask"]
    assert padding.any()
    other = feeds["src"].copy()
    for item, row in enumerate(padding):
        other[item, :, :, 4 * int((~row).sum()) + 4 :] = 0.7
    (changed,) = session.run(None, feeds | {"src": other})
    np.testing.assert_allclose(changed[~padding], made["memory"][~padding], rtol=0, atol=1e-4)
    (unmasked,) = session.run(None, feeds | {"src_pad_mask": np.zeros_like(padding)})
    assert np.abs(unmasked[~padding] - made["memory"][~padding]).max() > 1e-2
