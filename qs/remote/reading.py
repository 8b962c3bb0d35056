"""Single values of what a user says about a served model, from text or as a file has them.

Left out: what they mean together (asked.py).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from qs.base.addresses import HIDDEN, public

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's name (RFC 9110, section 5.6.2)
_PLAIN = re.compile(r"[!-~]+")  # what can stand in a request's first line
_SEQUENCES = re.compile(r"(\d{1,9})(?:x(\d{1,9}))?(?:@(\d{1,18}))?")
MOST_ID = 10**18  # with room below 2**63 for those that are counted from there
_FLAGS = {
    "url": "url",
    "model": "--model",
    "version": "version",
    "headers": "--header",
    "parameters": "--parameter",
    "metrics": "--metric",
    "order": "--connection_order",
    "connect_timeout_s": "--connect_timeout",
    "first_byte_timeout_s": "--first_byte_timeout",
    "ready_timeout_s": "--ready_timeout",
    "stall_timeout_s": "--stall_timeout",
    "stream": "--no_stream",
}


class ReadFault(Exception):
    """A value that is none of those allowed; `shown` is what may be shown of it."""

    def __init__(self, shown: object, allowed: str, hint: str | None = None) -> None:
        super().__init__(allowed)
        self.shown, self.allowed, self.hint = shown, allowed, hint


def flag_of(key: str) -> str:
    """What the command line calls it."""
    return _FLAGS.get(key, f"--{key}")


def read_named(text: str) -> bool | int | float | str:
    """What a parameter's text looks like: true, false, a number, or the text itself; `"3"` in
    quotes is text.

    >>> [read_named(text) for text in ("true", "3", "0.5", '"3"', "fast", "1e999")]
    [True, 3, 0.5, '3', 'fast', '1e999']
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    return value if isinstance(value, (bool, int, float, str)) else text


def read_value(key: str, value: Any) -> dict[str, Any]:
    """{key: value} as Asked has it; `sequences` may set three. ReadFault."""
    return _READERS.get(key, _text)(key, value)


def _text(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool) and key == "version":
        value = str(value)
    if not isinstance(value, str) or not value.isprintable():
        raise ReadFault(value, "a text on one line")
    return {key: value}


def _page(key: str, value: Any) -> dict[str, Any]:
    """The address of a page that is read over HTTP."""
    found = _text(key, value)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the port, or of brackets
        good = False
    if value and (not good or "@" in parts.netloc or parts.fragment or not _PLAIN.fullmatch(value)):
        raise ReadFault(
            public(value), "http://HOST:PORT/metrics, without a user's name and password"
        )
    return found


def _flag(key: str, value: Any) -> dict[str, Any]:
    known = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, str):
        value = known.get(value.lower(), value)
    if not isinstance(value, bool):
        raise ReadFault(value, "true or false")
    return {key: value}


def _one_of(*allowed: str) -> Callable[[str, Any], dict[str, Any]]:
    def read(key: str, value: Any) -> dict[str, Any]:
        if value not in allowed:
            words = [each or "nothing" for each in allowed]
            raise ReadFault(value, f"{', '.join(words[:-1])} or {words[-1]}")
        return {key: value}

    return read


def _whole(least: int, most: int) -> Callable[[str, Any], dict[str, Any]]:
    def read(key: str, value: Any) -> dict[str, Any]:
        if isinstance(value, str) and re.fullmatch(r"\d{1,19}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ReadFault(value, f"a whole number from {least} to {most}")
        return {key: value}

    return read


def _seconds(key: str, value: Any) -> dict[str, Any]:
    try:
        seconds = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise ReadFault(value, "seconds, above 0 and at most 86,400")
    return {key: seconds}


def _sequences(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = _SEQUENCES.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ReadFault(value, "N, NxLENGTH or NxLENGTH@ID: 8 sequences of 20 requests are 8x20")
    count, length, base = (None if each is None else int(each) for each in found.groups())
    stated = {"sequences": count, "sequence_length": length, "sequence_base": base}
    read = {name: each for name, each in stated.items() if each is not None}
    if count and not read.get("sequence_length", 1):
        raise ReadFault(value, "a length of at least 1 request")
    if read.get("sequence_base", 1) < 1:
        raise ReadFault(value, "an id of at least 1: 0 means that a request is of no sequence")
    return read


def _pairs(key: str, value: Any) -> dict[str, Any]:
    """From a mapping, or texts of `NAME=VALUE` (a header's `Name: value` as well)."""
    pairs: dict[str, str] = {}
    hint = None if key == "parameters" else "a value may be @env:NAME or @file:PATH"
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        found = list(value.items())
    elif isinstance(value, (list, tuple)):
        found = [_pair(key, each) for each in value]
    else:
        raise ReadFault(HIDDEN, "NAME=VALUE, once or more", hint)
    for name, each in found:
        if isinstance(each, (bool, int, float)) and key == "parameters":
            each = json.dumps(each)
        if not isinstance(name, str) or not _fits(key, name):
            shown = HIDDEN if key == "headers" else name  # a secret may stand in its place
            raise ReadFault(shown, "a name of letters, digits and -, then = and a value", hint)
        if not isinstance(each, str) or not each.isprintable():
            raise ReadFault(f"{name}={HIDDEN}", "a value of printable characters", hint)
        if key == "headers" and not each.isascii():
            raise ReadFault(f"{name}={HIDDEN}", "a value of ASCII characters", hint)
        if name.lower() in {known.lower() for known in pairs}:
            raise ReadFault(name, f"each name once, and {name} stands there twice", hint)
        pairs[name] = each
    return {key: pairs}


def _pair(key: str, text: Any) -> tuple[str, str]:
    """A header as curl takes it, with a colon, or as everything else, with an equals sign."""
    if isinstance(text, (list, tuple)) and len(text) == 2:
        return text[0], text[1]
    if isinstance(text, str):
        ends = [text.find(mark) for mark in ("=:" if key == "headers" else "=") if mark in text]
        if ends and min(ends) > 0:
            at = min(ends)
            return text[:at].strip(), text[at + 1 :].strip()
    raise ReadFault(HIDDEN if key == "headers" else text, "NAME=VALUE")


def _fits(key: str, name: str) -> bool:
    if key == "headers":
        return _TOKEN.fullmatch(name) is not None
    return bool(name) and name.isprintable()


def _names(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(each, str) and each and each.isprintable() for each in value
    ):
        raise ReadFault(value, "names, one or more")
    return {key: tuple(value)}


_READERS: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "headers": _pairs,
    "parameters": _pairs,
    "binary": _one_of("auto", "always", "never"),
    "compression": _one_of("", "gzip"),
    "sequences": _sequences,
    "sequence_length": _whole(1, 10**9),
    "sequence_base": _whole(1, MOST_ID),
    "shared_memory": _flag,
    "insecure": _flag,
    "open_while_measuring": _flag,
    "connections": _whole(1, 1_000_000),
    "streams": _whole(1, 1_000_000),
    "connect_timeout_s": _seconds,
    "first_byte_timeout_s": _seconds,
    "timeout_s": _seconds,
    "ready_timeout_s": _seconds,
    "stall_timeout_s": _seconds,
    "order": _one_of("last", "first"),
    "client": _one_of("lean", "blocking", "grpcio"),
    "metrics": _names,
    "metrics_url": _page,
}
