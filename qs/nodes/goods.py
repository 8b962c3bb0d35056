"""What a backend needs of this machine's files on a node, each named with its SHA-256: plain values
that are sent there. Who finds it is qs.nodes.shipping, what becomes of it there qs.nodes.arriving.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class File:
    """A file of this machine."""

    path: str  # absolute
    sha256: str
    size: int
    runs: bool = False  # whether it may be executed
    # entries of a model's or data set's sources (kinds url and pypi) that have a file of that
    # SHA-256
    sources: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Group:
    """Files that are used where they are only together.

    `places` are the folders and files that it is: a path that is one of them, or lies below one, is
    the group's on the node too.
    """

    places: tuple[str, ...]
    files: tuple[File, ...]
    # the backend's working folder, of which each node process has one of its own
    work: bool = False


@dataclass(frozen=True)
class Goods:
    """All that is needed. `roots` are the workspaces in search order, the backend's own first."""

    backend: str  # the folder
    roots: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    # names of variables that the values of headers are read from, with their values
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    # files whose content nobody may see, which are not sent: a node has to have them
    secrets: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, File]:
        """By SHA-256."""
        return {file.sha256: file for group in self.groups for file in group.files}


def below(path: str, place: str) -> bool:
    """Whether a path is a place, or lies below it."""
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)


@dataclass(frozen=True)
class Moved:
    """Where places of this machine are on a node, the innermost first."""

    places: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, places: Mapping[str, str]) -> Moved:
        return cls(sorted(places.items(), key=lambda each: -len(each[0])))

    def path(self, path: str) -> str:
        for here, there in self.places:
            if below(path, here):
                return there + path[len(here) :]
        return path

    def plain(self, value: Any) -> Any:
        """Plain data, with every text that is or lies below a place where that is there."""
        return over_texts(value, self.path)


def over_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of plain data, with every text changed, keys excepted."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: over_texts(each, change) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(over_texts(each, change) for each in value)
    return value
