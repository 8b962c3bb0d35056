"""Converts a TorchScript file (`.pt`) to ONNX once, with a dynamic batch dimension, and caches it.

Needs torch, which the extra `torch` installs. Only TorchScript is loaded: that restores a program's
own archive and runs no pickled code; a `.pt` with anything else (a state dict, a pickled module) is
refused unread.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from qs.base.cache import build_once, key_of
from qs.base.errors import UserError
from qs.models.request import ModelRequest
from qs.tensors.digest import sha256_of
from qs.tensors.onnx_data import data_files

OPSET = 17
TORCH_TYPES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "LONG": "int64",
    "BOOL": "bool",
}


def to_onnx(path: Path, request: ModelRequest) -> tuple[Path, str]:
    """(ONNX file, note) for the TorchScript file at `path`, with the model info's names, shapes and
    types.

    UserError if torch is not installed, the file is not TorchScript, or torch cannot load or export
    it.
    """
    _check_archive(path)
    if find_spec("torch") is None:
        raise UserError(
            f"{path} is TorchScript, and torch, which converts it, is not installed: install the "
            "extra `torch` (or `pip install torch`), or put an ONNX export of the model at "
            f"{path.with_suffix('.onnx')}"
        )
    from importlib.metadata import version

    info = request.model_info
    names, outputs = _names(info["inputs"]), _names(info["outputs"])
    shapes = {name: list(info["input_shape"][name]) for name in names}
    types = _names(info["input_type"])
    types = types * len(names) if len(types) == 1 else types
    torch_version = version("torch")
    key = key_of(
        {
            "file": sha256_of(path),
            "inputs": names,
            "outputs": outputs,
            "shapes": shapes,
            "types": types,
            "torch": torch_version,
            "opset": OPSET,
        }
    )

    def build(new: Path) -> None:
        request.say(f"converting {path.name} to ONNX with torch {torch_version}")
        _export(path, new, names, outputs, shapes, types)

    converted = build_once(f"models/torchscript-{key}", ".onnx", build)
    return converted, f"converted from TorchScript by torch {torch_version}"


def _check_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not a TorchScript archive (damaged, or saved by other means than "
            "torch.jit.save)"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    # torch.save writes <top>/data.pkl as well, but never compiled code or constants.
    constants = any(name.endswith("/constants.pkl") for name in names)
    if not (constants and any("/code/" in name for name in names)):
        raise UserError(
            f"{path} contains pickled objects, not TorchScript, and is not loaded: save it with "
            "torch.jit.save"
        )


def _names(value: str | Iterable[str]) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return [str(part).strip() for part in parts if str(part).strip()]


def _export(
    path: Path,
    new: Path,
    names: list[str],
    outputs: list[str],
    shapes: dict[str, list[int]],
    types: list[str],
) -> None:
    import torch

    feeds = tuple(
        torch.ones(shapes[name], dtype=getattr(torch, TORCH_TYPES[kind]))
        for name, kind in zip(names, types, strict=True)
    )
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracer and deprecation notes, useless to the user
            module = torch.jit.load(str(path), map_location="cpu").eval()
            torch.onnx.export(
                module,
                feeds,
                str(new),
                input_names=names,
                output_names=outputs,
                dynamic_axes={name: {0: "batch"} for name in [*names, *outputs]},
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"torch cannot convert {path} to ONNX: {first}") from error
    gather(new)
    _check_names(path, new, names, outputs)


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
