"""From a template and one batch to the bytes of a request."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np

from qs.base.errors import UserError
from qs.remote.templates.fields import (
    Feeds,
    Field,
    filled_bytes,
    filled_json,
    filled_text,
    parsed,
)
from qs.remote.templates.request_file import Part, RequestFile
from qs.tensors.contents import path_in

# What stays as it is in a path; a field's value has nothing that ends a segment.
_IN_A_PATH = "/:@!$&'()*+,;=-._~%"
_BYTES, _TEXT = "application/octet-stream", "text/plain; charset=utf-8"


def target_of(template: RequestFile, feeds: Feeds, base: str = "", query: str = "") -> str:
    """Path and query, percent-encoded, below the address's own path `base` and after its query."""
    pieces = [base.rstrip("/") if template.path else base]
    for piece in parsed(template.path, feeds):
        if isinstance(piece, Field):
            pieces.append(quote(filled_text(piece.text, feeds), safe=""))
        else:
            pieces.append(quote(piece, safe=_IN_A_PATH + "?"))
    pairs = [(name, filled_text(value, feeds)) for name, value in template.query.items()]
    path = "".join(pieces) or "/"
    more = "&".join(part for part in (query, urlencode(pairs, quote_via=quote)) if part)
    if not more:
        return path
    return f"{path}{'&' if '?' in path else '?'}{more}"


def body_of(template: RequestFile, feeds: Feeds) -> tuple[bytes, str]:
    """(The body, its type as Content-Type says it); b"" and "" for none."""
    body = template.body
    if template.kind == "json":
        return filled_json(body, feeds), "application/json"
    if template.kind == "text":
        return filled_text(body, feeds).encode(), _TEXT
    if template.kind == "bytes":
        return filled_bytes(body, feeds), _type_of(body, feeds, None) or _BYTES
    if template.kind == "form":
        pairs = [(name, filled_text(value, feeds)) for name, value in body.items()]
        return urlencode(pairs).encode(), "application/x-www-form-urlencoded"
    if template.kind == "multipart":
        return _multipart(body, feeds)
    return b"", ""


def headers_of(
    template: RequestFile, feeds: Feeds, secret: Mapping[str, str], body_type: str
) -> dict[str, str]:
    """The template's and the user's own headers, the latter first; Content-Type where neither
    states one.

    secret   the user's headers and the template's, `@env` and `@file` read
    """
    found = {
        name: filled_text(value, feeds) if template.headers.get(name) == value else value
        for name, value in secret.items()
    }
    for name, value in found.items():
        if "\r" in value or "\n" in value:
            raise UserError(f"{template.file}: headers.{name}: a sample's text has several lines")
    if body_type and "content-type" not in {name.lower() for name in found}:
        found["Content-Type"] = body_type
    return found


def _multipart(parts: tuple[Part, ...], feeds: Feeds) -> tuple[bytes, str]:
    """RFC 7578. The boundary is the content's digest: equal samples make equal requests."""
    made = [(part, filled_bytes(part.value, feeds)) for part in parts]
    digest = hashlib.sha256()
    for _, content in made:
        digest.update(content)
    boundary = f"qs-{digest.hexdigest()[:32]}"
    pieces: list[bytes] = []
    for part, content in made:
        named = _file_in(part.value, feeds)
        filename = named.name if named else None
        if part.filename:
            filename = filled_text(part.filename, feeds)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(part.name)}"'
        if filename:
            head += f'; filename="{_quoted(filename)}"'
        kind = part.type or _type_of(part.value, feeds, filename)
        if kind is None and filename:
            kind = _BYTES
        if kind:
            head += f"\r\nContent-Type: {kind}"
        pieces += [head.encode(), b"\r\n\r\n", content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _quoted(text: str) -> str:
    """As browsers write it (WHATWG, multipart/form-data encoding algorithm)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _file_in(text: str, feeds: Feeds) -> Path | None:
    """The file whose content is sent, where a text is the field of such an item."""
    pieces = parsed(text, feeds)
    if len(pieces) != 1 or not isinstance(pieces[0], Field):
        return None
    array = np.asarray(feeds[pieces[0].name])
    if array.dtype.kind not in "UO" or array.size != 1:
        return None
    return path_in(str(array.reshape(-1)[0]))


def _type_of(text: str, feeds: Feeds, filename: str | None) -> str | None:
    """By the file's name."""
    named = _file_in(text, feeds)
    return mimetypes.guess_type(filename or (named.name if named else ""))[0]
