"""The formats of models: what each is called, how its files are recognised, and what a file that
claims to be one must have.

Nothing in a file is run, unpickled or unpacked. A format that is not listed here is none of ours:
such a file is handed on as it is.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.tensors.file_kind import no_model
from qs.tensors.torch_archive import EXPORTED, TORCHSCRIPT, kind_of

ONNX, PT, SAVED_MODEL = "onnx", "pt", "saved_model"
PT2, SAFETENSORS, OPENVINO = "pt2", "safetensors", "openvino"


@dataclass(frozen=True)
class Format:
    """One of the formats that we know."""

    name: str
    """As `model_format` states it."""
    suffix: str
    """Of its file; "" for a folder."""
    words: str
    """What messages call it."""


FORMATS = {
    each.name: each
    for each in (
        Format(ONNX, ".onnx", "ONNX"),
        Format(PT, ".pt", "TorchScript"),
        Format(SAVED_MODEL, "", "a TensorFlow saved_model"),
        Format(PT2, ".pt2", "a torch.export archive"),
        Format(SAFETENSORS, ".safetensors", "safetensors"),
        Format(OPENVINO, ".xml", "OpenVINO IR"),
    )
}
# Other spellings that are met in model infos.
_SPELLED = {
    "torchscript": PT,
    "torch_script": PT,
    "jit": PT,
    "savedmodel": SAVED_MODEL,
    "tf_saved_model": SAVED_MODEL,
    "torch_export": PT2,
    "safetensor": SAFETENSORS,
    "ir": OPENVINO,
    "openvino_ir": OPENVINO,
}
_SUFFIXES = {each.suffix: each.name for each in FORMATS.values() if each.suffix}
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


def named(stated: str) -> str:
    """The format that a model info means, by its one name: "PT" and "TorchScript" are "pt". One
    that we do not know is as it was.
    """
    plain = re.sub(r"[\s-]+", "_", stated.strip().lower().lstrip("."))
    plain = _SPELLED.get(plain, plain)
    return plain if plain in FORMATS else stated.strip()


def words(name: str) -> str:
    """What messages call a format: TorchScript (pt)."""
    known = FORMATS.get(name)
    return name if known is None else f"{known.words} ({known.suffix or name})"


def misspelled(name: str) -> str | None:
    """The format that a name we do not know was probably meant as."""
    return None if name in FORMATS else nearest(name, FORMATS, cutoff=0.7)


def recognised(path: Path) -> str | None:
    """The format of a file or folder, by its content, else by its name; None if neither says."""
    return by_content(path) or _SUFFIXES.get(path.suffix.lower())


def by_content(path: Path) -> str | None:
    """The format that a file or folder shows itself to be; an ONNX file shows nothing but its
    suffix.
    """
    if path.is_dir():
        return SAVED_MODEL if any((path / each).is_file() for each in SAVED_MODEL_FILES) else None
    return ONNX if path.suffix.lower() == FORMATS[ONNX].suffix else _of_archive(path)


def check(path: Path, name: str) -> None:
    """Raise UserError for a file or folder that cannot be of the format; one of a format that we do
    not know must be there and not be empty.
    """
    if path.is_dir():
        _check_folder(path, name)
        return
    _check_file(path)
    if name == PT:
        check_torchscript(path)
    elif name == PT2 and _of_archive(path) != PT2:
        raise UserError(
            f"{path} is no archive of torch.export: save it with torch.export.save(program, "
            f"{path.name!r})"
        )
    elif name == OPENVINO and not path.with_suffix(".bin").is_file():
        raise UserError(f"{path} has no {path.with_suffix('.bin').name} beside it: the weights")
    elif name == SAVED_MODEL:
        raise UserError(
            f"{path} is a file; a saved_model is a folder, with saved_model.pb in it: "
            "name that in model_path"
        )


def check_torchscript(path: Path) -> None:
    """Raise UserError for a file that torch.jit.save did not write. torch.load would run what is
    pickled in such a file: it is not opened.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not a TorchScript archive (damaged, or saved by other means than "
            "torch.jit.save)"
        )
    kind = _of_archive(path)
    if kind == PT2:
        raise UserError(
            f"{path} is an archive of torch.export, not TorchScript: call it .pt2, with "
            'model_format "pt2"'
        )
    if kind != PT:
        raise UserError(
            f"{path} contains pickled objects, not TorchScript, and is not loaded: save it with "
            "torch.jit.save"
        )


def _of_archive(path: Path) -> str | None:
    """By the names of its members."""
    return {TORCHSCRIPT: PT, EXPORTED: PT2}.get(kind_of(path) or "")


def _check_file(path: Path) -> None:
    try:
        nothing = no_model(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if nothing == "an empty file":
        raise UserError(f"{path} is empty")
    if nothing is not None:
        raise UserError(f"{path} is no model: it is {nothing}")


def _check_folder(path: Path, name: str) -> None:
    graph = next((path / each for each in SAVED_MODEL_FILES if (path / each).is_file()), None)
    if name == SAVED_MODEL and graph is None:
        raise UserError(
            f"{path} is a folder without saved_model.pb: no saved_model of TensorFlow's; put the "
            "folder that tf.saved_model.save wrote there"
        )
    if name in FORMATS and name != SAVED_MODEL:
        meant = FORMATS[name]
        raise UserError(
            f"{path} is a folder; {meant.words} is one file ({meant.suffix}): name it in model_path"
        )
    for each in [graph, *sorted((path / "variables").glob("*"))] if graph else []:
        if each is not None and each.is_file():
            _check_file(each)
