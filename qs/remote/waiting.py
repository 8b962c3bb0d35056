"""Why a server did not answer, in words for a user, and when waiting for it is of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qs.base.visible import one_line
from qs.engine.wire.failures import Failure
from qs.llm.outcomes import Outcome
from qs.remote.address import KSERVE, OPENAI, Address
from qs.remote.protocol import NotReady

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

# A server that failed so may answer the next time.
_PASSING = {
    *(f"HTTP {status}" for status in (429, 500, 502, 503, 504, 529)),
    *(Failure.RESET, Failure.CLOSED, Outcome.ERROR_EVENT.value, Outcome.CUT_STREAM.value),
}
# Of a language model: their detail alone does not say what failed.
_OUTCOMES = {each.value for each in Outcome}
# No amount of waiting changes these.
_FINAL = {Failure.TLS, Failure.UNRESOLVED, Failure.REDIRECTED, Failure.BAD_ANSWER}
_TOKEN = 'say --header "Authorization=@env:NAME"'
KEY = "say --api_key @env:NAME, and look whether that key holds"
_FINAL_HINTS = {
    "HTTP 401": _TOKEN,
    "HTTP 403": _TOKEN,
    "HTTP 407": "the proxy asks for credentials",
    "gRPC UNAUTHENTICATED": _TOKEN,
    "gRPC PERMISSION_DENIED": _TOKEN,
    "gRPC UNIMPLEMENTED": "is it a server of KServe v2?",
}
# Whoever asks may not, or not any more.
REFUSALS = tuple(kind for kind, hint in _FINAL_HINTS.items() if hint == _TOKEN)
# What KServe v2 servers listen on where nobody says otherwise.
PORTS = "Triton's port is 8000 (gRPC 8001), MLServer's 8080 (gRPC 8081)"


def why_failed(address: Address, call: WireCall) -> str:
    """The failure of a request outside of a measurement, with what to do where that is known."""
    detail, word = one_line(call.detail, 200), call.failure or ""
    named = word.startswith(("HTTP ", "gRPC ")) or word in _OUTCOMES
    words = f"{word}: {detail}" if named and detail else detail or word
    if call.failure == Failure.REFUSED and not address.port_stated:
        usual = f": {PORTS}" if address.backend == KSERVE else ""
        words += f"; the address states no port, which means {address.port}{usual}"
    if call.failure == Failure.BAD_ANSWER:
        other = "grpc" if address.transport == "http" else "http"
        words += f"; is this a port for {address.transport.upper()}, and not for {other.upper()}?"
    return words


def may_pass(call: WireCall) -> bool:
    """Whether the same request may be answered the next time."""
    return call.failure in _PASSING


def hint_of(address: Address, call: WireCall) -> str | None:
    """What to do about it, where waiting is of no use."""
    hint = _FINAL_HINTS.get(call.failure or "")
    return KEY if hint == _TOKEN and address.backend == OPENAI else hint


def refused_at_once(address: Address, call: WireCall) -> None:
    """NotReady, final, if waiting cannot help."""
    hint = hint_of(address, call)
    if call.failure in _FINAL or hint is not None:
        words = why_failed(address, call)
        raise NotReady(f"{address}: {words}" + (f"; {hint}" if hint else ""), final=True)


def check_answered(address: Address, call: WireCall, what: str = "") -> None:
    """NotReady if a request before the measurement has failed; `what` is what it was for."""
    if call.failure is not None:
        refused_at_once(address, call)
        place = f"{what} " if what else ""
        raise NotReady(f"{address}: {place}{why_failed(address, call)}")
