"""What PyTorch's files say of their inputs, read without PyTorch.

An archive of torch.export says all; what its export left open is guessed, and not tried.
TorchScript names what its `forward` takes, in order, and no shapes: those are the user's to state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.inside.untried import declared
from qs.tensors.exported_code import check_exported
from qs.tensors.onnx_io import FileTensor
from qs.tensors.torch_archive import (
    EXPORTED,
    TORCHSCRIPT,
    check_kind,
    exported,
    kind_of,
    torchscript_arguments,
)

BATCH = "batch"


def of_exported(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """See ArtifactService.describe. UserError for what is no archive of torch.export, and for one
    whose loading would run code.
    """
    check_kind(file, EXPORTED)
    check_exported(file)
    program = exported(file)
    tensors = with_batch(program.inputs)
    return declared(file, "pt2", tensors, program.outputs, asked)


def with_batch(tensors: Sequence[FileTensor]) -> list[FileTensor]:
    """The inputs with the batch dimension called so: torch.export numbers its symbols, and the
    first dimension of the first input that has a symbol there is the batch.
    """
    first = next((each.shape[0] for each in tensors if each.shape[:1] and _is_open(each)), None)
    return [
        replace(each, shape=tuple(BATCH if size == first else size for size in each.shape))
        if first is not None
        else each
        for each in tensors
    ]


def _is_open(tensor: FileTensor) -> bool:
    return isinstance(tensor.shape[0], str)


def is_torchscript(file: Path) -> bool:
    return file.is_file() and kind_of(file) == TORCHSCRIPT


def in_order(file: Path, asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is asked, with the stated inputs in the order in which TorchScript takes them, and
    notes. UserError names its inputs if shapes are missing or are those of others.
    """
    arguments = torchscript_arguments(file)
    shapes = dict(asked.get("shapes") or {})
    if arguments is None:  # its code does not tell: they are taken as they are stated
        return dict(asked), []
    names = [each.name for each in arguments]
    required = [each.name for each in arguments if not each.optional]
    shown = ", ".join(
        f"{each.name}: {each.type}{' (may be left out)' if each.optional else ''}"
        for each in arguments
    )
    if set(required) <= set(shapes) <= set(names):
        return {**asked, "shapes": {name: shapes[name] for name in names if name in shapes}}, []
    if len(required) <= len(shapes) <= len(names) and not set(shapes) & set(names):
        pairs = zip(shapes, names, strict=False)
        told = ", ".join(f"{name} is its {own}" for name, own in pairs)
        return dict(asked), [f"{file.name} takes its inputs by their places: {told}"]
    flags = " ".join(f"--shape {name}=1,3,224,224 --type {name}=FLOAT32" for name in required[:1])
    raise UserError(
        f"{file} is TorchScript and takes {shown or 'no input'}. It does not say of which shapes: "
        f"state them, for instance {flags}"
    )
