"""Converts a TensorFlow saved_model to ONNX once, by tf2onnx, compares the two, and caches the
graph.

Needs tensorflow and tf2onnx, which the extra `tensorflow` installs. TensorFlow runs the model's
graph and nothing else; a graph that calls Python or writes files is refused. What is wrong with the
folder, or with the names that the model info states, is said before TensorFlow is imported.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.cache import build_once, key_of
from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.models.converted import Converted, Feeds, agreement
from qs.models.formats import ONNX, SAVED_MODEL
from qs.models.request import ModelRequest
from qs.models.signatures import Asked, match
from qs.tensors.digest import digests_of
from qs.tensors.saved_model import SavedModel, read

OPSET = 17
PACKAGES = ("tensorflow", "tf2onnx")
# Of the module tensorflow.
DISTRIBUTIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-intel",
    "tensorflow-rocm",
    "tf-nightly",
)
_LONGEST_REASON = 300
# Operators that run what is not in the file, or reach outside of the model.
REFUSED = {
    "PyFunc": "calls Python code",
    "PyFuncStateless": "calls Python code",
    "EagerPyFunc": "calls Python code (tf.py_function)",
    "WriteFile": "writes files",
}


def to_onnx(path: Path, request: ModelRequest) -> Converted:
    """The saved_model in the folder `path` as ONNX, with the model info's names.

    UserError if tensorflow or tf2onnx is not installed, the folder is no saved_model, it has not
    what the model info names, it cannot be converted, or the graph does not answer what TensorFlow
    answers.
    """
    saved = read(path)
    check_operators(path, saved)
    info = request.model_info
    asked = match(saved, info, path)
    by = _packages(path)
    stated = ("inputs", "outputs", "input_shape", "input_type", "input_range", "model_precision")
    key = key_of(
        {
            "folder": digests_of(path)[path.name],
            "by": by,
            "opset": OPSET,
            "format": 1,
            **{name: info.get(name) for name in stated},
        }
    )

    def build(new: Path) -> None:
        request.say(f"converting {path.name} to ONNX with {by}")
        check = _convert(path, new, saved, asked, info)
        _check_file(new).write_text(json.dumps(check))

    found = build_once(f"models/saved_model-{key}", ".onnx", build, lambda file: bool(_check(file)))
    origin = {"path": str(path), "format": SAVED_MODEL}
    return Converted(found, ONNX, origin, by, _check(found))


def check_operators(path: Path, saved: SavedModel) -> None:
    """Raise UserError for a graph with an operator that is not run."""
    for operator in sorted(saved.operators & set(REFUSED)):
        raise UserError(
            f"{path} has the operator {operator}, which {REFUSED[operator]}; it is neither run nor "
            "converted"
        )


def _packages(path: Path) -> str:
    """The packages that convert, with versions. UserError if one is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(
            f"{path} is a TensorFlow saved_model, and {' and '.join(missing)}, which "
            f"{'convert it, are' if len(missing) > 1 else 'converts it, is'} not installed: "
            "install the extra `tensorflow` (or `pip install tensorflow-cpu tf2onnx`), or put an "
            f"ONNX export of the model at {path.with_suffix('.onnx')}"
        )
    return f"tf2onnx {version('tf2onnx')}, tensorflow {tensorflow_version()}"


def tensorflow_version() -> str:
    """Of whichever distribution has it."""
    for name in DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "of unknown version"


def _check_file(graph: Path) -> Path:
    """Where the cache has what comparing the graph found."""
    return graph.with_name(f"{graph.name}.check.json")


def _check(graph: Path) -> dict[str, Any]:
    return json.loads(_check_file(graph).read_text())


