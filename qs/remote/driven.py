"""A served model behind the methods of a backend whose requests are started
(qs.contract.server_backend): what runtime backends of servers are made of.

Left out: which model it is and which batches it is sent; the backend's two classes say that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from qs.base.errors import UserError
from qs.remote.asked import Asked
from qs.remote.binding import Bound, bind
from qs.remote.conversations import Conversation, conversations
from qs.remote.protocol import BadAnswer, Request, ServedModel, ServedTensor, Unanswered
from qs.remote.serving import Serving
from qs.remote.waiting import why_failed

if TYPE_CHECKING:
    from qs.engine import Reader
    from qs.engine.wire.calls import WireCall
    from qs.llm.texts import AnswerTexts

Done = Callable[["WireCall"], None]


class Driven:
    """One served model, described, matched with the model info, and asked.

    Made for one process. `open` and `close` may be called again, on another event loop.
    """

    def __init__(
        self, asked: Asked, model_info: Mapping[str, Any], shares: int = 1, share: int = 0
    ) -> None:
        """`shares`: how many processes share the connections and ids of sequences; `share`: which
        of them this is. UserError.
        """
        self.serving = Serving(asked)
        self._info, self._shares, self._share = model_info, shares, share
        self.served: ServedModel | None = None
        self.bound: Bound | None = None
        self._client: Any = None
        self._judge = self.serving.judge
        self._counts: dict[str, int] = {}

    def look(self) -> ServedModel:
        """Ask the server what it serves, and match it, now. UserError if it is not there in time,
        does not fit, or is not what it was at the last look.
        """
        served, before = self.serving.ready(), self.served
        if before is not None:
            same_model(before, served, str(self.serving.address))
        self.bound = bind(served, self._info, str(self.serving.address))
        self.served = served
        return served

    def model(self) -> tuple[ServedModel, Bound]:
        """What the last look saw."""
        assert self.served is not None and self.bound is not None, "look comes first"
        return self.served, self.bound

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference on arrays under the server's own names, blocking, for a trial: any answer
        will do. Unanswered, BadAnswer.
        """
        return self.serving.infer(feeds, brief=True)

    def predict(self, data: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """One inference, blocking. Unanswered, BadAnswer, UserError."""
        request = self.request_of(data)
        if self.serving.asked.llm is not None:
            return self.outputs_of(self.serving.answer(request))
        call = self.ask(request)
        if call.failure is not None:
            address = self.serving.address
            raise Unanswered(f"{address}: {why_failed(address, call)}", call.failure)
        return self.outputs_of(call)

    # the contract of a backend whose requests are started

    def request_of(self, data: Mapping[str, Any]) -> Request:
        return self.serving.request(self.model()[1].feeds(data))

    def start(self, request: Request, done: Done) -> WireCall:
        judge = self._judge
        if judge is None:
            call: WireCall = self._client.start(request, done)
            return call

        def judged(call: WireCall) -> None:
            judge(call)
            done(call)

        call = self._client.start(request, judged)
        return call

    def ask(self, request: Request) -> WireCall:
        call = self.serving.ask(request)
        if self._judge is not None:
            self._judge(call)
        return call

    def outputs_of(self, call: WireCall) -> dict[str, np.ndarray]:
        """Under the model info's names. BadAnswer."""
        bound = self.model()[1]
        try:
            return bound.named(self.serving.outputs(call))
        except LookupError as missing:
            raise BadAnswer(str(missing.args[0])) from None

    def conversations_of(self, requests: Sequence[Any]) -> list[Conversation]:
        """The requests of turns as samples of the load Sessions. UserError where the protocol has
        none.
        """
        protocol, llm = self.serving.protocol, self.serving.asked.llm
        if llm is None:
            raise UserError(f"{self.serving.address}: only language models have conversations")
        return conversations(protocol, requests, llm.history)  # type: ignore[arg-type]

    def reader(self) -> Reader | None:
        """What reads answers when nothing is measured any more, where the protocol tells more of
        them than their outputs.
        """
        made = getattr(self.serving.protocol, "reader", None)
        return None if made is None else made(self.serving.ask)

    def texts(self) -> AnswerTexts | None:
        """How answers are compared that are texts; None of all others."""
        made = getattr(self.serving.protocol, "texts", None)
        return None if made is None else made()

    def diverted(self, port: int) -> Driven:
        """The same, with requests that go to a port of this machine, without TLS."""
        made = copy(self)
        made.serving = self.serving.diverted(port)
        made._client, made._counts = None, {}
        return made

    async def open(self, clients: int) -> None:
        """Connect for so many clients, 0 for as many as may be; never more than this process's
        share of the connections.
        """
        await self.close()  # of a case that broke off
        self._client = self.serving.client(self._share, self._shares)
        self._counts = {}
        await self._client.open(clients)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._counts = client.counts()
            await client.close()

    def close_asking(self) -> None:
        """End the connections that single requests were asked over."""
        self.serving.close()

    def counts(self) -> dict[str, int]:
        return self._counts if self._client is None else self._client.counts()

    def begin_measuring(self) -> None:
        self._client.begin_measuring()

    def end_measuring(self) -> None:
        self._client.end_measuring()


def same_model(before: ServedModel, now: ServedModel, where: str) -> None:
    """UserError if the server serves another model, or another version of it, than before."""
    for what, old, new in (
        ("name", before.name, now.name),
        ("inputs", _tensors(before.inputs), _tensors(now.inputs)),
        ("outputs", _tensors(before.outputs), _tensors(now.outputs)),
        ("max_batch_size", str(before.max_batch_size), str(now.max_batch_size)),
        ("version", before.version, now.version),
    ):
        if old != new:
            raise UserError(
                f"the model {now.name} at {where} has changed since this run began: its {what} "
                f"was {old or 'not stated'}, and is {new or 'not stated'}; name a version "
                "(/versions/N), or run again"
            )


def named_version(served: ServedModel) -> str:
    """The server's name and version, and the model's."""
    server = f"{served.server_name} {served.server_version}".strip() or "a server without a name"
    version = f" version {served.version}" if served.version else ""
    return f"{server}, model {served.name}{version}"


def facts(served: ServedModel) -> dict[str, Any]:
    """What a compile result keeps of it."""
    return {
        "model": served.name,
        "version": served.version,
        "platform": served.platform,
        "server": served.server_name,
        "server_version": served.server_version,
        "max_batch_size": served.max_batch_size,
        "inputs": _tensors(served.inputs),
        "outputs": _tensors(served.outputs),
        "instance_groups": list(served.instance_groups),
        "extensions": list(served.extensions),
        **{str(name): str(value) for name, value in served.facts.items()},
    }


def _tensors(tensors: tuple[ServedTensor, ...]) -> str:
    return ", ".join(f"{each.name} {each.datatype} {list(each.shape)}" for each in tensors)
