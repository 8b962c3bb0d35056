"""A served model in a model file's place: what may be asked of it, and what stands where a file has
its SHA-256.
"""

from __future__ import annotations

from typing import Any

from qs.base.errors import Fault, Faults
from qs.remote.address import SCHEMES
from qs.remote.asked import Asked
from qs.remote.reading import flag_of
from qs.settings.request import Request

SERVERS = frozenset(scheme.backend for scheme in SCHEMES.values())
# Of a served model, what makes it the same one: what its server says of it, and where that is.
IDENTITY = ("address", "model", "version", "platform", "server", "server_version")


def check_served(request: Request) -> None:
    """Raises Faults for an address, or options of a server, that do not fit each other."""
    if request.offline:
        allowed = "not given with an address: the server may be on another machine"
        raise Faults([Fault("--offline", "", "given", allowed)])
    Asked.of(request.remote)


def check_no_server(request: Request) -> None:
    """Raises Faults for options of a server, where none is asked."""
    if request.hardware_type.upper() in SERVERS:
        return
    where = f"the backend {request.hardware_type}" if request.hardware_type else "this backend"
    allowed = f"given with a served model: {where} asks no server"
    faults = [Fault(flag_of(name), "", "given", allowed) for name in request.remote]
    if faults:
        raise Faults(faults)


def check_compiled_before(request: Request) -> None:
    """Raises Faults for options of a server beside a compile result, which has its own."""
    allowed = "with an address, or when it is compiled: a compile result says how it asks"
    faults = [Fault(flag_of(name), "", "given", allowed) for name in request.remote]
    if faults:
        raise Faults(faults)


def served_source(described: dict[str, Any]) -> dict[str, Any]:
    """As qs.evaluate.checks.resolve_model, for a served model, which has no file."""
    served = described["served"]
    by = " ".join(filter(None, (served["server"], served["server_version"])))
    version = f", version {served['version']}" if served["version"] else ""
    on = f" ({served['platform']})" if served["platform"] else ""
    return {
        "path": described["path"],
        "kind": "served",
        "synthetic": False,
        "format": described["format"],
        "sha256": None,
        "data": {},
        "served": {name: served[name] for name in IDENTITY},
        "note": f"{served['model']}{version}{on}, served by {by or 'a server'} at "
        f"{described['path']}",
    }
