"""What several nodes ask one server: connections are shared out among them, and ids of sequences
are each node's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# So many ids of sequences are one node's, those of requests that are not measured among them.
IDS_OF_A_NODE = 1 << 41


def share_of(told: Mapping[str, Any], number: int, of: int) -> dict[str, Any]:
    """What node `number` of so many is told, given what a backend's process was told: that itself,
    unless it asks a server (`qs.remote.asked.Asked`, in the compile result).
    """
    configured = told.get("configure_runtime") or {}
    compiled = configured.get("compile_result") or {}
    asked = compiled.get("asked")
    if not isinstance(asked, Mapping):
        return dict(told)
    own = {**asked, "sequence_base": (asked.get("sequence_base") or 1) + number * IDS_OF_A_NODE}
    if asked.get("connections"):
        each, more = divmod(asked["connections"], of)
        own["connections"] = max(each + (number < more), 1)
    return {
        **told,
        "configure_runtime": {**configured, "compile_result": {**compiled, "asked": own}},
    }
