"""Addresses of served models: `kserve+http://127.0.0.1:8000/MODEL/versions/3`.

The scheme says which protocol is spoken, over what, and which backend speaks it; SCHEMES has them
all. Nothing is looked for: the address is the one that the user typed. Left out: asking the server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import SplitResult, quote, unquote, urlsplit

from qs.base.addresses import public
from qs.base.errors import Fault, Faults
from qs.base.names import nearest

Transport = Literal["http", "grpc"]
KSERVE, HTTP, OPENAI = "KSERVE", "HTTP", "OPENAI"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLAIN = "/%:@!$&'()*+,;=~-._"  # beside letters and digits: what a path may have unquoted
MODELS = "/v2/models/"


@dataclass(frozen=True)
class Scheme:
    """What the first word of an address stands for."""

    backend: str
    protocol: str
    """`file:class` in qs/remote/protocols; it is imported where it is used."""
    transport: Transport
    tls: bool
    place: str
    """What follows the host, as it is written in messages."""
    named: bool = True
    """Whether a model is named; else the path belongs to the user's template."""
    prefix: str = ""
    """Not "": the path is what stands before the protocol's own paths, this one where none is
    stated, and the model is named beside the address."""

    @property
    def port(self) -> int:
        """Used where the address states none: that of every web server."""
        return 443 if self.tls else 80


_BEFORE = "[/PREFIX], /v1 if none is stated"
_IN_V2 = "/MODEL, /MODEL/versions/N, or /PREFIX/v2/models/MODEL[/versions/N]"
SCHEMES: dict[str, Scheme] = {
    "kserve+http": Scheme(KSERVE, "kserve_http:KserveHttp", "http", False, _IN_V2),
    "kserve+https": Scheme(KSERVE, "kserve_http:KserveHttp", "http", True, _IN_V2),
    "kserve+grpc": Scheme(KSERVE, "kserve_grpc:KserveGrpc", "grpc", False, _IN_V2),
    "kserve+grpcs": Scheme(KSERVE, "kserve_grpc:KserveGrpc", "grpc", True, _IN_V2),
    "torchserve+http": Scheme(HTTP, "torchserve:TorchServe", "http", False, "/MODEL[/versions/N]"),
    "torchserve+https": Scheme(HTTP, "torchserve:TorchServe", "http", True, "/MODEL[/versions/N]"),
    "tfserving+http": Scheme(HTTP, "tfserving:TfServing", "http", False, "/MODEL[/versions/N]"),
    "tfserving+https": Scheme(HTTP, "tfserving:TfServing", "http", True, "/MODEL[/versions/N]"),
    "openai+http": Scheme(OPENAI, "openai:OpenAi", "http", False, _BEFORE, prefix="/v1"),
    "openai+https": Scheme(OPENAI, "openai:OpenAi", "http", True, _BEFORE, prefix="/v1"),
    "http": Scheme(HTTP, "template:Template", "http", False, "/PATH, and --template", False),
    "https": Scheme(HTTP, "template:Template", "http", True, "/PATH, and --template", False),
}
# Words that users of other tools type.
_MEANT = {
    "grpc": "kserve+grpc",
    "grpcs": "kserve+grpcs",
    "v2+http": "kserve+http",
    "v2+grpc": "kserve+grpc",
    "triton": "kserve+http",
    "triton+http": "kserve+http",
    "triton+grpc": "kserve+grpc",
    "mlserver": "kserve+http",
    "mlserver+http": "kserve+http",
    "mlserver+grpc": "kserve+grpc",
    "oip+http": "kserve+http",
    "oip+grpc": "kserve+grpc",
    "kserve": "kserve+http",
    "torchserve": "torchserve+http",
    "tfserving": "tfserving+http",
    "openai": "openai+http",
    "openai+grpc": "openai+http",
    "llm": "openai+http",
    "vllm": "openai+http",
    "vllm+http": "openai+http",
    "sglang": "openai+http",
    "sglang+http": "openai+http",
    "tgi": "openai+http",
    "ollama": "openai+http",
    "llamacpp": "openai+http",
    "llama.cpp": "openai+http",
    "anthropic": "openai+https",
    "anthropic+https": "openai+https",
}
# What follows the prefix in the address of one request, which is what people copy.
_ENDS = ("/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/models")


@dataclass(frozen=True)
class Address:
    """Where a served model is, and how it is spoken to."""

    scheme: str
    transport: Transport
    tls: bool
    host: str
    port: int
    path: str = ""
    """What stands before the protocol's own paths, percent-encoded: "" or "/prefix"; the whole
    path where it names no model. No slash at its end."""
    model: str = ""
    version: str = ""
    query: str = ""
    """After the `?`, which only an address that names no model may have. It may be a secret."""
    port_stated: bool = True

    @property
    def backend(self) -> str:
        return SCHEMES[self.scheme].backend

    @property
    def protocol(self) -> str:
        return SCHEMES[self.scheme].protocol

    @property
    def authority(self) -> str:
        """host:port, as a request names its server; without the port that the scheme has."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == SCHEMES[self.scheme].port
        return host if usual else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """As it stands in messages and reports: no credentials."""
        model = quote(self.model, safe="")
        version = f"/versions/{quote(self.version, safe='')}" if self.version else ""
        named = f"/{model}{version}" if model else ""
        if SCHEMES[self.scheme].prefix:
            named = ""
        if self.path and named:
            named = f"{MODELS}{model}{version}"
        query = f"?{self.query}" if self.query else ""
        return public(f"{self.scheme}://{self.authority}{self.path}{named}{query}")

    @property
    def model_path(self) -> str:
        """`MODEL[/versions/N]`, percent-encoded, as it stands in the path of a request."""
        version = f"/versions/{quote(self.version, safe='')}" if self.version else ""
        return quote(self.model, safe="") + version

    def __str__(self) -> str:
        return self.shown


def is_address(text: object) -> bool:
    """Whether it is meant as an address: it begins with `word://`."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def schemes_of(backend: str) -> list[str]:
    """The schemes that this backend speaks; [] if it is no backend of a server."""
    return [name for name, scheme in SCHEMES.items() if scheme.backend == backend]


