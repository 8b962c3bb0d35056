"""What PyTorch's own archives say of themselves, read without PyTorch: TorchScript (`.pt`) and
archives of torch.export (`.pt2`). Nothing in them is run, unpickled or unpacked.

TorchScript holds its code as text, in which `forward` names its arguments, but no shapes. An
archive of torch.export holds its graph as JSON, with the shape and type of every input.
"""

from __future__ import annotations

import ast
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.tensors.file_kind import no_model
from qs.tensors.onnx_io import FileTensor

TORCHSCRIPT, EXPORTED, CHECKPOINT = "TorchScript", "torch.export", "checkpoint"
MOST_TEXT_BYTES = 1 << 28  # of a graph's JSON, or a class's code
# torch/_export/serde/schema.py, ScalarType; as onnx_io spells types
_TYPES = {
    1: "tensor(uint8)",
    2: "tensor(int8)",
    3: "tensor(int16)",
    4: "tensor(int32)",
    5: "tensor(int64)",
    6: "tensor(float16)",
    7: "tensor(float)",
    8: "tensor(double)",
    12: "tensor(bool)",
    13: "tensor(bfloat16)",
    28: "tensor(uint16)",
    34: "tensor(uint32)",
    35: "tensor(uint64)",
}
_GRAPHS = re.compile(r"(^|/)(models/model\.json|serialized_exported_program\.json)$")
_NUMBER_OF_AXIS = re.compile(r"(?:Symbol\(')?(\w+)")


@dataclass(frozen=True)
class Argument:
    """One argument of a TorchScript model's `forward`."""

    name: str
    type: str
    optional: bool


@dataclass(frozen=True)
class Exported:
    """The graph of an archive of torch.export, as its users see it."""

    inputs: tuple[FileTensor, ...]
    outputs: tuple[str, ...]
    torch_version: str


def kind_of(path: Path) -> str | None:
    """TORCHSCRIPT, EXPORTED or CHECKPOINT (pickled objects) by the names of an archive's members;
    None if it is no archive, or another one.
    """
    try:
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None
    tails = {_tail(name) for name in names}
    if "constants.pkl" in tails and any(tail.startswith("code/") for tail in tails):
        return TORCHSCRIPT
    if any(_GRAPHS.search(name) for name in names):
        return EXPORTED
    return CHECKPOINT if "data.pkl" in tails else None


def check_kind(path: Path, wanted: str) -> None:
    """Raise UserError, with what the file is, unless it is an archive of that kind."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the file in it")
    try:
        nothing = no_model(path)
        found = kind_of(path)
        with path.open("rb") as file:
            pickled = file.read(2) in {b"\x80" + bytes([protocol]) for protocol in range(2, 6)}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if found == wanted:
        return
    saved = {TORCHSCRIPT: "torch.jit.save", EXPORTED: "torch.export.save"}
    if nothing is not None:
        what = f"is no model: it is {nothing}"
    elif found is not None and found in saved:
        what = f"was saved with {saved[found]}, not with {saved[wanted]}: state its model_format"
    elif pickled or found == CHECKPOINT:
        what = (
            f"contains pickled objects, not a model that {saved[wanted]} wrote, and is not loaded: "
            f"save it with {saved[wanted]}"
        )
    else:
        what = f"is no archive that {saved[wanted]} wrote (damaged, or another format)"
    raise UserError(f"{path} {what}")


def torchscript_arguments(path: Path) -> list[Argument] | None:
    """The arguments of the model's `forward`, in order, without `self`; None if its code does not
    tell.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {_tail(name): name for name in archive.namelist()}
            qualified = _class_of(_text(archive, members["data.pkl"]))
            *folders, name = qualified.split(".")
            code = _text(archive, members[f"code/{'/'.join(folders)}.py"]).decode()
        forward = _method(ast.parse(code), name, "forward")
    except (OSError, KeyError, ValueError, SyntaxError, RecursionError, zipfile.BadZipFile):
        return None
    given = forward.args.args[1:]
    first_default = len(given) - len(forward.args.defaults)
    return [
        Argument(
            each.arg, ast.unparse(each.annotation) if each.annotation else "", at >= first_default
        )
        for at, each in enumerate(given)
    ]


def exported(path: Path) -> Exported:
    """What an archive of torch.export takes and gives. UserError if it cannot be read, or takes
    something that is no tensor.
    """
    graphs = [content for name, content in exported_json(path) if _GRAPHS.search(name)]
    if not graphs:
        raise UserError(f"{path} holds no graph")
    try:
        graph = graphs[0]["graph_module"]["graph"]
        signature = graphs[0]["graph_module"]["signature"]
        inputs = [
            _tensor(each["user_input"]["arg"], graph, path)
            for each in signature["input_specs"]
            if "user_input" in each
        ]
        outputs = [
            str(next(iter(each["user_output"]["arg"].values()))["name"])
            for each in signature["output_specs"]
            if "user_output" in each and "as_tensor" in each["user_output"]["arg"]
        ]
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UserError(f"{path}: its graph is not as torch.export writes it ({error})") from error
    return Exported(tuple(inputs), tuple(outputs), str(graphs[0].get("torch_version") or ""))


def exported_json(path: Path) -> Iterator[tuple[str, Any]]:
    """(name, content) of every JSON file in an archive of torch.export. UserError if one cannot be
    read.
    """
    with opened(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                try:
                    yield name, json.loads(_text(archive, name))
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{path}: {name} in it cannot be read: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open for reading; UserError where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _tail(name: str) -> str:
    """A member's name below the archive's own folder."""
    return name.partition("/")[2] or name


def _text(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_TEXT_BYTES:
        raise ValueError(f"{name} is larger than {MOST_TEXT_BYTES} bytes")
    return archive.read(name)


def _class_of(pickled: bytes) -> str:
    """The class of the outermost object, by the first name in the pickle: it is not unpickled."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            return ".".join(str(argument).split(" "))
    raise ValueError("names no class")


def _method(code: ast.Module, class_name: str, name: str) -> ast.FunctionDef:
    for each in code.body:
        if isinstance(each, ast.ClassDef) and each.name == class_name:
            for member in each.body:
                if isinstance(member, ast.FunctionDef) and member.name == name:
                    return member
    raise KeyError(name)


def _tensor(argument: Mapping[str, Any], graph: Mapping[str, Any], path: Path) -> FileTensor:
    if "as_tensor" not in argument:
        kind = next(iter(argument), "nothing")
        raise UserError(
            f"{path} takes an input that is no tensor ({kind.removeprefix('as_')}); export it with "
            "tensors alone"
        )
    name = str(argument["as_tensor"]["name"])
    meta = graph["tensor_values"][name]
    return FileTensor(
        name,
        tuple(_size(each) for each in meta["sizes"]),
        _TYPES.get(meta["dtype"], f"tensor of type {meta['dtype']}"),
    )


def _size(size: Mapping[str, Any]) -> int | str:
    if "as_int" in size:
        return int(size["as_int"])
    expression = str(size["as_expr"]["expr_str"])
    symbol = _NUMBER_OF_AXIS.match(expression)
    return symbol.group(1) if symbol else expression
