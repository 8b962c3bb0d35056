"""What a protocol to a served model is: three methods, one protocol a file in `protocols`.

    describe   asks the server what it serves
    request    one batch as the bytes that are sent, made once and sent many times
    outputs    the arrays of one answer, checked against what the server announced

Optional is `judge(call)`, called before a call ends: it may make a failure of an answer, or an
answer of a failure (a status that is expected).

A protocol is made from the address and what the user asked (`KserveHttp(address, asked)`), and
opens no connection: it is given what asks. `outputs` and `request` are called after `describe`. If
it has a `close`, that is called at the end, and may ask as well.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qs.base.errors import UserError
from qs.remote.address import Transport

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

# bytes for HTTP, a GrpcRequest for gRPC: what a client of qs.engine.wire starts
Request = Any
Ask = Callable[[Request], "WireCall"]


class BadAnswer(Exception):
    """An answer that is not what the server announced, or cannot be read; one line for a user."""


class Unanswered(RuntimeError):
    """A request outside of the measurement failed. `failure` is its word."""

    def __init__(self, message: str, failure: str) -> None:
        super().__init__(message)
        self.failure = failure


class NotReady(UserError):
    """The server, the model or its version is not there, or not yet. `final`: waiting is of no use.
    `unknown`: a ready server has no such model, which may change, but is a slip mostly.
    """

    def __init__(self, message: str, final: bool = False, unknown: bool = False) -> None:
        super().__init__(message)
        self.final = final
        self.unknown = unknown


@dataclass(frozen=True)
class ServedTensor:
    """An input or output, as the server announces it."""

    name: str
    datatype: str
    """As the protocol says it: FP32, BF16, BYTES."""
    dtype: np.dtype
    """What feeds and outputs of it are here: float32 for BF16, str for BYTES."""
    shape: tuple[int, ...]
    """-1 is an open dimension. The batch's is among them."""
    optional: bool = False


@dataclass(frozen=True)
class ServedModel:
    """A model, as its server describes it; "" and () where it says nothing."""

    name: str
    version: str = ""
    platform: str = ""
    inputs: tuple[ServedTensor, ...] = ()
    outputs: tuple[ServedTensor, ...] = ()
    max_batch_size: int = 0
    """Above 0: the first dimension is the batch, of at most that many. 0: the server batches
    nothing, or says nothing of it; an open first dimension may be a batch's all the same."""
    server_name: str = ""
    server_version: str = ""
    extensions: tuple[str, ...] = ()
    instance_groups: tuple[str, ...] = ()
    """One each, in words: "2 x CPU", "1 x GPU 0"."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is worth a line in a report, by name: scheduling, tensors ("binary", "JSON")."""


class Protocol(typing.Protocol):
    """How tensors travel to one kind of server and back."""

    transport: Transport

    def describe(self, ask: Ask) -> ServedModel:
        """Ask the server, by requests that `ask` sends and waits for. NotReady, UserError (what is
        served cannot be measured), BadAnswer.
        """
        ...

    def request(self, feeds: Mapping[str, np.ndarray]) -> Request:
        """One request for these inputs. UserError if a value cannot travel."""
        ...

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """Name -> array; text is an array of objects. BadAnswer. The call has been answered."""
        ...
