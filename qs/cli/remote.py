"""What was typed of a served model: the options of the heading Server, as `Request.remote` has
them.

The value of a header is a secret. It is handed on in a variable of this process, which a backend's
process inherits, and everything else sees `@env:` and that variable's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qs.base import headers
from qs.base.errors import Fault, Faults
from qs.llm.asked import NAMES as LLM_NAMES
from qs.llm.asked import flag_of, read_field
from qs.remote.address import OPENAI, backend_of

# Option -> how it is typed. They are the fields of qs.remote.asked.Asked, but for `metrics`, which
# is another option's name.
FLAGS = {
    "url": "--url",
    "model": "--model",
    "headers": "--header",
    "parameters": "--parameter",
    "binary": "--binary",
    "compression": "--compression",
    "sequences": "--sequences",
    "shared_memory": "--shared_memory",
    "connections": "--connections",
    "streams": "--streams",
    "connect_timeout_s": "--connect_timeout",
    "first_byte_timeout_s": "--first_byte_timeout",
    "ready_timeout_s": "--ready_timeout",
    "ca": "--ca",
    "insecure": "--insecure",
    "server_name": "--server_name",
    "certificate": "--certificate",
    "key": "--key",
    "proxy": "--proxy",
    "order": "--connection_order",
    "open_while_measuring": "--open_while_measuring",
    "template": "--template",
    "client": "--client",
    "metrics_url": "--metrics_url",
    "metric_names": "--metric",
    "stall_timeout_s": "--stall_timeout",
}
# Those of qs.llm.asked.LlmAsked, which stand together under "llm".
LLM_FLAGS = {name: flag_of(name) for name in LLM_NAMES if name not in ("stream", "greedy", "seed")}
NO_STREAM = "no_stream"
_FILES = ("ca", "certificate", "key", "template")
_SECRET = "QS_SECRET_"  # and the header's name


def taken(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of a served model out of what was given, and returns those that say
    something, as plain data. Raises Faults.
    """
    found = {name: given.pop(name) for name in FLAGS if name in given}
    found = {name: value for name, value in found.items() if value not in (None, False, ())}
    llm = _of_language_model(given)
    faults = [
        Fault(FLAGS[name], "", str(found[name]), "a file that is there")
        for name in _FILES
        if name in found and not Path(found[name]).is_file()
    ]
    for name in ("headers", "parameters"):
        if name in found:
            faults += _repeated(FLAGS[name], [key for key, _ in found[name]], name == "headers")
            found[name] = dict(found[name])
    for name, value in found.get("headers", {}).items():
        faults += _unreadable(f"{headers.FLAG} {name}", value)
    if faults:
        raise Faults(faults)
    found |= {name: str(Path(found[name]).absolute()) for name in _FILES if name in found}
    if found.get("compression") == "none":
        found["compression"] = ""
    if "headers" in found:
        found["headers"] = {
            name: _by_source(name, value) for name, value in found["headers"].items()
        }
    if "metric_names" in found:
        found["metrics"] = list(found.pop("metric_names"))
    if llm:
        found["llm"] = llm
    return found


def with_answers_kept(
    asked: Mapping[str, Any], verify: str | None
) -> tuple[dict[str, Any], str | None]:
    """(what was typed of a served model, which answers are kept): a score needs all of them, and
    a language model whose answers are compared is asked to leave nothing to chance.
    """
    llm = asked.get("llm") or {}
    if llm.get("score") and verify is None:
        verify = "all"
    if verify is not None and backend_of(str(asked.get("url") or "")) == OPENAI:
        return {**asked, "llm": {**llm, "greedy": True}}, verify
    return dict(asked), verify


def _of_language_model(given: dict[str, Any]) -> dict[str, Any]:
    """Takes out what was given of a language model, by the names of LlmAsked. Raises Faults."""
    found = {name: given.pop(name) for name in LLM_FLAGS if name in given}
    found = {name: value for name, value in found.items() if value not in (None, ())}
    if given.pop(NO_STREAM, False):
        found["stream"] = False
    faults = []
    if "prompts" in found:
        if not Path(found["prompts"]).is_file():
            allowed = "a file that is there"
            faults.append(Fault("--prompts", "", str(found["prompts"]), allowed))
        found["prompts"] = str(Path(found["prompts"]).absolute())
    if "api_key" in found:
        faults += _unreadable("--api_key", found["api_key"])
        found["api_key"] = _by_source("api_key", found["api_key"])
    if "tokenizer" in found and Path(found["tokenizer"]).exists():
        found["tokenizer"] = str(Path(found["tokenizer"]).absolute())
    for name in ("input_tokens", "output_tokens"):
        kind, _, file = str(found.get(name, "")).partition(":")
        if kind == "histogram" and file:
            found[name] = f"{kind}:{Path(file).absolute()}"
    if faults:
        raise Faults(faults)
    if "body" in found:
        found["body"] = dict(read_field(each) for each in _once(found["body"]))
    if found and given.get("seed") is not None:
        found["seed"] = given["seed"]
    return found


def _once(fields: Iterable[str]) -> list[str]:
    """Fields of a body, none of them twice. Raises Faults."""
    names = [each.partition("=")[0].strip() for each in fields]
    faults = _repeated("--body", names, folded=False)
    if faults:
        raise Faults(faults)
    return list(fields)


def typed(remote: Mapping[str, Any]) -> list[str]:
    """The flags of what was given, as they are typed."""
    llm = [flag_of(name) for name in remote.get("llm") or () if name not in ("greedy", "seed")]
    return [FLAGS[name] for name in remote if name in FLAGS] + llm


def _repeated(flag: str, names: list[str], folded: bool) -> list[Fault]:
    keys = [name.lower() if folded else name for name in names]
    return [
        Fault(f"{flag} {name}", "", f"given {keys.count(key)} times", f"one {flag} of each name")
        for at, (key, name) in enumerate(zip(keys, names))
        if keys.count(key) > 1 and keys.index(key) == at
    ]


def _unreadable(flag: str, value: str) -> list[Fault]:
    """A fault for a variable that is not set, or a file that is not there."""
    kind, _, source = value.partition(":")
    if kind == "@env" and source not in os.environ:
        return [Fault(flag, "", value, "the name of a variable that is set")]
    if kind == "@file" and not Path(source).is_file():
        return [Fault(flag, "", value, "a file that is there")]
    return []


def _by_source(name: str, value: str) -> str:
    """Where a backend's process, which works in another folder, finds the value."""
    if value.startswith("@file:"):
        return f"@file:{Path(value.removeprefix('@file:')).absolute()}"
    if headers.is_source(value):
        return value
    variable = _SECRET + re.sub(r"\W", "_", name).upper()
    os.environ[variable] = value
    return f"@env:{variable}"
