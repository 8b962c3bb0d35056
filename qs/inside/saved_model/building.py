"""The side with TensorFlow: a graph of its operators, saved, loaded again as a backend does, and
checked. Needs numpy and tensorflow, and nothing else of ours.

What is saved has the form of TensorFlow 1: one graph with its weights in it, as published models
have it. So all ways to load one find what they look for: a signature with the names
(`input_ids`), and tensors called as the model info says (`input_ids:0`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.inside.saved_model.layers import LAYERS
from qs.inside.saved_model.operators import OPERATORS, Last
from qs.inside.saved_model.values import Operation, Values, unsupported
from qs.tensors.closeness import difference, too_far

TABLE = OPERATORS | LAYERS
LONGEST_WORDS = 300
SIGNATURE, TAG = "serving_default", "serve"


class BuildingService:
    """Stateless."""

    def build(self, folder: str, out: str, tolerance: float) -> dict[str, Any]:
        """Turn what `WritingService.write` left in `folder` into a saved_model, the folder `out`,
        and check the answers of what was saved.

        Returns {"tensorflow": its version, "items", "max_abs_diff", "max_rel_diff"}; the latter is
        a share of an output's largest magnitude, and at most `tolerance`. UserError for a node that
        is not known, or if TensorFlow answers otherwise than ONNX Runtime.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _told("TensorFlow"):
            import tensorflow as tf

            logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
            tf.config.set_visible_devices([], "GPU")
            place = Path(folder)
            about = json.loads((place / "about.json").read_text())
            _save(tf, place, about, out)
            return {"tensorflow": str(tf.__version__)} | _checked(tf, out, place, about, tolerance)


def _save(tf: Any, place: Path, about: Mapping[str, Any], out: str) -> None:
    v1 = tf.compat.v1
    with np.load(place / "weights.npz", allow_pickle=False) as stored:
        weights = {int(name[1:]): stored[name] for name in stored.files}
    with tf.Graph().as_default() as graph:
        inputs, outputs = _built(tf, about, weights)
        with v1.Session(graph=graph) as session:
            builder = v1.saved_model.Builder(out)
            signature = v1.saved_model.signature_def_utils.predict_signature_def(inputs, outputs)
            builder.add_meta_graph_and_variables(
                session, [TAG], signature_def_map={SIGNATURE: signature}
            )
            builder.save()


def _built(
    tf: Any, about: Mapping[str, Any], weights: dict[int, np.ndarray]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph's nodes in the default graph: inputs and outputs by their names in the
    signature.
    """
    nodes = [
        Operation(
            each["op"],
            each["name"],
            tuple(each["inputs"]),
            tuple(each["outputs"]),
            each["attributes"],
        )
        for each in about["nodes"]
    ]
    missing = [node for node in nodes if node.op not in TABLE]
    if missing:
        raise unsupported(missing[0], "the operator is not known")
    values = Values(tf, about["opset"], weights)
    inputs, outputs = {}, {}
    for each in about["inputs"]:
        name = node_name(each["name"])
        tensor = tf.compat.v1.placeholder(each["type"], each["shape"], name)
        values.put(each["number"], tensor)
        inputs[argument_name(name)] = tensor
    for node in nodes:
        _add(values, node)
    for name, number in zip(about["outputs"], about["results"], strict=True):
        result = values.tensor(Operation("the output", name, (number,), (), {}))
        outputs[node_name(name)] = tf.identity(result, node_name(name))
    return inputs, outputs


def _add(values: Values, node: Operation) -> None:
    try:
        answer = TABLE[node.op](values, node)
    except (IndexError, KeyError, TypeError, ValueError, AssertionError) as error:
        # An attribute of another type than the operator has: a damaged or made-up file.
        why = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
        raise unsupported(node, why) from error
    answers = answer if isinstance(answer, list) else [answer]
    for number, each in zip(node.outputs, answers, strict=False):
        if number is not None:
            last = isinstance(each, Last)
            values.put(number, each.tensor if last else each, last)


def node_name(declared: str) -> str:
    """The node of a tensor's name: "input_ids:0" is the first output of input_ids. What
    TensorFlow does not take in a name is a "_".
    """
    name = re.sub(r":\d+$", "", declared)
    name = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return name if re.match(r"[A-Za-z0-9.]", name) else f"n{name}"


def argument_name(node: str) -> str:
    """An input's name in the signature, where it is an argument of a function."""
    return re.sub(r"\W", "_", node)


def _checked(
    tf: Any, out: str, place: Path, about: Mapping[str, Any], tolerance: float
) -> dict[str, Any]:
    model = tf.saved_model.load(out)
    function = model.signatures[SIGNATURE]
    arguments = [argument_name(node_name(each["name"])) for each in about["inputs"]]
    names, absolute, relative = about["outputs"], 0.0, 0.0
    for size in about["sizes"]:
        with np.load(place / f"answers-{size}.npz", allow_pickle=False) as stored:
            feeds = [tf.constant(stored[f"i{at}"]) for at in range(len(arguments))]
            wanted = {name: stored[f"o{at}"] for at, name in enumerate(names)}
        answers = function(**dict(zip(arguments, feeds, strict=True)))
        got = {name: answers[node_name(name)].numpy() for name in names}
        found = difference(wanted, got)
        why = too_far(found, tolerance)
        if why:
            raise UserError(
                "the model as a saved_model does not answer what ONNX Runtime does, at batch size "
                f"{size}: {why}"
            )
        relative = max(relative, found["apart"])
        absolute = max(absolute, *(_apart(wanted[name], got[name]) for name in names))
    return {"items": sum(about["sizes"]), "max_abs_diff": absolute, "max_rel_diff": relative}


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    finite = apart[np.isfinite(apart)]
    return float(finite.max()) if finite.size else 0.0


@contextmanager
def _told(who: str) -> Iterator[None]:
    """What TensorFlow raises as one message; the whole of it is in the log."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = one_line(" ".join(lines[:2]) or type(error).__name__, LONGEST_WORDS)
        raise UserError(f"{who} cannot write the model as a saved_model: {said}") from None
