"""Requests in place of batches: how the engine drives a backend that has
qs.contract.server_backend's methods.

A case's batches are made requests once, here, before anything is timed. With pool "async" they are
started; in pools that block, the backend's `ask` sends them, if it has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from qs.base.errors import UserError
from qs.contract.server_backend import is_started

Done = Callable[[Any], None]
Start = Callable[[Any, Done], Any]


def takes_requests(backend: Any, pool: str | None) -> bool:
    """Whether a pool of that kind gives this backend requests rather than batches."""
    if pool is None or not is_started(backend):
        return False
    return pool == "async" or callable(getattr(backend, "ask", None))


def with_runner(config: Any, backend: Any) -> Any:
    """The backend's QS config; where it states neither runner nor pool, the runner "async", which
    is what a backend whose requests are started is for.
    """
    if not is_started(backend) or not (config is None or isinstance(config, Mapping)):
        return config
    stated = dict(config or {})
    if stated.get("pool") is None and stated.get("runner") is None:
        return {"qs_version": 2} | stated | {"runner": "async"}
    return config


def requests_of(backend: Any, batches: Sequence[Any]) -> list[Any]:
    """The batches as requests, in their order."""
    return [backend.request_of(batch) for batch in batches]


def as_conversations(backend: Any, requests: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """(The requests as conversations, the requests as they could be asked again alone): an object
    of no request stands for a turn, which is sent after what was said before. UserError.
    """
    make = getattr(backend, "conversations_of", None)
    if not callable(make):
        raise UserError("this backend has no conversations, which --scenario sessions asks for")
    talks = make(requests)
    alone = [
        object() if turn else request
        for talk in talks
        for turn, request in enumerate(talk.requests)
    ]
    return talks, alone


def check_alone(requests: Sequence[Any]) -> None:
    """UserError for turns of conversations, which are nothing without what was said before."""
    if any(getattr(getattr(each, "prompt", None), "conversation", "") for each in requests):
        raise UserError(
            "the prompts are conversations, whose turns wait for the answers before: --users N or "
            "--sessions_per_s N sends them so"
        )


def refuse(shared_by: int | None, states: Mapping[str, str]) -> None:
    """UserError for what would have to change a request while it is measured."""
    asked = []
    if shared_by:
        asked.append("--max_batch_size (dynamic batching): the server forms its own batches")
    if states:
        asked.append(
            f"--state ({', '.join(states)}): requests that are on their way at the same time "
            "have no order in which outputs could be fed back"
        )
    if asked:
        raise UserError(
            "the requests of this backend are made once, before they are measured, which "
            f"rules out {'; '.join(asked)}"
        )


class RequestFailed(Exception):
    """A request that was asked for with `ask` has failed. The engine counts by the class's name:
    each kind of failure has a class of its own, named like it.
    """

    kinds: dict[str, type[RequestFailed]] = {}

    @classmethod
    def of(cls, call: Any) -> RequestFailed:
        kind = str(call.failure)
        made = cls.kinds.get(kind)
        if made is None:
            made = cls.kinds.setdefault(kind, type(kind, (cls,), {}))
        return made(getattr(call, "detail", "") or kind)


def asking(backend: Any, lists: bool, verifier: Any = None) -> Callable[[Any], Any]:
    """The backend's `ask` as a blocking target: what failed is raised. With `lists`, a query's
    requests one after the other. `verifier` keeps answers.
    """
    ask = backend.ask if verifier is None else verifier.asked(backend.ask, backend.outputs_of)

    def call(request: Any) -> Any:
        answer = ask(request)
        if answer.failure is not None:
            raise RequestFailed.of(answer)
        return answer

    def in_order(requests: Any) -> list[Any]:
        return [call(request) for request in requests]

    return in_order if lists else call


def started_target(
    backend: Any, drive: Any, looking: Any, verifier: Any = None
) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """(A coroutine function on top of it, what the engine's Target takes) of a backend whose
    requests are started, as a `Drive` says: all requests of a query at once. `verifier` keeps
    answers, `looking` one now and then.
    """
    start = backend.start
    if verifier is not None:
        start = verifier.started(start, backend.outputs_of)
    if drive.lists:
        start = together(start)
    start = looking.glancing(start)

    async def call(request: Any) -> Any:
        ended = asyncio.get_running_loop().create_future()
        start(request, ended.set_result)
        return await ended

    own = {name: getattr(backend, name, None) for name in ("open", "close", "counts")}
    if drive.per_query > 1 and own["open"] is not None:
        own["open"] = partial(_opened, own["open"], drive.per_query)
    reader = getattr(backend, "reader", None)
    own["read"] = reader() if callable(reader) else None
    if own["read"] is not None and drive.lists:
        raise UserError(
            "the requests of a language model are read one by one: --scenario multi_stream and "
            "--samples_per_query ask for several at a time; --clients N sends N at a time"
        )
    return call, {"start": start} | own


async def _opened(open_for: Callable[[int], Awaitable[None]], per_query: int, clients: int) -> None:
    await open_for(clients * per_query)


def own_hooks(backend: Any) -> list[Any]:
    """The backend itself, if it wants to know when measuring begins and ends."""
    both = ("begin_measuring", "end_measuring")
    return [backend] if all(callable(getattr(backend, name, None)) for name in both) else []


def still(call: Any) -> Any:
    """A call whose answer stays as it is: what one receives may be another's memory soon."""
    if isinstance(getattr(call, "body", None), memoryview):
        call.body = bytes(call.body)
    return call


class Together:
    """One query of several requests: all are started at once, and it has ended when all have.

    A call as engine.call has it: issued and sent with the first of its parts, first byte with the
    first answer, last byte with the last one; it has failed if one of them has.
    """

    __slots__ = ("_done", "_left", "detail", "failure", "first_ns", "issued_ns", "last_ns",
                 "parts", "sent_ns")  # fmt: skip

    def __init__(self, done: Done, count: int) -> None:
        self._done, self._left = done, count
        self.parts: list[Any] = []
        self.issued_ns = self.sent_ns = self.first_ns = self.last_ns = 0
        self.failure: str | None = None
        self.detail = ""

    def ended(self, part: Any) -> None:
        """For each part, as its `done`."""
        self._left -= 1
        if part.failure is not None and self.failure is None:
            self.failure, self.detail = part.failure, part.detail
        if part.first_ns:
            self.first_ns = min(self.first_ns or part.first_ns, part.first_ns)
        self.last_ns = max(self.last_ns, part.last_ns)
        self.issued_ns = min(self.issued_ns or part.issued_ns, part.issued_ns)
        if part.sent_ns:
            self.sent_ns = min(self.sent_ns or part.sent_ns, part.sent_ns)
        if not self._left:
            self._done(self)

    def cancel(self) -> None:
        for part in self.parts:
            part.cancel()


def together(start: Start) -> Start:
    """`start` for queries that are lists of requests."""

    def start_all(requests: Sequence[Any], done: Done) -> Together:
        call = Together(done, len(requests))
        for request in requests:
            part = start(request, call.ended)
            call.parts.append(part)
            call.issued_ns = min(call.issued_ns or part.issued_ns, part.issued_ns)
        return call

    return start_all
