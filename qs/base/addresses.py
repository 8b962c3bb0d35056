"""Addresses as they may be shown and kept: without what lets a stranger in.

User names and passwords before the host, and everything after a `?` (tokens, signatures), are the
user's own. They are used to fetch a file and stand in no result, page, message or name of a file.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "****"
# A scheme, then what belongs to the address: up to a blank, a quote or a bracket around it.
_ADDRESS = re.compile(r"""\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s"'<>`]+""")
_QUERY = re.compile(r"\?[^#]*")


def public(text: str) -> str:
    """The text with `****` in place of the credentials of every address in it."""
    return _ADDRESS.sub(lambda found: _public(found[0]), text)


def public_in(value: Any) -> Any:
    """A copy of plain data whose texts are public; keys stay."""
    if isinstance(value, str):
        return public(value)
    if isinstance(value, dict):
        return {key: public_in(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [public_in(each) for each in value]
    return value


def _public(address: str) -> str:
    scheme, _, rest = address.partition("://")
    # A password that was not escaped may hold anything, also a slash or a question mark: what
    # stands before the last @ is hidden, even where that hides a part of the path.
    before, at, rest = rest.rpartition("@")
    query = _QUERY.sub(f"?{HIDDEN}", rest)
    return f"{scheme}://{HIDDEN}@{query}" if at else f"{scheme}://{query}"
