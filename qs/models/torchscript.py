"""Converts a TorchScript file (`.pt`) to ONNX once, with a dynamic batch dimension, compares the
two, and caches the graph.

Needs torch, which the extra `torch` installs. Only TorchScript is loaded: that restores a program's
own archive and runs no pickled code; a `.pt` with anything else (a state dict, a pickled module) is
refused unread.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.cache import build_once, key_of
from qs.base.errors import UserError
from qs.models.converted import Converted, Feeds, accepted, agreement
from qs.models.formats import ONNX, PT, check_torchscript
from qs.models.request import ModelRequest
from qs.tensors.digest import sha256_of
from qs.tensors.generated import split_names
from qs.tensors.onnx_data import data_files

OPSET = 17


def to_onnx(path: Path, request: ModelRequest) -> Converted:
    """The TorchScript file at `path` as ONNX, with the model info's names, shapes and types.

    UserError if torch is not installed, the file is not TorchScript, torch cannot load or export
    it, or the graph does not answer what torch answers.
    """
    check_torchscript(path)
    if find_spec("torch") is None:
        raise UserError(
            f"{path} is TorchScript, and torch, which converts it, is not installed: install the "
            "extra `torch` (or `pip install torch`), or put an ONNX export of the model at "
            f"{path.with_suffix('.onnx')}"
        )
    from importlib.metadata import version

    info = request.model_info
    torch_version = version("torch")
    stated = ("inputs", "outputs", "input_shape", "input_type", "input_range", "model_precision")
    key = key_of(
        {
            "file": sha256_of(path),
            "torch": torch_version,
            "opset": OPSET,
            "format": 2,
            **{name: info.get(name) for name in stated},
        }
    )

    def build(new: Path) -> None:
        request.say(f"converting {path.name} to ONNX with torch {torch_version}")
        check = _export(path, new, info)
        _check_file(new).write_text(json.dumps(check))

    found = build_once(f"models/torchscript-{key}", ".onnx", build, lambda file: bool(_check(file)))
    origin = {"path": str(path), "format": PT}
    return Converted(found, ONNX, origin, f"torch {torch_version}", _check(found))


def _check_file(graph: Path) -> Path:
    """Where the cache has what comparing the graph found."""
    return graph.with_name(f"{graph.name}.check.json")


def _check(graph: Path) -> dict[str, Any]:
    return json.loads(_check_file(graph).read_text())


def _export(path: Path, new: Path, info: Mapping[str, Any]) -> dict[str, Any]:
    """Write the graph; what comparing it found."""
    import torch

    names, outputs = split_names(info["inputs"]), split_names(info["outputs"])
    refusals = (
        RuntimeError,
        ValueError,
        TypeError,
        IndexError,
        torch.onnx.errors.OnnxExporterError,
    )
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracer and deprecation notes, useless to the user
            module = torch.jit.load(str(path), map_location="cpu").eval()

            def given(feeds: Feeds) -> tuple[Any, ...]:
                return tuple(torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in names)

            def original(feeds: Feeds) -> list[np.ndarray]:
                return [_array(each) for each in _flat(module(*given(feeds)))]

            samples, _ = accepted(original, info)
            torch.onnx.export(
                module,
                given(samples[0] or {}),
                str(new),
                input_names=names,
                output_names=outputs,
                dynamic_axes={name: {0: "batch"} for name in [*names, *outputs]},
                opset_version=OPSET,
                dynamo=False,
            )
            gather(new)
            _check_names(path, new, names, outputs)
            return agreement(original, new, info, str(path))
    except refusals as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"torch cannot convert {path} to ONNX: {first}") from error


def _flat(answer: Any) -> list[Any]:
    """The tensors of an answer, in order: a tensor, or tuples, lists and dicts of them."""
    if isinstance(answer, (tuple, list)):
        return [each for part in answer for each in _flat(part)]
    if isinstance(answer, Mapping):
        return [each for part in answer.values() for each in _flat(part)]
    return [] if answer is None else [answer]


def _array(tensor: Any) -> np.ndarray:
    import torch

    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def gather(model: Path) -> None:
    """Move weights in files beside the model, which torch writes if they exceed one protobuf, into
    a single `<model>.data`.
    """
    import onnx

    scattered = data_files(model)
    if scattered:
        whole = onnx.load(str(model))
        for each in scattered:
            each.unlink()
        onnx.save_model(
            whole, str(model), save_as_external_data=True, location=f"{model.name}.data"
        )


def _check_names(path: Path, new: Path, names: list[str], outputs: list[str]) -> None:
    import onnx

    onnx.checker.check_model(str(new))
    graph = onnx.load(str(new), load_external_data=False).graph
    for what, wanted, got in (("inputs", names, graph.input), ("outputs", outputs, graph.output)):
        found = [value.name for value in got]
        if found != wanted:
            raise UserError(
                f"{path} has the {what} {', '.join(found)}; the model info says {', '.join(wanted)}"
            )
