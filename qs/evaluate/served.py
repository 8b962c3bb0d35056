"""A served model in a model file's place: what may be asked of it, and what stands where a file has
its SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qs.base import headers
from qs.base.addresses import HIDDEN
from qs.base.errors import Fault, Faults
from qs.base.words import data_size, span
from qs.config.qs_config import QsConfig, parse_qs_config
from qs.llm.asked import flag_of as flag_of_llm
from qs.remote.address import SCHEMES, parse
from qs.remote.asked import Asked
from qs.remote.reading import flag_of
from qs.settings.request import Request

SERVERS = frozenset(scheme.backend for scheme in SCHEMES.values())
# Of a served model, what makes it the same one: what its server says of it, and where that is.
IDENTITY = ("address", "model", "version", "versions", "platform", "server", "server_version")
_PROTOCOLS = {"http": "HTTP/1.1", "grpc": "gRPC"}


def _flags(remote: Mapping[str, Any]) -> list[str]:
    """The flags of what was given of a served model."""
    llm = [flag_of_llm(name) for name in remote.get("llm") or () if name != "seed"]
    own = ["--url" if name == "url" else flag_of(name) for name in remote if name != "llm"]
    return own + llm


def check_served(request: Request) -> None:
    """Raises Faults for an address, or options of a server, that do not fit each other."""
    if request.offline:
        allowed = "not given with an address: the server may be on another machine"
        raise Faults([Fault("--offline", "", "given", allowed)])
    asked = Asked.of(request.remote)
    if request.pool == "async" and asked.client != "lean":
        allowed = f"thread, inline or process: --client {asked.client} blocks"
        raise Faults([Fault("--pool", "", "async", allowed)])


def check_no_server(request: Request) -> None:
    """Raises Faults for options of a server, where none is asked."""
    if request.hardware_type.upper() in SERVERS:
        return
    where = f"the backend {request.hardware_type}" if request.hardware_type else "this backend"
    allowed = f"given with a served model: {where} asks no server"
    faults = [Fault(flag, "", "given", allowed) for flag in _flags(request.remote)]
    if faults:
        raise Faults(faults)


def check_answers(hardware: str, answers: Mapping[str, Any] | None) -> None:
    """Raises Faults for headers whose values, and a key that, stand in a file of answers: answers
    are kept beside the result, and those are secrets. No message repeats one.
    """
    if hardware.upper() not in SERVERS:
        return
    key = (answers or {}).get("api_key") or ""
    if key and not headers.is_source(str(key)):
        allowed = "@env:NAME or @file:PATH: answers are kept beside the result"
        raise Faults([Fault("the answers", "api_key", HIDDEN, allowed)])
    given = (answers or {}).get("headers")
    if given is None or given == "":
        return
    allowed = "NAME: @env:VARIABLE or NAME: @file:PATH, as text; several are separated by ';'"
    hint = "answers are kept beside the result; --header takes the value itself"
    faults = []
    for part in given.split(";") if isinstance(given, str) else [None]:
        try:
            name, value = headers.split(part or "")
        except ValueError:
            name, value = "", HIDDEN
        if not headers.is_source(value) and (part is None or part.strip()):
            key = f"headers: {name}" if name else "headers"
            faults.append(Fault("the answers", key, HIDDEN, allowed, hint=hint))
    if faults:
        raise Faults(faults)


def check_compiled_before(request: Request) -> None:
    """Raises Faults for options of a server beside a compile result, which has its own."""
    allowed = "with an address, or when it is compiled: a compile result says how it asks"
    faults = [Fault(flag, "", "given", allowed) for flag in _flags(request.remote)]
    if faults:
        raise Faults(faults)


def until_ready(request: Request) -> str:
    """What is done before a served model is described, and for how long, in words."""
    limit_s = request.remote.get("ready_timeout_s") or Asked.ready_timeout_s
    return f"asking the server (until it is ready, for {span(limit_s)} at most: --ready_timeout)"


def as_answers(remote: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed of a served model, as answers to questions of the same names: text for what
    has several values.
    """
    lists = {"headers": ": ", "parameters": "="}
    found = {**remote, **(remote.get("llm") or {})}
    found.pop("llm", None)
    if "url" in found:
        address = parse(found["url"], found.get("model") or "")
        found |= {"model": address.model, "version": address.version}
    if "body" in found:
        fields = (f"{name}={json.dumps(value)}" for name, value in found["body"].items())
        found["body"] = "; ".join(fields)
    for name, between in lists.items():
        if name in found:
            found[name] = "; ".join(f"{key}{between}{value}" for key, value in found[name].items())
    if "metrics" in found:
        found["metrics"] = "; ".join(found["metrics"])
    return found


