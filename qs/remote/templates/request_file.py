"""What a template file says, once it has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.remote.templates.answers import Output
from qs.tensors.generated import NUMPY_TYPES


@dataclass(frozen=True)
class Input:
    """An input that samples are made for."""

    name: str
    type: str = "STRING"
    shape: tuple[int, ...] = (-1,)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(NUMPY_TYPES[self.type])


@dataclass(frozen=True)
class Part:
    """One part of a multipart body."""

    name: str
    value: str
    filename: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class RequestFile:
    """What a template file says."""

    file: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    kind: str = ""
    """Of the body: a key of BODIES; "" for none."""
    body: Any = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    status: tuple[int, ...] = ()
    """Those that are an answer; () for any from 200 to 299."""
    max_batch_size: int | None = None
    """As stated."""
    single: str = ""
    """Why no more than one item fits into a request; "" if more do."""
    ready: str | None = None
    name: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.inputs)
