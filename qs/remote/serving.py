"""A served model, from its address to its answers: what everything outside of the measurement uses.

    serving = Serving(Asked.of({"url": "kserve+http://127.0.0.1:8000/digits"}))
    model = serving.describe()                    # waits until it is ready
    outputs = serving.infer({"x": array})         # one request, blocking

The measured requests are made by `serving.request(feeds)` and sent by a client from
`serving.client()`. Left out: which requests, when, and what becomes of their times.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.base.words import span
from qs.engine.wire.settings import ClientSettings, Tls
from qs.llm.outcomes import Outcome
from qs.remote.address import Address
from qs.remote.asked import Asked
from qs.remote.asking import Asking, client_of
from qs.remote.protocol import BadAnswer, NotReady, Protocol, Request, ServedModel, Unanswered
from qs.remote.retrying import RetryingClient, retry_after_s
from qs.remote.sequences import SequencedClient, SingleSequences
from qs.remote.waiting import hint_of, may_pass, why_failed

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

CONNECTIONS = 256
TRIES = 3  # of single requests to a language model's server that fails now and then
EVERY_S = 0.25  # between two looks whether it is ready
ANSWER_S = 600.0  # a large model's first answer may take minutes
# A model that a ready server has not heard of may be about to be loaded; longer than this it is
# misspelt.
UNKNOWN_S = 5.0


class Serving:
    """One served model. Nothing is sent before it is asked for something; `close` at the end."""

    def __init__(self, asked: Asked, ask: Callable[[Request], WireCall] | None = None) -> None:
        """`ask` sends a request and waits for the answer; by default over a connection for each
        thread. UserError where a header's secret cannot be read.
        """
        self.asked = asked
        self.address: Address = asked.address()
        self.settings: ClientSettings = settings_of(asked, self.address)
        self.protocol: Protocol = protocol_of(self.address, asked)
        # says of an answered request whether it has failed, where the protocol has a say in it
        self.judge: Callable[[WireCall], None] | None = getattr(self.protocol, "judge", None)
        self._given = ask
        self._asking: dict[str, Asking] = {}
        self._single = SingleSequences(asked.sequence_base)
        self._model: ServedModel | None = None
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    def ready(self, limit_s: float | None = None) -> ServedModel:
        """The model, once the server says that it is ready; NotReady with what is missing when
        `limit_s` (default: the user's) has passed, or when waiting is of no use. UserError.
        """
        limit_s = self.asked.ready_timeout_s if limit_s is None else limit_s
        begun = time.monotonic()
        while True:
            try:
                self._model = self._described()
                return self._model
            except NotReady as missing:
                waited = time.monotonic() - begun
                enough = min(UNKNOWN_S, limit_s) if missing.unknown else limit_s
                if missing.final or waited + EVERY_S > enough:
                    words = f"; waited {span(waited)} for it" if waited > 1 else ""
                    raise NotReady(f"{missing}{words}", final=True) from None
            time.sleep(EVERY_S)

    def describe(self) -> ServedModel:
        """The model as the server describes it, asked for once."""
        with self._lock:
            return self._model or self.ready()

    def _described(self) -> ServedModel:
        try:
            return self.protocol.describe(self.question)
        except BadAnswer as fault:
            raise UserError(
                f"{self.address}: {fault}; does it speak {self.address.scheme}?"
            ) from None

    def ask(self, request: Request) -> WireCall:
        """Send one request and wait for its end. A failure is in the call; its body is kept."""
        if self._given is not None:
            return self._given(self._single.made(request))
        asking = self._asked_by(self.asked.client)
        return asking.ask(self._single.made(request), self.settings.timeout_s or ANSWER_S)

    def question(self, request: Request) -> WireCall:
        """The same for what a server answers without computing anything: not for long."""
        if self._given is not None:
            return self._given(request)
        return self._asked_by("lean").ask(request, self.asked.ready_timeout_s)

    def _asked_by(self, client: str) -> Asking:
        with self._opening:
            if client not in self._asking:
                # nothing else ends the waits of a blocking client
                limit_s = self.settings.timeout_s or (None if client == "lean" else ANSWER_S)
                settings = replace(self.settings, timeout_s=limit_s)
                self._asking[client] = Asking(settings, self.address.transport, client)
            return self._asking[client]

    def request(self, feeds: Mapping[str, np.ndarray]) -> Request:
        """One batch as a request, to be sent any number of times. UserError."""
        self.describe()
        return self.protocol.request(feeds)

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """The arrays in the answer of a call that has not failed; BadAnswer."""
        self.describe()
        return self.protocol.outputs(call)

    def infer(self, feeds: Mapping[str, np.ndarray], brief: bool = False) -> dict[str, np.ndarray]:
        """One inference, blocking; `brief`: any answer will do, the shorter the better; of a model
        that has nothing to say to this prompt there are no outputs: it may have to the next one, or
        when it is held to a length. Unanswered, BadAnswer, UserError.
        """
        self.describe()
        shorter = getattr(self.protocol, "brief", None) if brief else None
        try:
            return self.answered(self.request(feeds) if shorter is None else shorter(feeds))
        except Unanswered as error:
            if not brief or error.failure != Outcome.EMPTY_ANSWER.value:
                raise
            return {}

    def answered(self, request: Request) -> dict[str, np.ndarray]:
        """The outputs of one request, blocking. Unanswered, BadAnswer, UserError."""
        return self.outputs(self.answer(request))

    def answer(self, request: Request) -> WireCall:
        """The answer to one request outside of a measurement, blocking. A server that says it is
        busy is asked again while it may be waited for, a language model's that failed a few times.
        Unanswered.
        """
        begun = time.monotonic()
        tries = TRIES if self.asked.llm is not None else 1
        while True:
            tries -= 1
            call = self.ask(request)
            if self.judge is not None:
                self.judge(call)
            if call.failure is None:
                return call
            pause_s = retry_after_s(call, time.time())
            left_s = self.asked.ready_timeout_s - (time.monotonic() - begun)
            again = tries > 0 and may_pass(call)
            if not again and (pause_s is None or pause_s > left_s):
                words = one_line(f"{self.address}: {why_failed(self.address, call)}", 400)
                hint = hint_of(self.address, call)
                raise Unanswered(words + (f"; {hint}" if hint else ""), call.failure)
            time.sleep(min(max(pause_s or 0.0, EVERY_S), max(left_s, EVERY_S)))

    def client(self, instance: int = 0, instances: int = 1) -> Any:
        """A new client for the measured requests: HttpClient or GrpcClient, not yet opened. Of
        several processes each is one of the instances: they share the connections and the ids of
        sequences.
        """
        share = -(-self.settings.connections // instances)
        settings = replace(self.settings, connections=share)
        client, asked = client_of(settings, self.address.transport), self.asked
        if asked.llm is not None:
            return RetryingClient(client, asked.llm.retries)
        if not asked.sequences:
            return client
        first = asked.sequence_base + instance
        return SequencedClient(client, asked.sequences, asked.sequence_length, first, instances)

    def diverted(self, port: int) -> Serving:
        """The same model and the same requests, sent to a port of this machine without TLS."""
        made = copy(self)
        made.settings = replace(self.settings, host="127.0.0.1", port=port, tls=None, proxy=None)
        made._given, made._asking = None, {}
        return made

    def facts(self) -> dict[str, str]:
        """Of the connection that single requests go over: "address", the name resolved, "tls"."""
        with self._opening:
            return next((each.facts for each in self._asking.values()), {})

    def close(self) -> None:
        """Give back what the server holds for us, and end the connections for single requests."""
        release = getattr(self.protocol, "close", None)
        if release is not None:
            release()
        with self._opening:
            asking, self._asking = list(self._asking.values()), {}
        for each in asking:
            each.close()


def protocol_of(address: Address, asked: Asked) -> Protocol:
    """The protocol of the address's scheme, as SCHEMES names it."""
    file, _, name = address.protocol.partition(":")
    module = importlib.import_module(f"qs.remote.protocols.{file}")
    made: Protocol = getattr(module, name)(address, asked)
    return made


def settings_of(asked: Asked, address: Address) -> ClientSettings:
    """The client's settings. UserError with what its checks say."""
    tls = None
    if address.tls:
        tls = Tls(
            ca=asked.ca or None,
            verify=not asked.insecure,
            server_name=asked.server_name or None,
            certificate=asked.certificate or None,
            key=asked.key or None,
        )
    settings = ClientSettings(
        host=address.host,
        port=address.port,
        tls=tls,
        connections=asked.connections or CONNECTIONS,
        connect_timeout_s=asked.connect_timeout_s,
        first_byte_timeout_s=asked.first_byte_timeout_s,
        timeout_s=asked.timeout_s,
        order=asked.order,
        open_while_measuring=asked.open_while_measuring,
        proxy=asked.proxy or None,
        streams=asked.streams,
        stall_timeout_s=asked.stall_timeout_s,
        streamed=asked.llm is not None and asked.llm.stream,
    )
    faults = settings.faults()
    if faults:
        raise UserError(f"{address}: {'; '.join(faults)}")
    return settings