def backend_of(text: str) -> str | None:
    """The backend that speaks an address's scheme, or None if no scheme is known by that word."""
    scheme = SCHEMES.get(text.partition("://")[0].lower())
    return None if scheme is None else scheme.backend


def parse(text: str, model: str = "", version: str = "", flag: str = "url") -> Address:
    """The address, with the model and the version from outside of it where it names none. Faults if
    it is none, names two models, or a scheme that nobody speaks; `flag` is what to call its origin.
    """
    word, found, _ = text.partition("://")
    if not found or _ADDRESS.match(text) is None:
        _refuse(flag, text, f"an address such as kserve+http://127.0.0.1:8000/{model or 'MODEL'}")
    name = word.lower()
    if name not in SCHEMES:
        _refuse(flag, text, f"a scheme of {', '.join(SCHEMES)}", _close(name))
    scheme = SCHEMES[name]
    if " " in text or not text.isprintable():
        _refuse(flag, text, "an address without blanks or control characters; %20 is a blank")
    try:
        parts = urlsplit(f"{name}://{text.partition('://')[2]}")
        port = parts.port
        host = parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:  # UnicodeError is one
        _refuse(flag, text, "host and port: 127.0.0.1:8000, or [::1]:8000", hint=str(error))
    if not host or port == 0:
        _refuse(flag, text, f"{name}://HOST:PORT{scheme.place}, the port from 1 to 65535")
    if "@" in parts.netloc:
        hint = 'say --header "Authorization=@env:NAME" instead'
        _refuse(flag, text, "an address without a user's name and password", hint=hint)
    if parts.fragment or text.endswith("#"):
        _refuse(flag, text, "an address without '#'; %23 is one in a name")
    path, named, its_version = _split(parts, scheme, flag, text)
    for what, inside, beside in (("model", named, model), ("version", its_version, version)):
        if inside and beside and inside != beside:
            _refuse(what, beside, f"{inside!r}, which the address names, or only one of the two")
    return Address(
        scheme=name,
        transport=scheme.transport,
        tls=scheme.tls,
        host=host,
        port=scheme.port if port is None else port,
        path=path,
        model=named or model,
        version=its_version or version,
        query=parts.query,
        port_stated=port is not None,
    )


def _split(parts: SplitResult, scheme: Scheme, flag: str, text: str) -> tuple[str, str, str]:
    """(path, model, version) of what follows the host."""
    if not scheme.named:
        return quote(parts.path, _PLAIN), "", ""
    if scheme.prefix:
        path = quote(parts.path.rstrip("/"), _PLAIN)
        end = next((each for each in _ENDS if path.endswith(each)), "")
        return path.removesuffix(end) or scheme.prefix, "", ""
    if parts.query:
        _refuse(flag, text, f"{scheme.place}, nothing after a '?'")
    prefix, inside, rest = parts.path.rpartition(MODELS)
    if not inside:
        prefix, rest = "", parts.path.lstrip("/")
    prefix = quote(prefix, _PLAIN).rstrip("/")
    try:
        pieces = [unquote(each, errors="strict") for each in rest.rstrip("/").split("/")]
    except UnicodeDecodeError:
        _refuse(flag, text, "a name in UTF-8, each byte of it written as %XX")
    if any(not each.isprintable() for each in pieces):
        _refuse(flag, text, "a model and a version on one line: no %0A and the like")
    if pieces[-1] == "infer" and len(pieces) in (2, 4):
        pieces.pop()  # copied from the address that a request is sent to
    if pieces in ([""], ["v2"]):
        return "", "", ""
    if len(pieces) == 3 and pieces[1] == "versions" and pieces[0] and pieces[2]:
        return prefix, pieces[0], pieces[2]
    if len(pieces) != 1:
        _refuse(flag, text, f"{scheme.place} after the host; %2F is a slash in a name")
    return prefix, pieces[0], ""


def _close(name: str) -> str | None:
    return _MEANT.get(name) or nearest(name, SCHEMES)


def _refuse(
    flag: str, value: object, allowed: str, close: str | None = None, hint: str | None = None
) -> NoReturn:
    raise Faults([Fault(flag, "", value, allowed, nearest=close, hint=hint)])


def listed(names: Sequence[str]) -> str:
    """Names of models on one line, at most twelve of them."""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
