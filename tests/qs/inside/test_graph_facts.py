"""What the weights of a graph say about its inputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from qs.inside.graph_facts import facts_of


def facts(nodes, inputs, weights):
    return facts_of(
        h.make_graph(
            nodes,
            "g",
            [h.make_tensor_value_info(*each) for each in inputs],
            [h.make_tensor_value_info("y", T.FLOAT, None)],
            [
                onnx.numpy_helper.from_array(np.ones(shape, np.float32), name)
                for name, shape in weights.items()
            ],
        )
    )


IMAGE = ("x", T.FLOAT, ["N", "C", "H", "W"])
IDS = ("x", T.INT64, ["N", "S"])


@pytest.mark.parametrize(
    ("nodes", "given", "weights", "sizes"),
    [
        ([h.make_node("Conv", ["x", "w"], ["y"])], IMAGE, {"w": (8, 4, 3, 3)}, {1: 4}),
        ([h.make_node("Conv", ["x", "w"], ["y"], group=2)], IMAGE, {"w": (8, 4, 3, 3)}, {1: 8}),
        ([h.make_node("ConvTranspose", ["x", "w"], ["y"])], IMAGE, {"w": (5, 4, 3, 3)}, {1: 5}),
        (
            [
                h.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
                h.make_node("Cast", ["t"], ["c"], to=T.FLOAT),
                h.make_node("Sub", ["c", "mean"], ["s"]),
                h.make_node("Conv", ["s", "w"], ["y"]),
            ],
            IMAGE,
            {"w": (8, 1, 3, 3), "mean": (1,)},
            {3: 1},
        ),
        (
            [
                h.make_node("DequantizeLinear", ["w", "scale"], ["d"]),
                h.make_node("Conv", ["x", "d"], ["y"]),
            ],
            IMAGE,
            {"w": (8, 3, 3, 3), "scale": ()},
            {1: 3},
        ),
        ([h.make_node("MatMul", ["x", "w"], ["y"])], IDS, {"w": (20, 3)}, {1: 20}),
        ([h.make_node("Gemm", ["x", "w"], ["y"], transB=1)], IDS, {"w": (3, 20)}, {1: 20}),
        (
            [h.make_node("GRU", ["x", "w", "r"], ["y"])],
            ("x", T.FLOAT, ["T", "N", "F"]),
            {"w": (1, 9, 40), "r": (1, 9, 3)},
            {2: 40},
        ),
        ([h.make_node("Conv", ["x", "w"], ["y"])], IMAGE, {}, {}),
        (
            [h.make_node("Reshape", ["x", "s"], ["r"]), h.make_node("Conv", ["r", "w"], ["y"])],
            IMAGE,
            {"w": (8, 4, 3, 3), "s": (4,)},
            {},
        ),
    ],
)
def test_sizes_that_weights_need(nodes, given, weights, sizes):
    assert facts(nodes, [given], weights).sizes == {("x", at): size for at, size in sizes.items()}


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        ([h.make_node("Gather", ["w", "x"], ["y"])], 7),
        ([h.make_node("Gather", ["w", "x"], ["y"], axis=1)], 4),
        (
            [
                h.make_node("Cast", ["x"], ["c"], to=T.INT32),
                h.make_node("Gather", ["w", "c"], ["y"]),
            ],
            7,
        ),
        ([h.make_node("Add", ["x", "w"], ["c"]), h.make_node("Gather", ["w", "c"], ["y"])], None),
        ([h.make_node("Gather", ["x", "w"], ["y"])], None),
    ],
)
def test_rows_of_a_table(nodes, rows):
    assert facts(nodes, [IDS], {"w": (7, 4)}).tables.get("x") == rows


def test_inputs_without_a_shape_are_no_scalars():
    found = facts([], [("x", T.FLOAT, None), ("scale", T.FLOAT, [])], {})
    assert found.unranked == {"x"}
