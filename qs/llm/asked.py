"""What a user says about a language model's endpoint beside its address: which API, which prompts,
how long. `Asked.llm` of qs.remote.asked holds it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from qs.base.addresses import HIDDEN
from qs.base.errors import Fault
from qs.base.headers import is_source
from qs.base.names import nearest
from qs.llm.prompt import OURS
from qs.llm.prompts.lengths import ALLOWED as LENGTHS
from qs.llm.prompts.lengths import check_lengths

Api = Literal["chat", "completions", "embeddings", "responses", "messages"]
APIS: tuple[Api, ...] = ("chat", "completions", "embeddings", "responses", "messages")
FORMATS = ("auto", "jsonl", "sharegpt", "mooncake", "burstgpt", "azure", "csv")
MOST_RETRIES, MOST_TURNS, MOST_PREFIXES, MOST_PROMPTS = 100, 1_000, 100_000, 10_000_000
MOST_DEPTH = 16  # of a field's name in a body


@dataclass(frozen=True)
class LlmAsked:
    """As it was typed. `read` checks, this does not."""

    api: Api = "chat"
    stream: bool = True
    # `@env:NAME` or `@file:PATH`
    api_key: str = ""
    # fields of every request's body, over our own
    body: Mapping[str, Any] = field(default_factory=dict)
    # a file of prompts, and its format; "" and no lengths: short texts of our own
    prompts: str = ""
    prompt_format: Literal["auto", "jsonl", "sharegpt", "mooncake", "burstgpt", "azure", "csv"] = (
        "auto"
    )
    # lengths in tokens as typed: "128", "normal:512,64", "lognormal:512,0.5", "histogram:FILE"
    input_tokens: str = ""
    output_tokens: str = ""
    # a share of each synthetic prompt that it has in common with others, and how many such prefixes
    prefix_share: float = 0.0
    prefixes: int = 1
    # how many distinct prompts; None: as many as the file has, or 64
    prompt_count: int | None = None
    # conversations: turns of each synthetic one; whose answers are its history
    turns: int = 1
    history: Literal["served", "recorded"] = "served"
    # a tokenizer.json, or a folder with one, "server" (its endpoint), "none"; "": what there is
    tokenizer: str = ""
    # whether min_tokens and ignore_eos are sent where lengths are stated
    exact_lengths: Literal["auto", "always", "never"] = "auto"
    # how often an answer 429 or 503 with Retry-After is obeyed; 0: it has failed
    retries: int = 0
    # whether the answers are scored by what the prompts' `answer` says
    score: Literal["", "exact", "choice"] = ""
    # whether answers are to be compared, and so to be asked for without chance in them
    greedy: bool = False
    # of prompts and lengths
    seed: int = 0


NAMES = tuple(each.name for each in fields(LlmAsked))


def flag_of(name: str) -> str:
    """What the command line calls it."""
    return {"stream": "--no_stream"}.get(name, f"--{name}")


def read(given: Mapping[str, Any], source: str = "") -> tuple[LlmAsked, list[Fault]]:
    """From plain values by name, and everything that is wrong with them; None and a missing name
    are the default. Faults name the flag, or the key of `source` where one is given. No fault shows
    a key that is not the name of its source.
    """
    faults: list[Fault] = []
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _READERS:
            close = nearest(name, NAMES)
            allowed = f"one of {', '.join(NAMES)}"
            faults.append(Fault(source or "language model", name, HIDDEN, allowed, close))
        elif value is not None:
            allowed = _READERS[name][0]
            try:
                kept[name] = _READERS[name][1](value)
            except ValueError as error:
                shown = HIDDEN if name == "api_key" else value
                faults.append(_fault(source, name, shown, str(error) or allowed))
    asked = LlmAsked(**kept)
    faults += [_fault(source, *each) for each in _together(asked)]
    if asked.api == "embeddings" and asked.stream:  # an embedding comes whole
        asked = LlmAsked(**{**kept, "stream": False})
    return asked, faults


def read_field(text: str) -> tuple[str, Any]:
    """(name, value) of `key=value`, as a field of a body is typed: the value is JSON, or text.
    ValueError says what is allowed.

    >>> read_field("temperature=0"), read_field("stop=END"), read_field('a.b={"c": [1]}')
    (('temperature', 0), ('stop', 'END'), ('a.b', {'c': [1]}))
    """
    name, found, value = text.partition("=")
    if not found or not name.strip():
        raise ValueError("key=value: temperature=0, chat_template_kwargs.enable_thinking=false")
    try:
        return name.strip(), json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return name.strip(), value


def nested(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with `a.b` as a field of a field. ValueError where one name is both.

    >>> nested({"a.b": 1, "a.c": 2, "d": 3})
    {'a': {'b': 1, 'c': 2}, 'd': 3}
    """
    found: dict[str, Any] = {}
    for name, value in body.items():
        *way, last = name.split(".")
        if len(way) > MOST_DEPTH or not all((*way, last)):
            raise ValueError(f"names of fields with dots between: a.b, at most {MOST_DEPTH} deep")
        place = found
        for step in way:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ValueError(f"each field once, and {step} of {name} stands there twice")
        if last in place:
            raise ValueError(f"each field once, and {name} stands there twice")
        place[last] = value
    return found


