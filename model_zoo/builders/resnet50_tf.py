"""ResNet-50 v1.5 in TensorFlow's layout: images [batch, 224, 224, 3], 1001 classes of which the first is none.

The network is `resnet50.py`'s, after a transposition, as a converted saved model has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from .resnet50 import ResNetConfig, resnet_model


def resnet50_tf_model(seed: int, inputs: Sequence[str], outputs: Sequence[str], **sizes: object) -> onnx.ModelProto:
    config = ResNetConfig(**{"classes": 1001, **sizes})
    model = resnet_model(config, seed, "channels_first", outputs[0])
    shape = ["batch", config.image, config.image, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, shape))
    turned = helper.make_node("Transpose", [inputs[0]], ["channels_first"], name="channels_first", perm=[0, 3, 1, 2])
    model.graph.node.insert(0, turned)
    return model


def build_resnet50_tf(path: Path, seed: int, *, inputs: Sequence[str], outputs: Sequence[str], **sizes: object) -> None:
    model = resnet50_tf_model(seed, inputs, outputs, **sizes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
