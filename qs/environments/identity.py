"""What an environment is named after: the content of its requirements, and the interpreter that it
is made for.

Equal content in two folders is one environment. Lines that name local files or folders are tied to
what lies there.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from qs.base import cache
from qs.base.errors import UserError
from qs.environments.requirements_file import Line

LAYOUT = 1  # of an environment's folder; another number makes all older ones strangers
KEY_DIGITS = 16
CHUNK_BYTES = 1 << 20
MAX_FILES = 100_000  # of a folder that a line names: its sizes and times are looked at
_OPTION = re.compile(r"--?[a-zA-Z-]+(?:\s*=\s*|\s+)(?P<value>\S.*)")
_MADE_BY_BUILDS = ("build", "dist", "__pycache__")


@dataclass(frozen=True)
class Identity:
    """`key` names the environment; `requirements_sha256` is the part that the files decide."""

    key: str
    requirements_sha256: str


def abi() -> str:
    """The interpreter's binary interface: what compiled extensions are built for."""
    return (
        sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag or sys.implementation.name
    )


def identity(folder: Path, lines: Sequence[Line]) -> Identity:
    """The identity of an environment for `lines`, under this interpreter. `folder` is what relative
    paths start from.
    """
    asked = {
        "lines": [[line.constraint, " ".join(line.expanded.split())] for line in lines],
        "local": [state for line in lines for state in _local_state(folder, line)],
    }
    digest = hashlib.sha256(cache.key_of(asked).encode()).hexdigest()
    interpreter = [platform.python_version(), abi(), sysconfig.get_platform()]
    key = cache.key_of({"layout": LAYOUT, "requirements": digest, "interpreter": interpreter})
    return Identity(key[:KEY_DIGITS], digest)


def _local_state(folder: Path, line: Line) -> Iterator[list[object]]:
    path = _local_path(folder, line)
    if path is None:
        return
    yield [str(path)]
    if path.is_file():
        digest = hashlib.sha256()
        with path.open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
        yield ["file", digest.hexdigest()]
    elif path.is_dir() and not line.expanded.startswith(("-f", "--find-links")):
        for file in sorted(_within(path, line)):
            parts = file.relative_to(path).parts
            made = any(
                p.startswith(".") or p in _MADE_BY_BUILDS or p.endswith(".egg-info") for p in parts
            )
            if not made and file.is_file():
                about = file.stat()
                yield ["/".join(parts), about.st_size, about.st_mtime_ns]


def _within(folder: Path, line: Line) -> Iterator[Path]:
    for number, file in enumerate(folder.rglob("*")):
        if number >= MAX_FILES:
            raise UserError(
                f"{line}: {folder} holds more than {MAX_FILES:,} files; name the package's folder"
            )
        yield file


def _local_path(folder: Path, line: Line) -> Path | None:
    """The file or folder that a line names, None for a name or an address."""
    named = line.expanded
    if line.is_option:
        option = _OPTION.fullmatch(named)
        if option is None:
            return None
        named = option["value"]
    else:
        try:
            named = Requirement(line.requirement).url or ""
        except InvalidRequirement:
            named = line.requirement.partition(";")[0]
    named = re.sub(r"\[[\w\s,.-]*\]$", "", named.strip()).strip("'\"")  # ./folder[extra]
    if named.startswith("file:"):
        named = unquote(urlsplit(named).path)
    if not named or "://" in named:
        return None
    try:
        path = (folder / Path(named).expanduser()).resolve()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, an unknown ~user: the installer's word
        return None
