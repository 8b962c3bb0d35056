"""A compile result as an artifact: left on disk so that a later run, anywhere, can take it and
compile nothing.

The file is the backend's own compile result with one key of ours, ARTIFACT, that holds what a later
run has to know. Paths in it are absolute; every file that it names is stated with its SHA-256.
The named files stay where the backend put them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, StrictStr

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import write_json
from qs.config.checking import BATCH_SIZES, BatchSize, Checkable, check
from qs.config.compile_result import check_compile_result
from qs.tensors.model_files import TooLarge, files_below, weights_beside

ARTIFACT = "qs_artifact"
FORMAT = 1
OBJECT_KEY = "compiled_obj"
_KERNELS = (("/", "proc"), ("/", "sys"), ("/", "dev"))
MOST_FILES, MOST_BYTES = 10_000, 64 << 30  # of a folder that a compile result names
# How Python prints an object that has no words of its own.
_LIVING = re.compile(r"<.* at 0x[0-9a-f]+>")


class NotedFile(Checkable):
    """A file that the compile result names."""

    key: StrictStr
    path: StrictStr
    bytes: Annotated[int, Field(strict=True, ge=0)] | None = None
    sha256: StrictStr | None = None


class Note(Checkable):
    """What ARTIFACT holds. Everything may be missing, as in a compile result from elsewhere."""

    hardware: StrictStr | None = None
    model: StrictStr | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    versions: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None
    batch_sizes: tuple[BatchSize, ...] | None = None
    model_info: dict[str, Any] | None = None
    files: tuple[NotedFile, ...] = ()

    ALLOWED: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("hardware", "model"), "a string"),
        "seconds": "a number >= 0",
        **dict.fromkeys(("versions", "answers", "model_info"), "an object"),
        "batch_sizes": BATCH_SIZES,
        "files": "a list of {key, path, bytes, sha256}",
    }


@dataclass(frozen=True)
class Artifact:
    """A compile result read from disk."""

    path: Path
    raw: dict[str, Any]  # as the backend gave it, with absolute paths
    about: dict[str, Any]  # what was noted beside it


def leave(
    path: Path,
    raw: Mapping[str, Any],
    about: Mapping[str, Any],
    work: Path,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Write the artifact. Returns the files that it names, each {"key", "path", "bytes", "sha256"}.
    Relative paths are relative to `work`. `say` is told of folders too large to be read.
    """
    files: list[dict[str, Any]] = []
    content = _with_absolute_paths(dict(raw), work, "", files)
    for each in files:
        try:
            each["bytes"], each["sha256"] = digest(Path(each["path"]))
        except TooLarge as reason:
            say(f"{each['key']} of the compile result: {reason}; its content is not checked later")
            each["bytes"] = each["sha256"] = None
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
        found = sorted(place.glob("compile-*.json")) or sorted(place.glob("compile.sweep-*.json"))
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
    checked = check(Note, about, str(path), prefix=f"{ARTIFACT}.")
    wrong = [*check_compile_result(raw, str(path)).faults, *checked.faults]
    if wrong:
        raise Faults(wrong)
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
    """Bytes and SHA-256 of a file; of a folder, or a model with weights beside it, of the files'
    names and contents in order. TooLarge for a folder that no compiler made.
    """
    from qs.tensors.digest import sha256_of

    if path.resolve().parts[:2] in _KERNELS:
        raise TooLarge(f"{path} is the kernel's: it has no content that stays as it is")
    if path.is_file():
        files, root = [path, *weights_beside(path)], path.parent
    else:
        files, root = sorted(files_below(path, MOST_FILES, MOST_BYTES)), path
    total = sum(file.stat().st_size for file in files)
    if files == [path]:
        return total, sha256_of(path)
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(root)}\0{sha256_of(file)}\n".encode())
    return total, whole.hexdigest()


def _changed(artifact: Path, stated: Mapping[str, Any]) -> Fault | None:
    path = Path(str(stated.get("path")))
    if not path.exists():
        return Fault(
            str(artifact), str(stated.get("key")), str(path), "a file that is there; compile again"
        )
    if stated.get("sha256") is None:
        return None  # too large to be looked at when it was noted, which was said
    try:
        unchanged = digest(path)[1] == stated.get("sha256")
    except (TooLarge, OSError):
        unchanged = False
    if not unchanged:
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
    real = os.path.abspath(path)  # links stay: weights may lie beside them
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
