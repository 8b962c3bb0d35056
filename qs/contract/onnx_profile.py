"""Where the nodes of an ONNX Runtime session ran, from its profile: what a provider took, and what
fell back to the CPU.
"""

from __future__ import annotations

import json
from pathlib import Path


def nodes_by_provider(profile: str | Path) -> dict[str, int]:
    """Executed nodes by execution provider. `profile` is the file that `end_profiling` names."""
    nodes: dict[str, str] = {}
    for event in json.loads(Path(profile).read_text()):
        about = event.get("args") or {}
        if event.get("cat") == "Node" and "provider" in about:
            nodes[f"{about.get('node_index')} {event['name']}"] = about["provider"]
    counts: dict[str, int] = {}
    for provider in nodes.values():
        counts[provider] = counts.get(provider, 0) + 1
    return counts
