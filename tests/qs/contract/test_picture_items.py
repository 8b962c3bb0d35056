"""Pictures become what the keys say: size, layout, order of channels, mean and deviation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from qs.base.errors import UserError
from qs.contract import PictureItems
from qs.contract.array_items import normalised
from qs.contract.picture_items import resized
from qs.contract.pictures import resized_and_cropped


def info(shape, kind="FLOAT32"):
    return {"inputs": "x", "input_shape": {"x": shape}, "input_type": kind}


def made(folder, model_info, **stated):
    (folder / "a").mkdir(exist_ok=True)
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, :2], pixels[:, 2:] = (255, 0, 0), (0, 0, 51)
    Image.fromarray(pixels).save(folder / "a" / "0.png")
    found = type("DataLoader", (PictureItems,), {"DATA": ".", "FOLDER": folder, **stated})(
        model_info
    )
    found.preprocess()
    return found


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (301, 257)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_cropping_is_that_of_the_data_sets_that_ship(size, method):
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 255, (size[1], size[0], 3), np.uint8))
    ours = np.asarray(resized(picture, (224, 224), "crop:256", method))
    assert (ours == resized_and_cropped(picture, 256, 224, method == "bicubic")).all()


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("stretch", [255, 255, 0, 0]),  # of red, in the middle of [4, 4]
        ("crop", [255, 255, 0, 0]),
        ("pad", [255, 255, 0, 0]),
    ],
)
def test_rules_of_size(rule, row):
    picture = Image.fromarray(np.array([[[255, 0, 0]] * 4 + [[0, 0, 255]] * 4] * 4, dtype=np.uint8))
    found = np.asarray(resized(picture, (4, 4), rule, "nearest"))
    assert found.shape == (4, 4, 3)
    assert found[2, :, 0].tolist() == row
    edge = found[0].sum()
    assert edge == 0 if rule == "pad" else edge > 0


@pytest.mark.parametrize(
    ("shape", "stated", "first", "last"),
    [
        ([1, 3, 2, 4], {}, [1, 0, 0], [0, 0, 0.2]),
        ([1, 2, 4, 3], {"LAYOUT": "NHWC"}, [1, 0, 0], [0, 0, 0.2]),
        ([1, 3, 2, 4], {"CHANNELS": "BGR"}, [0, 0, 1], [0.2, 0, 0]),
        ([1, 3, 2, 4], {"MEAN": [0.5, 0, 0.1], "STD": [0.5, 1, 0.1]}, [1, 0, -1], [-1, 0, 1]),
        ([1, 3, 2, 4], {"SCALE": 1.0}, [255, 0, 0], [0, 0, 51]),
        ([3, 2, 4], {}, [1, 0, 0], [0, 0, 0.2]),
    ],
)
def test_channels_and_values(tmp_path, shape, stated, first, last):
    model = info(shape)
    if len(shape) == 3:
        model["input_batch_axis"] = {"x": None}
    found = made(tmp_path, model, **stated)
    array = found.feeds([0])["x"]
    assert array.dtype == np.float32 and list(array.shape) == shape
    array = array.reshape(shape[-3:])
    if stated.get("LAYOUT") != "NHWC":
        array = array.transpose(1, 2, 0)
    assert array[0, 0].tolist() == pytest.approx(first, abs=1e-6)
    assert array[1, 3].tolist() == pytest.approx(last, abs=1e-6)


def test_a_batch_along_another_dimension_grey_and_bytes(tmp_path):
    model = info([3, 1, 2, 4], "UINT8") | {"input_batch_axis": {"x": 1}}
    found = made(tmp_path, model, SCALE=1.0)
    assert found.feeds([0, 0])["x"].shape == (3, 2, 2, 4)
    grey = made(tmp_path, info([1, 8]), CHANNELS="L", SIZE=(2, 4))
    assert grey.feeds([0])["x"].shape == (1, 8)
    with pytest.raises(UserError, match="with fractions"):
        made(tmp_path, info([1, 3, 2, 4], "UINT8"), SCALE=1 / 255).feeds([0])


@pytest.mark.parametrize(
    ("shape", "stated", "words"),
    [
        ([1, 3, 2, 4], {"LAYOUT": "NHWC"}, "state LAYOUT, CHANNELS or SIZE"),
        ([1, 3, 2, 4], {"CHANNELS": "L"}, "no L pictures"),
        ([1, 9], {}, "state LAYOUT"),
        ([1, 3, 2, 4], {"LAYOUT": "NHCW"}, "did you mean 'NHWC'"),
        ([1, 3, 2, 4], {"RESIZE": "crop:x"}, "allowed: stretch, crop, pad, crop:256"),
        ([1, 3, 2, 4], {"RESIZE": "pad:3"}, "allowed: stretch, crop, pad, crop:256"),
        ([1, 3, 2, 4], {"DATA": "none"}, "is missing (DATA in"),
        ([1, 3, 2, 4], {"LABELS": "none.csv"}, "is missing (LABELS in"),
        ([1, 3, 2, 4], {"CLASSES": ["b", "b"]}, "b occurs twice"),
        ([1, 3, 2, 4], {"CLASSES": ["b"]}, "none of the 1 classes b"),
    ],
)
def test_keys_that_do_not_fit(tmp_path, shape, stated, words):
    with pytest.raises(UserError) as raised:
        made(tmp_path, info(shape), **stated)
    assert words in str(raised.value)


def test_means_of_channels_are_those_of_the_dimension_that_has_as_many():
    ones = np.ones((2, 3, 5, 3), np.uint8)
    assert normalised(ones, 1.0, 0.0, 1.0) is ones
    first = normalised(ones, 1.0, [1, 2, 3], 1.0)
    assert first[0, :, 0, 0].tolist() == [0, -1, -2]
    last = normalised(ones[:, :2], 1.0, [1, 2, 3], 1.0)
    assert last[0, 0, 0].tolist() == [0, -1, -2]
    with pytest.raises(UserError, match="has 4 numbers"):
        normalised(ones, 1.0, [1, 2, 3, 4], 1.0)