def likely_config(served: Mapping[str, Any]) -> QsConfig:
    """What a backend of a server says of how it is driven, before it is asked."""
    stated = {"runner": "async"} if served["client"] == "lean" else {"pool": "thread"}
    return parse_qs_config({"qs_version": 2, **stated}, "a served model")


def served_source(described: dict[str, Any]) -> dict[str, Any]:
    """As qs.evaluate.checks.resolve_model, for a served model, which has no file."""
    served = described["served"]
    return {
        "path": described["path"],
        "kind": "served",
        "synthetic": False,
        "format": described["format"],
        "sha256": None,
        "data": {},
        "served": {name: served.get(name) or "" for name in IDENTITY},
        "note": f"{called(served)} at {described['path']}",
    }


def called(served: Mapping[str, Any]) -> str:
    """The model, its version and its server, in words."""
    by = " ".join(filter(None, (served["server"], served["server_version"])))
    version = f", version {served['version']}" if served["version"] else ""
    on = f" ({served['platform']})" if served["platform"] else ""
    return (
        f"{served['model']}{version}{on}, served by {by or 'a server that does not say what it is'}"
    )


def how_asked(
    served: Mapping[str, Any], request: Request, prompts: Mapping[str, Any] | None = None
) -> list[str]:
    """What a run would send, where and how, in lines."""
    sent = served["request"]
    protocol = _PROTOCOLS.get(served["transport"], served["transport"])
    tls = "TLS" if served["tls"] else "no TLS"
    lines = [f"{served['address']}: {called(served)}"]
    if prompts is not None:
        lines += [
            f"{protocol}, {tls}: {sent['line']}, the first {data_size(sent['bytes'])}",
            f"answers: {served['facts'].get('answers', '')}",
            *prompts["lines"],
            f"connections: {_connections(served, request)}",
        ]
        return lines + _with_each(served)
    lines += [
        f"{protocol}, {tls}: {sent['line']}, {data_size(sent['bytes'])} at batch size "
        f"{sent['batch_size']}",
        f"tensors: {served['facts'].get('tensors', 'as the protocol has them')}, in shared memory"
        if served["shared_memory"]
        else f"tensors: {served['facts'].get('tensors', 'as the protocol has them')}",
        f"compression: {served['compression']}",
        f"connections: {_connections(served, request)}",
    ]
    lines += _with_each(served)
    if served["sequences"]:
        lines.append(f"sequences: {served['sequences']} in turn")
    if served["client"] != "lean":
        lines.append(f"client: {served['client']}")
    return lines


def _with_each(served: Mapping[str, Any]) -> list[str]:
    said = [
        *(f"header {name}" for name in served["headers"]),
        *(f"parameter {name}={value}" for name, value in served["parameters"].items()),
        *(f"body {name}={value}" for name, value in (served.get("body") or {}).items()),
    ]
    return [f"with each request: {', '.join(said)}"] if said else []


def _connections(served: Mapping[str, Any], request: Request) -> str:
    most = served["connections"]
    opened = "opened before measuring"
    if served["open_while_measuring"]:
        opened += ", and more while measuring"
    open_loop = any(each.open_loop for each in request.traffic.scenarios() or ())
    each = f", {served['streams']} requests at a time on each" if served["streams"] > 1 else ""
    if open_loop and not request.clients:
        return f"{most}, {opened}{each}"
    return f"one for each client, at most {most}, {opened}{each}"
