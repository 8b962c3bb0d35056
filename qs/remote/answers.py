"""What the answers to a backend's questions, and the flags of the command line, say of a served
model; the flags win.

Here an empty answer is none: a question of the interact profile has a default of its own type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.llm.asked import NAMES as LLM_NAMES
from qs.remote.address import OPENAI, backend_of, parse, schemes_of
from qs.remote.asked import Asked

SOURCES = ("@env:", "@file:")
_LISTS = ("headers", "parameters", "body")
_EMPTY = ("", "0", 0, False, None)


def asked_of(configs: Mapping[str, Any], backend: str) -> Asked:
    """What is asked for, by a compile backend's configs. Faults, also for an address that another
    backend speaks, and for a header whose secret stands in the answers: these are kept.
    """
    answers, typed = configs.get("interact_info") or {}, (configs.get("qs") or {}).get("remote")
    known = {each.name for each in fields(Asked)}
    values: dict[str, Any] = {}
    llm: dict[str, Any] = {}
    for name, value in answers.items():
        if name == "stream":  # whose empty answer says something
            llm[name] = value
        elif name in LLM_NAMES and value not in _EMPTY:
            llm[name] = _several(value) if name in _LISTS else value
        elif name in known and value not in _EMPTY:
            values[name] = _several(value) if name in _LISTS else value
    typed = dict(typed or {})
    if backend == OPENAI:
        values["llm"] = {**llm, **(typed.pop("llm", None) or {})}
    asked = Asked.of({**values, **typed}, "" if typed else "the answers")
    faults = [
        Fault("the answers", f"headers: {name}", "(not shown)", "@env:NAME or @file:PATH",
              hint="answers are kept beside the result; --header takes the value itself")
        for name, value in asked.headers.items()
        if not value.startswith(SOURCES)
    ]  # fmt: skip
    if faults:
        raise Faults(faults)
    check_scheme(asked.url, backend)
    return asked


def check_scheme(url: str, backend: str) -> None:
    """Faults for an address that another backend speaks."""
    own, word = schemes_of(backend), url.partition("://")[0].lower()
    speaks = backend_of(url)
    if own and speaks not in (None, backend):
        allowed = f"a scheme that {backend} speaks: {', '.join(own)}"
        hint = f"--hardware_type {speaks} speaks it"
        raise Faults([Fault("url", "", f"{word}://", allowed, nearest(word, own), hint=hint)])


def address_of(asked: Asked) -> str:
    """As it may be shown."""
    return parse(asked.url, asked.model, asked.version).shown


def _several(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return [part.strip() for part in text.split(";") if part.strip()]
