"""What a backend's process answers, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Loaded:
    """A copy of the model, loaded."""

    batch_size: int  # of what was loaded, which may differ from what was asked for
    seconds: float
    takes_threads: bool  # whether the backend can be told its intra_op_threads


@dataclass(frozen=True)
class QsMode:
    """What the backend says about being driven by our engine."""

    supported: bool
    config: Mapping[str, Any] | None  # its QS config, as given


@dataclass(frozen=True)
class RealAnswer:
    """What a server answered to one request, as it came; `why` there is none."""

    request_bytes: int | None = None
    head: bytes = b""  # of HTTP
    body: bytes | None = None
    why: str = ""
