"""What a user says about a served model: by flags, by answers or in a file, checked at once.

The values of headers are secrets. They are kept as they were typed, `@env:NAME` and `@file:PATH`
are read where a request is made, and nothing that is shown or written has more than their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from qs.base.addresses import HIDDEN
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.llm.asked import LlmAsked
from qs.llm.asked import read as read_llm
from qs.remote.address import KSERVE, OPENAI, Address, parse
from qs.remote.reading import ReadFault, flag_of, read_named, read_value

Client = Literal["lean", "blocking", "grpcio"]
LARGEST_SECRET = 64 << 10  # bytes of a file that holds a header's value
# Names that flags and files of other tools have for the same.
_ALIASES = {
    "header": "headers",
    "parameter": "parameters",
    "metric": "metrics",
    "connection_order": "order",
    "model_name": "model",
    "model_version": "version",
}
# Set by us, or for one connection alone (RFC 9110, section 7.6.1): a request is sent many times.
_OURS = (
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
    "upgrade", "expect", "proxy-connection", "accept-encoding", "content-encoding", "content-type",
    "inference-header-content-length",
)  # fmt: skip


_AUTHORISING = {"authorization", "x-api-key"}


@dataclass(frozen=True, repr=False)
class Asked:
    """A served model and how it is spoken to. `of` checks, this does not."""

    url: str
    model: str = ""
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of each request, by name; `true`, `3` and `0.5` are what they look like, all else is text."""
    binary: Literal["auto", "always", "never"] = "auto"
    compression: Literal["", "gzip"] = ""
    sequences: int = 0
    sequence_length: int = 20
    """Requests of one sequence, from its start to its end."""
    sequence_base: int = 1
    """The first sequence's id."""
    shared_memory: bool = False
    connections: int | None = None
    streams: int = 1
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float | None = None
    timeout_s: float | None = None
    ready_timeout_s: float = 60.0
    ca: str = ""
    insecure: bool = False
    server_name: str = ""
    certificate: str = ""
    key: str = ""
    proxy: str = ""
    order: Literal["last", "first"] = "last"
    open_while_measuring: bool = False
    template: str = ""
    client: Client = "lean"
    metrics_url: str = ""
    metrics: tuple[str, ...] = ()
    stall_timeout_s: float | None = None
    """Between two parts of an answer that is streamed."""
    llm: LlmAsked | None = None
    """Of a language model; None of everything else."""

    @classmethod
    def of(cls, given: Mapping[str, Any], source: str = "") -> Asked:
        """From plain values by name; None and a missing key are the default. Faults name the flag,
        or the key of `source`, a file, where one is given.
        """
        faults: list[Fault] = []
        kept: dict[str, Any] = {}
        known = {each.name for each in fields(cls)}
        for stated, value in given.items():
            key = _ALIASES.get(stated, stated)
            if key not in known:
                allowed = "a key of " + ", ".join(sorted(known))
                close = nearest(stated, known)
                faults.append(Fault(source or "served model", stated, value, allowed, close))
            elif value is None:
                continue
            elif key == "llm":
                kept["llm"], wrong = read_llm(value, source)
                faults += wrong
            else:
                try:
                    kept.update(read_value(key, value))
                except ReadFault as fault:
                    faults.append(_fault(source, key, fault.shown, fault.allowed, fault.hint))
        if not kept.get("url"):
            allowed = "an address such as kserve+http://127.0.0.1:8000/MODEL"
            faults.append(_fault(source, "url", given.get("url") or "", allowed))
        asked = cls(**{"url": "", **kept})
        address = None
        try:
            if asked.url:
                address = parse(asked.url, asked.model, asked.version, source or "url")
        except Faults as error:
            faults += error.faults
        if address is not None and address.backend == OPENAI and asked.llm is None:
            asked = replace(asked, llm=LlmAsked())
        faults += [_fault(source, *each) for each in asked._together(address)]
        if faults:
            raise Faults(faults)
        return asked

    def address(self) -> Address:
        """Where the model is; Faults."""
        return parse(self.url, self.model, self.version)

    def plain(self) -> dict[str, Any]:
        """For a compile result: `of` makes the same of it. Headers' values stand in it as they were
        typed; what is shown or kept has `public`.
        """
        plain = asdict(self)
        plain["headers"], plain["parameters"] = dict(self.headers), dict(self.parameters)
        plain["metrics"] = list(self.metrics)
        return plain

    def public(self) -> dict[str, Any]:
        """The same without secrets: of headers their names, of addresses no credentials."""
        from qs.base.addresses import public_in

        plain: dict[str, Any] = public_in(self.plain())
        plain["headers"] = dict.fromkeys(self.headers, HIDDEN)
        return plain

    def headers_now(self) -> dict[str, str]:
        """The headers to send: what `@env:NAME` and `@file:PATH` stand for, read now. UserError."""
        return {name: _secret(f"--header {name}", value) for name, value in self.headers.items()}

    def key_now(self) -> str:
        """The key of a language model's API, read now; "" if there is none. UserError."""
        stated = self.llm.api_key if self.llm is not None else ""
        return _secret("--api_key", stated) if stated else ""

    def parameters_now(self) -> dict[str, bool | int | float | str]:
        """The parameters as what they look like."""
        return {name: read_named(value) for name, value in self.parameters.items()}

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.public().items())
        return f"Asked({shown})"

    def _together(self, address: Address | None) -> Iterable[tuple[str, object, str]]:
        """(key, value, allowed) of what does not fit the rest."""
        for name in self.headers:
            if name.lower() in _OURS:
                yield "headers", name, "headers that the client does not set itself"
        if self.key and not self.certificate:
            yield "key", self.key, "nothing, without --certificate"
        if self.ca and self.insecure:
            yield "insecure", True, "either a --ca to verify with, or no verification"
        for key in ("ca", "certificate", "key", "template"):
            if getattr(self, key) and not Path(getattr(self, key)).is_file():
                yield key, getattr(self, key), "a file that exists"
        if address is None:
            return
        for key in ("ca", "insecure", "server_name", "certificate"):
            if getattr(self, key) and not address.tls:
                tls = f"{address.scheme}s://"
                yield key, getattr(self, key), f"nothing, without TLS; {tls} has it"
        yield from self._of_language_model(address)
        kserve = address.backend == KSERVE
        for key in ("sequences", "shared_memory", "compression"):
            if getattr(self, key) and not kserve:
                yield key, getattr(self, key), f"nothing, with {address.scheme}://"
        if self.binary != "auto" and not (kserve and address.transport == "http"):
            yield "binary", self.binary, "auto: only kserve+http:// and kserve+https:// have both"
        if self.compression and self.shared_memory:
            yield (
                "compression",
                self.compression,
                "nothing, with --shared_memory: no tensor is sent",
            )
        if self.compression and self.sequences:
            yield "compression", self.compression, "nothing, with --sequences: ids are put in late"
        if self.client != "lean" and self.sequences:
            yield "client", self.client, "lean, with --sequences"
        if self.streams > 1 and address.transport == "http":
            yield "streams", self.streams, "1, over HTTP/1.1: one request at a time per connection"
        if self.client == "grpcio" and address.transport == "http":
            yield "client", self.client, "lean or blocking, over HTTP"
        if self.client == "blocking" and address.transport == "grpc":
            yield "client", self.client, "lean or grpcio, over gRPC"
        if self.proxy and address.transport == "grpc" and not address.tls:
            yield "proxy", self.proxy, "nothing, over gRPC without TLS: proxies pass on HTTP/1.1"
        if self.template and kserve:
            yield "template", self.template, "nothing, with KServe's protocol"

    def _of_language_model(self, address: Address) -> Iterable[tuple[str, object, str]]:
        """The same, of an address of a language model, or of one that is none."""
        if address.backend != OPENAI:
            if self.llm is not None:
                for name in _stated(self.llm):
                    yield name, "given", f"nothing, with {address.scheme}://; openai+http:// has it"
            if self.stall_timeout_s is not None:
                yield "stall_timeout_s", self.stall_timeout_s, "given with an answer that streams"
            return
        assert self.llm is not None
        for name in ("template", "version"):
            if getattr(self, name):
                yield name, getattr(self, name), f"nothing, with {address.scheme}://"
        for name in self.parameters:
            yield "parameters", name, "nothing: --body KEY=VALUE sends a field of a request's body"
        if self.llm.api_key and {name.lower() for name in self.headers} & _AUTHORISING:
            yield "api_key", self.llm.api_key, "one of --api_key and a header that holds the key"
        if self.client != "lean":
            yield "client", self.client, "lean: of answers to others no tokens are read"
        if self.stall_timeout_s is not None and not self.llm.stream:
            yield "stall_timeout_s", self.stall_timeout_s, "given with an answer that streams"


def _stated(llm: LlmAsked) -> list[str]:
    """The names of what is not as it is by default."""
    default = LlmAsked()
    return [
        each.name
        for each in fields(llm)
        if getattr(llm, each.name) != getattr(default, each.name) and each.name != "seed"
    ]


def _fault(source: str, key: str, value: object, allowed: str, hint: str | None = None) -> Fault:
    return Fault(source or flag_of(key), key if source else "", value, allowed, hint=hint)


def _secret(flag: str, value: str) -> str:
    kind, _, place = value.partition(":")
    if kind == "@env" and place:
        if place not in os.environ:
            raise UserError(f"{flag}: the environment has no variable {place}")
        found = os.environ[place]
    elif kind == "@file" and place:
        try:
            with open(place, "rb") as file:
                content = file.read(LARGEST_SECRET + 1)
            if len(content) > LARGEST_SECRET:
                raise UserError(f"{flag}: {place} is too large for a header's value")
            found = content.decode()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise UserError(f"{flag}: {place} cannot be read: {reason}") from None
    else:
        return value
    found = found.strip()
    if not found.isprintable() or not found.isascii():
        raise UserError(f"{flag}: what {kind}:{place} holds is not one line of ASCII")
    return found
