"""What every kind of source is given, what an entry for a file from elsewhere must state, and how a
source says that it has nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.cache import cache_dir
from qs.base.errors import UserError

MODELS = "model_zoo"


@dataclass(frozen=True)
class ModelRequest:
    """A request for one file of a model or data set."""

    model_info: Mapping[str, Any]
    workspace_root: Path
    seed: int
    say: Callable[[str], None]
    progress: Callable[[int, int | None], None]
    """Called during downloads with the bytes so far and the total, None if unknown."""
    offline: bool = False
    folder: str = MODELS
    """The builders' folder in the workspace."""
    suffix: str = ".onnx"
    """Of the requested file."""
    wheels: Path | None = None
    """A folder that keeps wheels for as long as several files are taken from them."""

    @property
    def of_data(self) -> bool:
        """Whether it is for a file of a data set."""
        return self.folder != MODELS

    @property
    def model(self) -> str:
        return str(self.model_info.get("model") or self.model_info.get("name") or "the model")


class NotHere(Exception):
    """This source cannot provide the file now; the message says why. The next one is tried."""


def stated_sha256(entry: Mapping[str, Any], request: ModelRequest) -> str:
    """The entry's `sha256` in lower case. UserError if it is missing: nothing unverified is
    used.
    """
    value = str(entry.get("sha256", "")).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise UserError(
            f"{request.model}: the source {entry.get('kind')} needs `sha256`, 64 hexadecimal digits"
        )
    return value


def place_for(sha256: str, suffix: str) -> str:
    """What a user without a network can do: put the file where the cache would."""
    return f"put the file with sha256 {sha256} at {cache_dir() / 'models' / (sha256 + suffix)}"
