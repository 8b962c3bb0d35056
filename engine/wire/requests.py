"""An HTTP/1.1 request as bytes, made once and sent as often as one likes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[!-~]+")
# Those that say where the request ends, and those that would change how the answer comes.
_OURS = frozenset(("content-length", "transfer-encoding", "expect", "connection", "upgrade"))


def http_request(
    method: str,
    target: str,
    host: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | bytearray | memoryview = b"",
) -> bytes:
    """Head and body in one piece, so that one write sends them.

    `target` is path and query ("/v2/models/m/infer"), `host` what the Host header says
    ("127.0.0.1:8000", "[::1]:8000"). Accept-Encoding is identity unless the headers name another:
    an answer that must be unpacked would cost the client what it is to measure. Raises ValueError
    for what cannot stand in a request, naming no header's value, which may be a secret.
    """
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is not an HTTP method")
    if not _TARGET.fullmatch(target):
        raise ValueError(f"{target!r} is not a request target: ASCII without spaces is")
    if not _TARGET.fullmatch(host):
        raise ValueError(f"{host!r} is not a host: name:port is")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    lines = [f"{method} {target} HTTP/1.1"]
    given = {name.lower() for name, _ in pairs}
    if "host" not in given:
        lines.append(f"Host: {host}")
    if "accept-encoding" not in given:
        lines.append("Accept-Encoding: identity")
    for name, value in pairs:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header's name")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name} is set by the client itself")
        if any(each in value for each in "\r\n\0"):
            raise ValueError(f"the value of the header {name} has a line break in it")
        lines.append(f"{name}: {value}")
    size = memoryview(body).nbytes
    if size or method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
        lines.append(f"Content-Length: {size}")
    try:
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    except UnicodeEncodeError as fault:
        raise ValueError("a header's value has characters beyond Latin-1") from fault
    return b"".join((head, body))


def is_head(request: bytes) -> bool:
    """Whether its answer has no body, whatever its headers say."""
    return request[:5] == b"HEAD "
