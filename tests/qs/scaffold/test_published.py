"""What transformers writes beside a model, as the keys of a data set."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.scaffold.data.published import Preparation, class_names, preparation
from tests.qs.scaffold.tasks import checked, guesses, linear, new_task
from tests.qs.scaffold.test_task import of_colours, pictures

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
IMAGENET = {"image_mean": MEAN, "image_std": STD}
FILES = {  # the keys that matter, as models of these kinds have them
    "vit": (
        {"do_resize": True, "size": {"height": 224, "width": 224}, "resample": 2, **HALF},
        Preparation(1 / 255, (0.5,) * 3, (0.5,) * 3, "stretch", "bilinear", None, (224, 224)),
    ),
    "old vit": (
        {"do_resize": True, "size": 224, "resample": 2, "do_normalize": True, **HALF},
        Preparation(1 / 255, (0.5,) * 3, (0.5,) * 3, "stretch", "bilinear", None, (224, 224)),
    ),
    "clip": (
        {
            "crop_size": {"height": 224, "width": 224},
            "do_center_crop": True,
            "do_rescale": True,
            "rescale_factor": 0.00392156862745098,
            "resample": 3,
            "size": {"shortest_edge": 256},
            **IMAGENET,
        },
        Preparation(1 / 255, tuple(MEAN), tuple(STD), "crop:256", "bicubic", None, (224, 224)),
    ),
    "convnext": (
        {"crop_pct": 0.875, "size": {"shortest_edge": 224}, "resample": 3, **IMAGENET},
        Preparation(1 / 255, tuple(MEAN), tuple(STD), "crop:256", "bicubic", None, (224, 224)),
    ),
    "large convnext": (
        {"crop_pct": 1.0, "size": {"shortest_edge": 384}, **IMAGENET},
        Preparation(1 / 255, tuple(MEAN), tuple(STD), "stretch", None, None, (384, 384)),
    ),
    "mobilevit": (
        {
            "do_center_crop": True,
            "crop_size": 256,
            "size": 288,
            "do_flip_channel_order": True,
            "do_rescale": True,
        },
        Preparation(1 / 255, (0.0,), (1.0,), "crop:288", None, "BGR", (256, 256)),
    ),
    "nothing": ({}, Preparation(1.0, (0.0,), (1.0,), None, None, None, None)),
}


@pytest.mark.parametrize("name", FILES)
def test_preparations_by_table(tmp_path, name):
    raw, right = FILES[name]
    (tmp_path / "p.json").write_text(json.dumps(raw))
    assert preparation(tmp_path / "p.json") == right


@pytest.mark.parametrize(
    "text", ["[]", '{"image_mean": "x", "image_std": 1}', '{"size": {"height": 3}}', '{"size": []}']
)
def test_files_that_are_no_preparation(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match="state --scale, --mean, --std"):
        preparation(tmp_path / "p.json")


def test_what_lies_beside_the_model_is_used_and_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = of_colours(tmp_path / "model" / "m.onnx", ("N", 3, "h", "w"))
    raw = {"do_resize": True, "size": {"height": 8, "width": 8}, "resample": 3, **HALF}
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(raw))
    order = {"id2label": {"0": "blue", "1": "green", "2": "red", "3": "black"}}
    (tmp_path / "model" / "config.json").write_text(json.dumps(order))
    folder = pictures(tmp_path / "val", size=(20, 10))
    written = new_task(tmp_path / "ws", model, folder)
    said = guesses(written)
    assert "pictures are prepared as preprocessor_config.json says: --preprocessor" in said
    assert "the classes are numbered as config.json has them: --classes" in said
    text = (tmp_path / "ws/datasets/mine/data_loader.py").read_text()
    for line in (
        'RESIZE = "stretch"',
        'INTERPOLATION = "bicubic"',
        "MEAN = [0.5, 0.5, 0.5]",
        'CLASSES = ["blue", "green", "red", "black"]',
    ):
        assert line in text
    info = json.loads((tmp_path / "ws/model_zoo/mine.json").read_text())
    assert info["input_shape"] == {"image": [1, 3, 8, 8]}
    assert checked(tmp_path / "ws")["items"]["reason"].startswith("the first 8 items: image from -")


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "no JSON", '{"id2label": {"1": "a"}}', '{"id2label": {"0": "a", "1": "a"}}'],
)
def test_a_config_of_something_else_names_no_classes(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert class_names(tmp_path / "m.onnx") is None


def test_classes_whose_names_are_numbers_in_another_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = linear(tmp_path / "m.onnx", np.eye(3))
    np.savez(tmp_path / "v.npz", x=np.eye(3), labels=[30, 10, 20])
    new_task(tmp_path / "ws", model, tmp_path / "v.npz", classes="30,10,20", metrics=["top1"])
    assert checked(tmp_path / "ws")["metric"]["reason"].startswith("Top-1 1 [")
