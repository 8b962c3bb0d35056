"""Converts a TorchScript file (`.pt`) to ONNX once, with a dynamic batch dimension, compares the
two, and caches the graph.

Needs torch, which the extra `torch` installs. Only TorchScript is loaded: that restores a program's
own archive and runs no pickled code; a `.pt` with anything else (a state dict, a pickled module) is
refused unread.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
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
_TRACED = "failed in the TorchScript interpreter"


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
                return tuple(torch.from_numpy(np.array(feeds[name], order="C")) for name in names)

            def original(feeds: Feeds) -> list[np.ndarray]:
                return [_array(each) for each in _flat(module(*given(feeds)), outputs)]

            samples, _ = accepted(original, info)
            answer = module(*given(samples[0] or {}))
            if isinstance(answer, Mapping):
                module = _in_order(module, len(names), _keys(answer, outputs))
            first = samples[0] or {}
            answers = dict(zip(outputs, original(first), strict=False))
            axes = info.get("input_batch_axis") or {}
            batched = {name: axes.get(name, 0) for name in names if first[name].ndim}
            batched |= {name: 0 for name, array in answers.items() if array.ndim}
            torch.onnx.export(
                module,
                given(first),
                str(new),
                input_names=names,
                output_names=outputs,
                dynamic_axes={
                    name: {axis: "batch"} for name, axis in batched.items() if axis is not None
                },
                opset_version=OPSET,
                dynamo=False,
            )
            gather(new)
            _check_names(path, new, names, outputs)
            return agreement(original, new, info, str(path))
    except refusals as error:
        raise UserError(f"torch cannot convert {path} to ONNX: {_said(error)}") from error


def _said(error: Exception) -> str:
    """The line that tells: TorchScript's interpreter says what went wrong last, after its own
    traceback.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if _TRACED in lines[0] else lines[0]


def _flat(answer: Any, outputs: Sequence[str]) -> list[Any]:
    """The tensors of an answer, in order: a tensor, or tuples, lists and dicts of them."""
    if isinstance(answer, (tuple, list)):
        return [each for part in answer for each in _flat(part, outputs)]
    if isinstance(answer, Mapping):
        return [each for key in _keys(answer, outputs) for each in _flat(answer[key], outputs)]
    return [] if answer is None else [answer]


def _keys(answer: Mapping[str, Any], outputs: Sequence[str]) -> list[str]:
    """The keys of a dict as the model info orders them, or as it does if it has other names."""
    return list(outputs) if set(outputs) == set(answer) else list(answer)


def _in_order(module: Any, inputs: int, keys: Sequence[str]) -> Any:
    """The module with a tuple in place of the dict that it answers, which ONNX has not. UserError
    for keys that are no plain names: they become text of a program.
    """
    import torch

    strange = [key for key in keys if not re.fullmatch(r"[\w.:/-]+", key)]
    if strange:
        raise UserError(f"its answer is a dict with the key {strange[0]!r}, which is no plain name")

    class InOrder(torch.jit.ScriptModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

    arguments = ", ".join(f"a{at}" for at in range(inputs))
    values = ", ".join(f'found["{key}"]' for key in keys)
    made = InOrder()
    made.define(
        f"def forward(self, {arguments}):\n"
        f"    found = self.inner({arguments})\n"
        f"    return ({values},)\n"
    )
    return made.eval()


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
