"""The size and cost of a network: its parameters, and the floating-point operations of one item.

Operations are those of convolutions and matrix products, all but a few percent of the total; a
multiply-add counts as two.
"""

from __future__ import annotations

import math

import onnx


def flops(model: onnx.ModelProto, batch: int = 1) -> int:
    """Operations at a batch size, from shapes inferred by ONNX; ValueError if one cannot be
    inferred.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == "batch":
                dimension.dim_value = batch
            elif "*batch" in dimension.dim_param:
                dimension.dim_value = batch * int(dimension.dim_param.split("*")[0])
    graph = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        shape = value.type.tensor_type.shape.dim
        if all(each.HasField("dim_value") for each in shape):
            shapes[value.name] = tuple(each.dim_value for each in shape)
    return 2 * sum(_multiply_adds(node, shapes) for node in graph.node)


def _multiply_adds(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type not in ("Conv", "MatMul", "Gemm"):
        return 0
    try:
        made, first, second = shapes[node.output[0]], shapes[node.input[0]], shapes[node.input[1]]
    except KeyError as missing:
        raise ValueError(
            f"the shape of {missing} at {node.op_type} {node.name} is not known"
        ) from None
    if node.op_type == "Conv":  # a filter has [out, in / groups, *kernel] weights
        return math.prod(made) * math.prod(second[1:])
    return math.prod(made) * first[-1]
