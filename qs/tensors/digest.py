"""SHA-256 of files. The digest of a large file is kept in the cache, as long as the file's size and
times stay the same, also that of its last change, which no program can set.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

from qs.base.cache import build_once, key_of
from qs.base.errors import UserError
from qs.tensors.onnx_data import data_files

LARGE_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
MOST_FILES = 10_000  # of a folder that is a model


def sha256_of(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    stat = path.stat()
    if stat.st_size < LARGE_BYTES:
        return read_sha256(path)

    facts = {
        "path": str(path.resolve()),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,  # whoever sets the other times back cannot set this one
        "inode": stat.st_ino,
    }

    def noted(digest: str) -> str:
        return f"{digest} {key_of({**facts, 'sha256': digest})}"

    def note(new: Path) -> None:
        new.write_text(noted(read_sha256(path)))

    def sound(note: Path) -> bool:
        return note.read_text() == noted(note.read_text()[:64])

    return build_once(f"digests/{key_of(facts)}", ".sha256", note, sound).read_text()[:64]


def digests_of(model: Path) -> dict[str, str]:
    """File name -> digest, for a model's file and those beside it that hold its weights, the file
    first; a folder's own, of the names and contents of the files in it, under its name, then those
    of the files. UserError if one is missing.
    """
    if model.is_dir():
        inside = sorted(file for file in islice(model.rglob("*"), MOST_FILES + 1) if file.is_file())
        if len(inside) > MOST_FILES:
            raise UserError(
                f"{model} holds more than {MOST_FILES:,} files: no model does; name its own folder"
            )
        files = {_printable(file.relative_to(model).as_posix()): sha256_of(file) for file in inside}
        whole = "".join(f"{name}\0{digest}\n" for name, digest in files.items())
        named = {f"{model.name}/{name}": digest for name, digest in files.items()}
        return {model.name: hashlib.sha256(whole.encode()).hexdigest()} | named
    beside: list[Path] = []
    if model.suffix.lower() == ".onnx":
        beside = data_files(model)
    elif model.suffix.lower() == ".xml":  # OpenVINO
        beside = [each for each in [model.with_suffix(".bin")] if each.is_file()]
    return {file.name: sha256_of(file) for file in [model, *beside]}


def _printable(name: str) -> str:
    """A file's name as a result can hold it: not all names are UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_sha256(path: Path) -> str:
    """The digest of the file's present content, never from the cache."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def verified(path: Path, sha256: str) -> Path:
    """A cached file, if its digest is the one it is named after. UserError if it was changed, or is
    another file.
    """
    got = sha256_of(path)
    if got != sha256:
        raise UserError(
            f"{path} has sha256 {got}, not {sha256}: delete it, or put the right file there"
        )
    return path