def _convert(
    path: Path, new: Path, saved: SavedModel, asked: Asked, info: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the graph; what comparing it found."""
    try:
        tf = quiet_tensorflow()
        import tf2onnx.convert
        from tf2onnx import tf_loader
    except Exception as error:  # packages that do not fit each other fail in many ways
        raise UserError(f"TensorFlow cannot be imported: {_first_line(error)}") from error
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        model = tf.saved_model.load(str(path), tags=list(saved.tags))
    except Exception as error:
        raise UserError(f"TensorFlow cannot load {path}: {_first_line(error)}") from error
    try:
        function, inputs, outputs = _function(tf, model, saved, asked)
        frozen, tables = tf_loader.from_trackable(model, function, inputs, outputs, False)
        renamed = {
            **{name: place.declared for name, place in zip(inputs, asked.inputs, strict=True)},
            **{name: place.declared for name, place in zip(outputs, asked.outputs, strict=True)},
        }
        graph, _ = tf2onnx.convert._convert_common(
            frozen,
            name=path.name,
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=renamed,
            initialized_tables=tables,
        )
    except Exception as error:
        raise UserError(f"tf2onnx cannot convert {path}: {_first_line(error)}") from error
    _check_graph(path, graph)
    new.write_bytes(graph.SerializeToString())
    check = agreement(_original(tf, model, saved, asked), new, info, str(path))
    notes = [str(note) for note in asked.notes]
    return check | ({"notes": notes} if notes else {})


def quiet_tensorflow() -> Any:
    """The module, told to keep to the CPU and to itself."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
    tf.config.set_visible_devices([], "GPU")
    return tf


def _function(
    tf: Any, model: Any, saved: SavedModel, asked: Asked
) -> tuple[Any, list[str], list[str]]:
    """What is converted: a function of TensorFlow's, and the names of its inputs and outputs in the
    model info's order.
    """
    if not saved.objects:
        inputs = [place.tensor.name for place in asked.inputs]
        outputs = [place.tensor.name for place in asked.outputs]
        return model.prune(inputs, outputs), inputs, outputs
    signature = model.signatures[asked.signature]
    _, given = signature.structured_input_signature
    specs = [given[place.key] for place in asked.inputs]

    def in_order(*arguments: Any) -> list[Any]:
        keyed = zip(asked.inputs, arguments, strict=True)
        answers = signature(**{str(place.key): argument for place, argument in keyed})
        return [answers[place.key] for place in asked.outputs]

    plain = [tf.TensorSpec(spec.shape, spec.dtype, f"in_{at}") for at, spec in enumerate(specs)]
    function = tf.function(in_order, input_signature=plain).get_concrete_function()
    inputs = [each.name for each in function.inputs if each.dtype != tf.resource]
    return function, inputs[: len(plain)], [each.name for each in function.outputs]


def _original(
    tf: Any, model: Any, saved: SavedModel, asked: Asked
) -> Callable[[Feeds], list[np.ndarray]]:
    """Answers feeds as TensorFlow does, with the outputs in the model info's order."""
    signature = model.signatures[asked.signature]
    _, given = signature.structured_input_signature
    pruned = None
    if any(place.key is None for place in asked.outputs):
        names = [[place.tensor.name for place in side] for side in (asked.inputs, asked.outputs)]
        pruned = model.prune(*names)

    def run(feeds: Feeds) -> list[np.ndarray]:
        fed = {}
        for place in asked.inputs:
            tensor, wanted = tf.constant(feeds[place.declared]), given[place.key]
            if not wanted.shape.is_compatible_with(tensor.shape):  # which is not always refused
                raise ValueError(f"{place.declared} is {tensor.shape}, not {wanted.shape}")
            fed[str(place.key)] = tf.cast(tensor, wanted.dtype)
        if pruned is not None:
            return [_array(tf, each) for each in pruned(*fed.values())]
        answers = signature(**fed)
        return [_array(tf, answers[place.key]) for place in asked.outputs]

    return run


def _array(tf: Any, tensor: Any) -> np.ndarray:
    return (tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy()


def _check_graph(path: Path, graph: Any) -> None:
    """Raise UserError for a graph that is not all ONNX: tf2onnx leaves what it does not know."""
    import onnx

    unknown = sorted(
        {node.op_type for node in graph.graph.node if not onnx.defs.has(node.op_type, node.domain)}
    )
    if unknown:
        raise UserError(f"{path} has operators that tf2onnx does not convert: {', '.join(unknown)}")
    try:
        onnx.checker.check_model(graph)
    except Exception as error:
        raise UserError(f"tf2onnx cannot convert {path}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return one_line(lines[0] if lines else type(error).__name__, _LONGEST_REASON)
