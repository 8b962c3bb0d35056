"""Small ONNX graphs with the properties of models of other people's making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h


def save(path: Path, nodes, inputs, outputs, weights=()) -> Path:
    graph = h.make_graph(
        list(nodes),
        "g",
        [h.make_tensor_value_info(*each) for each in inputs],
        [h.make_tensor_value_info(*each) for each in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def recurrent(path: Path) -> Path:
    """A cumulative sum: `state` is what `stateN` was; `sr` is a scalar that must be 16000, else a
    division by zero of int64.
    """
    return save(
        path,
        [
            h.make_node("ReduceSum", ["input", "one"], ["sum"], keepdims=1),
            h.make_node("Unsqueeze", ["sum", "zero"], ["column"]),
            h.make_node("Add", ["state", "column"], ["stateN"]),
            h.make_node("Cast", ["sr"], ["rate"], to=T.FLOAT),
            h.make_node("Div", ["sum", "rate"], ["output"]),
        ],
        [("input", T.FLOAT, [None, None]), ("state", T.FLOAT, [1, None, 1]), ("sr", T.INT64, [])],
        [("output", T.FLOAT, [None, 1]), ("stateN", T.FLOAT, [1, None, 1])],
        [("one", np.array([1], np.int64)), ("zero", np.array([0], np.int64))],
    )


def needs_multiple_of(path: Path, side: int) -> Path:
    """Accepts images of exactly this side, and says so in no shape: a reshape fails for all
    others.
    """
    return save(
        path,
        [
            h.make_node("Reshape", ["x", "flat"], ["row"]),
            h.make_node("MatMul", ["row", "w"], ["y"]),
        ],
        [("x", T.FLOAT, ["N", 3, "H", "W"])],
        [("y", T.FLOAT, ["N", 2])],
        [
            ("flat", np.array([0, 3 * side * side], np.int64)),
            ("w", np.ones((3 * side * side, 2), np.float32)),
        ],
    )


def never_runs(path: Path) -> Path:
    """No shape of x fits: 7919 is prime, and no guess."""
    return save(
        path,
        [h.make_node("Reshape", ["x", "flat"], ["row"])],
        [("x", T.FLOAT, ["N", "L"])],
        [("row", T.FLOAT, [None, 7919])],
        [("flat", np.array([0, 7919], np.int64))],
    )


def of_all_types(path: Path) -> Path:
    """Strings, float16, booleans, int64 and a scalar, each passed through."""
    kinds = {
        "text": (T.STRING, ["B", 1]),
        "half": (T.FLOAT16, ["B", 4]),
        "flag": (T.BOOL, ["B", 2]),
        "ids": (T.INT64, ["B", "seq"]),
        "scale": (T.FLOAT, []),
    }
    nodes = [h.make_node("Identity", [name], [f"{name}_out"]) for name in kinds]
    inputs = [(name, kind, shape) for name, (kind, shape) in kinds.items()]
    return save(
        path, nodes, inputs, [(f"{name}_out", kind, shape) for name, (kind, shape) in kinds.items()]
    )


def fixed_to_batch(path: Path, size: int) -> Path:
    return save(
        path,
        [h.make_node("Identity", ["x"], ["y"])],
        [("x", T.FLOAT, [size, 5])],
        [("y", T.FLOAT, [size, 5])],
    )


def table(path: Path, rows: int, shape=("N", "S"), name: str = "ids", kind=T.INT64) -> Path:
    """Rows of a table: it fails for ids that are not below `rows`, as an embedding does."""
    return save(
        path,
        [
            h.make_node("Cast", [name], ["at"], to=T.INT64),
            h.make_node("Gather", ["table", "at"], ["y"]),
        ],
        [(name, kind, list(shape))],
        [("y", T.FLOAT, [*shape, 2])],
        [("table", np.arange(2 * rows, dtype=np.float32).reshape(rows, 2))],
    )


def merged(path: Path, shape=(1,)) -> Path:
    """A branch that a BOOL chooses, through a Not: y is x where `use_cache` is true, else 2 x."""
    then = h.make_graph(
        [h.make_node("Add", ["x", "x"], ["twice"])],
        "then",
        [],
        [h.make_tensor_value_info("twice", T.FLOAT, None)],
    )
    other = h.make_graph(
        [h.make_node("Identity", ["x"], ["same"])],
        "other",
        [],
        [h.make_tensor_value_info("same", T.FLOAT, None)],
    )
    return save(
        path,
        [
            h.make_node("Not", ["use_cache"], ["fresh"]),
            h.make_node("If", ["fresh"], ["y"], then_branch=then, else_branch=other),
        ],
        [("x", T.FLOAT, ["N", 4]), ("use_cache", T.BOOL, list(shape))],
        [("y", T.FLOAT, ["N", 4])],
    )


def named(path: Path, *names: str, outputs: tuple[str, ...] = ("y",)) -> Path:
    """Inputs of one number each, under any names, added up; `outputs` may repeat."""
    nodes = [h.make_node("Sum", list(names), ["y"])]
    graph = h.make_graph(
        nodes,
        "g",
        [h.make_tensor_value_info(name, T.FLOAT, ["N", 1]) for name in names],
        [h.make_tensor_value_info(name, T.FLOAT, ["N", 1]) for name in outputs],
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)
    return path


def table_after_a_sum(path: Path, rows: int) -> Path:
    """As `table`, but what is looked up is computed, so that only a trial shows its bounds."""
    return save(
        path,
        [
            h.make_node("Add", ["ids", "zero"], ["place"]),
            h.make_node("Gather", ["table", "place"], ["y"]),
        ],
        [("ids", T.INT64, ["N", "S"])],
        [("y", T.FLOAT, ["N", "S", 2])],
        [("zero", np.array(0, np.int64)), ("table", np.ones((rows, 2), np.float32))],
    )


def first_layer(path: Path, channels: int) -> Path:
    return save(
        path,
        [h.make_node("Conv", ["x", "w"], ["y"])],
        [("x", T.FLOAT, ["batch", "channels", "height", "width"])],
        [("y", T.FLOAT, [None, 2, None, None])],
        [("w", np.ones((2, channels, 3, 3), np.float32))],
    )


def without_a_shape(path: Path) -> Path:
    """An input of which not even the number of dimensions is declared: onnx.checker refuses it,
    ONNX Runtime does not.
    """
    made = onnx.load(str(fixed_to_batch(path, 1)))
    made.graph.input[0].type.tensor_type.ClearField("shape")
    made.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(made, path)
    return path


def decoder(path: Path) -> Path:
    """One key cache that grows, a mask over what was before and what is new, 512 positions."""
    return save(
        path,
        [
            h.make_node("Gather", ["words", "input_ids"], ["w"]),
            h.make_node("Gather", ["places", "position_ids"], ["p"]),
            h.make_node("Add", ["w", "p"], ["e"]),
            h.make_node("Reshape", ["e", "heads"], ["e4"]),
            h.make_node("Transpose", ["e4"], ["k"], perm=[0, 2, 1, 3]),
            h.make_node("Concat", ["past.0.key", "k"], ["present.0.key"], axis=2),
            h.make_node("ReduceSum", ["present.0.key", "last"], ["s"], keepdims=0),
            h.make_node("Cast", ["attention_mask"], ["m"], to=T.FLOAT),
            h.make_node("Unsqueeze", ["m", "one"], ["m3"]),
            h.make_node("Mul", ["s", "m3"], ["y"]),
        ],
        [
            ("input_ids", T.INT64, ["batch", "sequence"]),
            ("position_ids", T.INT64, ["batch", "sequence"]),
            ("attention_mask", T.INT64, ["batch", "past_sequence + sequence"]),
            ("past.0.key", T.FLOAT, ["batch", 2, "past_sequence", 4]),
        ],
        [
            ("y", T.FLOAT, ["batch", 2, None]),
            ("present.0.key", T.FLOAT, ["batch", 2, "past_sequence + sequence", 4]),
        ],
        [
            ("words", np.ones((2000, 8), np.float32)),
            ("places", np.ones((512, 8), np.float32)),
            ("heads", np.array([0, 0, 2, 4], np.int64)),
            ("last", np.array([3], np.int64)),
            ("one", np.array([1], np.int64)),
        ],
    )
