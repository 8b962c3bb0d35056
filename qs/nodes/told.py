"""A failure of a backend's process on a node, as plain data that crosses to the driver, and back
as what its own process would have raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.engine import HostDied, HostError, HostTimeout

FAILED = "failed"
RAISED, DIED, HUNG = "raised", "died", "hung"


def failure_of(fault: HostError | HostDied | HostTimeout) -> dict[str, Any]:
    """What to answer in place of a result."""
    if isinstance(fault, HostTimeout):
        told: dict[str, Any] = {
            "how": HUNG,
            "what": fault.what,
            "limit_s": fault.limit_s,
            "log_tail": fault.log_tail,
        }
    elif isinstance(fault, HostDied):
        told = {
            "how": DIED,
            "exit": fault.exit,
            "log_tail": fault.log_tail,
            "status": fault.status,
            "signal": fault.signal,
        }
    else:
        told = {
            "how": RAISED,
            "kind": fault.kind,
            "message": fault.message,
            "traceback": fault.traceback,
            "classes": list(fault.classes),
        }
    return {FAILED: told}


def failed(answer: Mapping[str, Any], node: str) -> Exception | None:
    """What an answer of a node says was raised there, named after it; None: nothing."""
    told = answer.get(FAILED)
    if told is None:
        return None
    try:
        return _failed(told, node)
    except (KeyError, TypeError):
        return HostError("Unreadable", f"node {node}: it failed, and does not say how")


def _failed(told: Mapping[str, Any], node: str) -> Exception:
    if told["how"] == HUNG:
        return HostTimeout(f"node {node}: {told['what']}", told["limit_s"], told["log_tail"])
    if told["how"] == DIED:
        exit_on = f"on node {node}: {told['exit']}"
        return HostDied(exit_on, told["log_tail"], told["status"], told["signal"])
    message = f"node {node}: {told['message']}"
    return HostError(told["kind"], message, told["traceback"], tuple(told["classes"]))
