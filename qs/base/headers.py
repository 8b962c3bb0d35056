"""HTTP headers and gRPC metadata as a person types them: a name, and a value that is a secret.

A value stands in no result, page, log, message or command that is kept or shown. `@env:NAME` and
`@file:PATH` in its place say where it is read at the last moment; those stay as they were typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from qs.base.addresses import HIDDEN

FLAG = "--header"
SOURCES = ("@env:", "@file:")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, a token
_FLAG = re.compile(r"(--header|--api_key|--api-key)(=|$)")


def split(text: str) -> tuple[str, str]:
    """(name, value) of `Name: value` or `Name=value`. Raises ValueError, without the value, for
    what is no header.
    """
    found = re.match(r"\s*([^:=]*?)\s*[:=](.*)", text, re.DOTALL)
    if found is None:
        raise ValueError("it has no ':' between a name and a value")
    name, value = found[1], found[2].strip(" \t")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if re.search(r"[\0\r\n]", value):
        raise ValueError(f"the value of {name} has a line break in it")
    return name, value


def is_source(value: str) -> bool:
    """Whether a value only says where the secret is read."""
    return value.startswith(SOURCES)


def shown(name: str, value: str) -> str:
    """A header as it may be shown and kept."""
    return f"{name}: {value if is_source(value) else HIDDEN}"


def without_secrets(words: Iterable[str]) -> tuple[str, ...]:
    """The words of a command line, with the values of its headers and its key hidden."""
    found: list[str] = []
    follows = ""
    for word in map(str, words):
        if follows:
            found.append(_hidden(follows, word))
            follows = ""
            continue
        flag = _FLAG.match(word)
        if flag is None:
            found.append(word)
        elif flag[2]:
            found.append(f"{flag[1]}={_hidden(flag[1], word[flag.end() :])}")
        else:
            found.append(word)
            follows = flag[1]
    return tuple(found)


def _hidden(flag: str, header: str) -> str:
    if flag != FLAG:
        return header if is_source(header) else HIDDEN
    try:
        return shown(*split(header))
    except ValueError:  # refused where it is read; whatever it is may be a secret
        return HIDDEN
