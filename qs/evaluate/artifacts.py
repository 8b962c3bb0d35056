"""A compile result as an artifact: left on disk so that a later run, anywhere, can take it and
compile nothing.

The file is the backend's own compile result with one key of ours, ARTIFACT, that holds what a later
run has to know. Paths in it are absolute; every file that it names is stated with its SHA-256.
The named files stay where the backend put them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import write_json
from qs.tensors.onnx_data import data_files

ARTIFACT = "qs_artifact"
FORMAT = 1
OBJECT_KEY = "compiled_obj"
# How Python prints an object that has no words of its own.
_LIVING = re.compile(r"<.* at 0x[0-9a-f]+>")


@dataclass(frozen=True)
class Artifact:
    """A compile result read from disk."""

    path: Path
    raw: dict[str, Any]  # as the backend gave it, with absolute paths
    about: dict[str, Any]  # what was noted beside it


def leave(
    path: Path, raw: Mapping[str, Any], about: Mapping[str, Any], work: Path
) -> list[dict[str, Any]]:
    """Write the artifact. Returns the files that it names, each {"key", "path", "bytes", "sha256"}.
    Relative paths are relative to `work`.
    """
    files: list[dict[str, Any]] = []
    content = _with_absolute_paths(dict(raw), work, "", files)
    for each in files:
        each["bytes"], each["sha256"] = digest(Path(each["path"]))
    note = {"format": FORMAT, **about, "files": files}
    write_json(path, {**content, ARTIFACT: note})
    return files


def find(given: Path, hardware: str, model: str) -> Path:
    """The artifact in a folder, in the report folder of that backend and model inside it, or the
    file itself.
    """
    if given.is_file():
        return given
    places = (given, given / hardware / model)
    for place in places:
        found = sorted(place.glob("compile-*.json"))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(each.name for each in found)
            raise Faults([Fault("--compiled", "", str(place), f"one of its files: {names}")])
    raise Faults(
        [
            Fault(
                "--compiled",
                "",
                str(given),
                "a compile result that `qs run --compile_only` left (compile-<precision>.json in "
                f"it, or in {hardware}/{model}/ of it)",
            )
        ]
    )


def take(given: Path, hardware: str, model: str | None) -> Artifact:
    """Read an artifact. Faults if it belongs to another backend or model (None: any model will do),
    or its files are no longer those that were compiled.
    """
    path = given if model is None else find(given, hardware, model)
    content = jsonc.read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: is not a compile result: it must be an object")
    raw = {key: value for key, value in content.items() if key != ARTIFACT}
    about = content.get(ARTIFACT) or {}
    if not isinstance(about, dict):
        raise UserError(f"{path}: {ARTIFACT} is not an object")
    faults = [
        Fault(str(path), f"{ARTIFACT}.{key}", about[key], wanted)
        for key, wanted in (("hardware", hardware), ("model", model))
        if wanted is not None and about.get(key) not in (None, wanted)
    ]
    faults += [
        Fault(str(path), key, text, "plain data; an object ended with the process that compiled it")
        for key, text in _texts(raw, "")
        if _LIVING.fullmatch(text)
    ]
    faults += [fault for each in about.get("files", ()) if (fault := _changed(path, each))]
    if faults:
        raise Faults(faults)
    return Artifact(path, raw, about)


def digest(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a folder, or an ONNX file with weights beside it, of the
    files' names and contents in order.
    """
    from qs.tensors.digest import sha256_of

    files, root = sorted(each for each in path.rglob("*") if each.is_file()), path
    if path.is_file():
        files, root = [path, *_weights(path)], path.parent
    total = sum(file.stat().st_size for file in files)
    if files == [path]:
        return total, sha256_of(path)
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(root)}\0{sha256_of(file)}\n".encode())
    return total, whole.hexdigest()


def _weights(path: Path) -> list[Path]:
    """The files beside an ONNX file that are part of it. If one is missing, whoever opens the model
    says so.
    """
    try:
        return data_files(path) if path.suffix == ".onnx" else []
    except UserError:
        return []


def _changed(artifact: Path, stated: Mapping[str, Any]) -> Fault | None:
    path = Path(str(stated.get("path")))
    if not path.exists():
        return Fault(
            str(artifact), str(stated.get("key")), str(path), "a file that is there; compile again"
        )
    if digest(path)[1] != stated.get("sha256"):
        hint = f"its SHA-256 is no longer {stated.get('sha256')}; compile again"
        return Fault(
            str(artifact),
            str(stated.get("key")),
            str(path),
            "the file that was compiled",
            hint=hint,
        )
    return None


def _with_absolute_paths(value: Any, work: Path, key: str, files: list[dict[str, Any]]) -> Any:
    """A copy in which every text that names a file or folder is its absolute path, without our own
    links in it.
    """
    if isinstance(value, Mapping):
        return {
            name: _with_absolute_paths(item, work, f"{key}.{name}" if key else str(name), files)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            _with_absolute_paths(item, work, f"{key}[{at}]", files) for at, item in enumerate(value)
        ]
    if not isinstance(value, str) or not _may_be_path(value, key):
        return value
    try:
        path = Path(work, value)
        if not path.exists():
            return value
    except (OSError, ValueError):  # too long for a path, or with a NUL: some other text
        return value
    real = str(path.resolve())
    if all(each["path"] != real for each in files):
        files.append({"key": key, "path": real})
    return real


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts(item, f"{key}[{at}]")


def _may_be_path(text: str, key: str) -> bool:
    """What a compiled_obj says may be a bare file name; any other value must look like a path to be
    taken for one.
    """
    return bool(text.strip()) and ("/" in text or OBJECT_KEY in key.rpartition(".")[2])
