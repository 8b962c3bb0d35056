"""A model file's name in reports: what the file is called, or what tells it from another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.artifact.model_info import name_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/z/resnet50.onnx", "resnet50"),
        ("/z/yolov8n.onnx", "yolov8n"),
        ("/z/bert base.onnx", "bert-base"),
        ("/z/A/model.onnx", "A-model"),
        ("/z/A/onnx/model.onnx", "A-model"),
        ("/z/A/onnx/model_quantized.onnx", "A-model_quantized"),
        ("/z/A/onnx/decoder_model_merged_int8.onnx", "A-decoder_model_merged_int8"),
        ("/z/A/fp16/opset17/1/network.pt", "A-network"),
        ("/z/A/saved_model", "A-saved_model"),
        (
            "/c/models--org--bert/snapshots/0123456789abcdef0123456789abcdef01234567/onnx/model.onnx",
            "org--bert-model",
        ),
        ("/model.onnx", "model"),
        ("/onnx/model.onnx", "onnx-model"),
    ],
)
def test_a_name_says_which_model_it_is(path, name):
    assert name_of(Path(path)) == name
