"""What was typed of a served model: the options of the heading Server, as `Request.remote` has
them.

The value of a header is a secret. It is handed on in a variable of this process, which a backend's
process inherits, and everything else sees `@env:` and that variable's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base import headers
from qs.base.errors import Fault, Faults

# Option -> how it is typed. They are the fields of qs.remote.asked.Asked, but for `metrics`, which
# is another option's name.
FLAGS = {
    "url": "--url",
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
}
_FILES = ("ca", "certificate", "key", "template")
_SECRET = "QS_SECRET_"  # and the header's name


def taken(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of a served model out of what was given, and returns those that say
    something, as plain data. Raises Faults.
    """
    found = {name: given.pop(name) for name in FLAGS if name in given}
    found = {name: value for name, value in found.items() if value not in (None, False, ())}
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
        faults += _unreadable(name, value)
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
    return found


def typed(remote: Mapping[str, Any]) -> list[str]:
    """The flags of what was given, as they are typed."""
    return [FLAGS[name] for name in remote if name in FLAGS]


def _repeated(flag: str, names: list[str], folded: bool) -> list[Fault]:
    keys = [name.lower() if folded else name for name in names]
    return [
        Fault(f"{flag} {name}", "", f"given {keys.count(key)} times", f"one {flag} of each name")
        for at, (key, name) in enumerate(zip(keys, names))
        if keys.count(key) > 1 and keys.index(key) == at
    ]


def _unreadable(name: str, value: str) -> list[Fault]:
    """A fault for a variable that is not set, or a file that is not there."""
    flag = f"{headers.FLAG} {name}"
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
