"""ONNX's operators by TensorFlow's: normalizations, convolutions and pooling of images.

Left out: groups, dilated pooling, and other numbers of dimensions than two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qs.inside.saved_model.operators import Last
from qs.inside.saved_model.values import Build, Operation, Values, unsupported


def _layer_norm(v: Values, node: Operation) -> Any:
    if len([each for each in node.outputs if each is not None]) > 1:
        raise unsupported(node, "its mean and deviation are asked for")
    x = v.tensor(node)
    axis = int(node.attributes.get("axis", -1))
    axes = list(range(axis % x.shape.rank, x.shape.rank))
    mean = v.tf.reduce_mean(x, axis=axes, keepdims=True)
    around = x - mean
    variance = v.tf.reduce_mean(v.tf.square(around), axis=axes, keepdims=True)
    eps = float(node.attributes.get("epsilon", 1e-5))
    normal = around * v.tf.math.rsqrt(variance + eps) * v.tensor(node, 1)
    return normal if node.given(2) is None else normal + v.tensor(node, 2)


def _batch_norm(v: Values, node: Operation) -> Any:
    if node.attributes.get("training_mode"):
        raise unsupported(node, "it is in training mode")
    if v.is_last(node) or v.tensor(node).shape.rank == 4:
        parts = dict(zip(("scale", "offset", "mean", "variance"), range(1, 5), strict=True))
        normal = v.tf.raw_ops.FusedBatchNormV3(
            x=v.last(node),
            **{name: v.tensor(node, at) for name, at in parts.items()},
            epsilon=float(node.attributes.get("epsilon", 1e-5)),
            is_training=False,
        )
        return Last(normal.y)
    raise unsupported(node, "its input is no batch of images")


def _conv(v: Values, node: Operation) -> Any:
    weights = v.array(node, 1)
    if weights is None or weights.ndim != 4:
        raise unsupported(node, "its weights are no constant of four dimensions")
    if int(node.attributes.get("group", 1)) != 1:
        raise unsupported(node, f"it has {node.attributes['group']} groups")
    made = v.tf.nn.conv2d(
        v.last(node),
        v.changed(node, 1, "last", lambda array: array.transpose(2, 3, 1, 0)),
        strides=_pair(node, "strides"),
        padding=_around(node),
        dilations=_pair(node, "dilations"),
    )
    if node.given(2) is not None:
        made = v.tf.nn.bias_add(made, v.tensor(node, 2))
    return Last(made)


def _max_pool(v: Values, node: Operation) -> Any:
    _check_pooling(node)
    x, around = v.last(node), _around(node)
    if around != _NO_PADDING:
        x = v.tf.pad(x, around, constant_values=x.dtype.min)
    kernel = node.attributes.get("kernel_shape")
    return Last(v.tf.nn.max_pool2d(x, kernel, _pair(node, "strides"), "VALID"))


def _average_pool(v: Values, node: Operation) -> Any:
    _check_pooling(node)
    if _around(node) != _NO_PADDING:
        raise unsupported(node, "it pads")
    kernel = node.attributes.get("kernel_shape")
    return Last(v.tf.nn.avg_pool2d(v.last(node), kernel, _pair(node, "strides"), "VALID"))


def _global_average(v: Values, node: Operation) -> Any:
    return Last(v.tf.reduce_mean(v.last(node), axis=[1, 2], keepdims=True))


def _check_pooling(node: Operation) -> None:
    if node.attributes.get("ceil_mode") or _pair(node, "dilations") != [1, 1]:
        raise unsupported(node, "it rounds up, or is dilated")
    if len([each for each in node.outputs if each is not None]) > 1:
        raise unsupported(node, "the places of its maxima are asked for")


_NO_PADDING = [[0, 0]] * 4


def _around(node: Operation) -> list[list[int]]:
    """The padding of each dimension, channels last: before and after."""
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise unsupported(node, f"it pads by itself ({node.attributes['auto_pad']})")
    top, left, bottom, right = (int(each) for each in node.attributes.get("pads", [0] * 4))
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def _pair(node: Operation, name: str) -> list[int]:
    found = np.asarray(node.attributes.get(name, [1, 1]))
    if found.shape != (2,):
        raise unsupported(node, f"its {name} are not of two dimensions")
    return [int(each) for each in found]


LAYERS: dict[str, Build] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "GlobalAveragePool": _global_average,
    "LayerNormalization": _layer_norm,
    "MaxPool": _max_pool,
}