def _together(asked: LlmAsked) -> Iterable[tuple[str, object, str]]:
    """(name, value, allowed) of what does not fit the rest."""
    synthetic = bool(asked.input_tokens)
    if asked.prompts and not Path(asked.prompts).is_file():
        yield "prompts", asked.prompts, "a file that is there"
    if asked.prompts and synthetic:
        yield "input_tokens", asked.input_tokens, "nothing, with --prompts: they have their lengths"
    if asked.prompt_format != "auto" and not asked.prompts:
        yield "prompt_format", asked.prompt_format, "given with --prompts"
    if asked.prefix_share and not synthetic:
        allowed = "given with --input_tokens: it is of synthetic prompts"
        yield "prefix_share", asked.prefix_share, allowed
    if asked.turns > 1 and not synthetic and not asked.prompts:
        yield "turns", asked.turns, "given with --input_tokens, or --prompts of conversations"
    if asked.prefixes != 1 and not asked.prefix_share:
        yield "prefixes", asked.prefixes, "given with --prefix_share"
    if asked.score and not asked.prompts:
        yield "score", asked.score, "given with --prompts whose lines have an answer"
    if asked.api == "embeddings":
        for name in ("output_tokens", "score"):
            if getattr(asked, name):
                yield name, getattr(asked, name), "nothing, with --api embeddings: no text answers"
        if asked.exact_lengths == "always":
            yield "exact_lengths", "always", "auto or never, with --api embeddings"
    if asked.turns > 1 and asked.api in ("embeddings", "completions"):
        yield "turns", asked.turns, "1, with an API that takes no messages"
    if asked.exact_lengths == "always" and not (asked.output_tokens or asked.prompts):
        yield "exact_lengths", "always", "given with --output_tokens, or prompts that have lengths"


def _fault(source: str, name: str, value: object, allowed: str) -> Fault:
    return Fault(source or flag_of(name), name if source else "", value, allowed)


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _key(value: Any) -> str:
    if not isinstance(value, str) or (value and not is_source(value)):
        raise ValueError
    if value and not value.partition(":")[2]:
        raise ValueError
    return value


def _body(value: Any) -> dict[str, Any]:
    """From a mapping of fields, or texts of `key=value`."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Mapping):
        pairs = [read_field(each) for each in value]
        if len(dict(pairs)) < len(pairs):
            raise ValueError("each field once")
        value = dict(pairs)
    found = nested(value)
    for name, flag in OURS.items():
        if name in found:
            raise ValueError(f"fields that we do not set ourselves; {flag} says {name}")
    if isinstance(found.get("n"), int) and found["n"] != 1:
        raise ValueError("one answer a request: no n above 1")
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("what JSON has") from None
    return found


def _flag(value: Any) -> bool:
    known = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, str):
        value = known.get(value.lower(), value)
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value


def _word(*allowed: str) -> tuple[str, Callable[[Any], Any]]:
    def read(value: Any) -> Any:
        if value not in allowed:
            raise ValueError
        return value

    words = [each or "nothing" for each in allowed]
    return f"{', '.join(words[:-1])} or {words[-1]}", read


def _whole(least: int, most: int) -> tuple[str, Callable[[Any], Any]]:
    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"\d{1,19}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError
        return value

    return f"a whole number from {least:,} to {most:,}", read


def _share(value: Any) -> float:
    if isinstance(value, str) and value.endswith("%"):
        value = float(value[:-1]) / 100
    share = math.nan if isinstance(value, bool) else float(value)
    if not 0 <= share <= 1:
        raise ValueError(_SHARE)
    return share


def _lengths(value: Any) -> str:
    text = _text(value)
    if text:
        check_lengths(text)
    return text


_SHARE = "a share from 0 to 1, or 0% to 100%"
_LINE = "a text on one line"
# name -> (what is allowed, what reads it and raises ValueError with more if it knows more)
_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "api": _word(*APIS),
    "stream": ("true or false", _flag),
    "api_key": ("@env:NAME or @file:PATH, never the key itself: others see what is typed", _key),
    "body": ("key=value", _body),
    "prompts": ("a file", _text),
    "prompt_format": _word(*FORMATS),
    "input_tokens": (LENGTHS, _lengths),
    "output_tokens": (LENGTHS, _lengths),
    "prefix_share": (_SHARE, _share),
    "prefixes": _whole(1, MOST_PREFIXES),
    "prompt_count": _whole(1, MOST_PROMPTS),
    "turns": _whole(1, MOST_TURNS),
    "history": _word("served", "recorded"),
    "tokenizer": (_LINE, _text),
    "exact_lengths": _word("auto", "always", "never"),
    "retries": _whole(0, MOST_RETRIES),
    "score": _word("", "exact", "choice"),
    "greedy": ("true or false", _flag),
    "seed": _whole(0, 2**63 - 1),
}
