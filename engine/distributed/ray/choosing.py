"""Which of a Ray cluster's nodes are taken. Works on what `ray.nodes()` tells; imports no Ray."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

from qs.engine.distributed.errors import NodesError

_MOST_NAMED = 12


def chosen(
    asked: int | str, nodes: Sequence[dict[str, Any]], own: str, cluster: str
) -> list[dict[str, Any]]:
    """The alive nodes that are asked for: a number, "all", or those with a "label=value". The
    driver's own, whose id is `own`, comes first, then they are in order of their addresses. Raises
    NodesError, which says what there is.
    """
    alive = sorted(
        (node for node in nodes if node["Alive"]),
        key=lambda node: (node["NodeID"] != own, _address(node), node["NodeID"]),
    )
    if asked == "all":
        return alive
    if isinstance(asked, str) and not asked.isdigit():
        label, equals, value = asked.partition("=")
        if not equals or not label or not value:
            raise NodesError(f"nodes: {asked!r} is neither a number, 'all' nor 'label=value'")
        found = [node for node in alive if _has(node, label, value)]
        if not found:
            raise NodesError(
                f"nodes: none of the {len(alive)} nodes of the cluster at {cluster} has "
                f"{label}={value}; {_what_there_is(label, value, alive)}"
            )
        return found
    count = int(asked)
    if count < 1:
        raise NodesError(f"nodes: {asked} of them cannot be had; at least 1 is needed")
    if count > len(alive):
        have = "1 node" if len(alive) == 1 else f"{len(alive)} nodes"
        raise NodesError(
            f"nodes: {count} are asked for, and the cluster at {cluster} has {have} "
            f"({names_of(alive)}); ask for fewer, have more join with `ray start "
            f"--address={cluster}`, or say `--ray local` for a cluster of this machine alone"
        )
    return alive[:count]


def spare_of(
    nodes: Sequence[dict[str, Any]], used: Collection[str], again: Collection[str]
) -> list[dict[str, Any]]:
    """Alive nodes where another process can be placed, best first: those not in use, then those
    where one has been lost (`again`).
    """
    alive = sorted((node for node in nodes if node["Alive"]), key=_address)
    return [node for node in alive if node["NodeID"] not in used] + [
        node for node in alive if node["NodeID"] in again
    ]


def name_of(node: dict[str, Any]) -> str:
    """As its user named it, else that of its host."""
    named, address = node.get("NodeName") or "", node["NodeManagerAddress"]
    return named if named and named != address else node.get("NodeManagerHostname") or address


def names_of(nodes: Sequence[dict[str, Any]]) -> str:
    named = [node["NodeManagerAddress"] for node in nodes[:_MOST_NAMED]]
    return ", ".join(named + ["..."] * (len(nodes) > _MOST_NAMED))


def labels_of(node: dict[str, Any]) -> dict[str, str]:
    return dict(node.get("Labels") or {})


def _has(node: dict[str, Any], label: str, value: str) -> bool:
    """Ray's labels; a resource `label:value`, as accelerator_type has; or so much of a resource."""
    if labels_of(node).get(label) == value:
        return True
    resources = node.get("Resources") or {}
    if f"{label}:{value}" in resources:
        return True
    try:
        return label in resources and resources[label] == float(value)
    except ValueError:
        return False


def _what_there_is(label: str, value: str, nodes: Sequence[dict[str, Any]]) -> str:
    """Values of that label, else labels of nearly that name, else all."""
    pairs = {
        pair for node in nodes for pair in labels_of(node).items() if pair[0] != "ray.io/node-id"
    }
    for node in nodes:
        for name, amount in (node.get("Resources") or {}).items():
            if not name.startswith(("node:", "object_store_memory", "memory")):
                pairs.add((name, f"{amount:g}"))
    values = sorted(has for name, has in pairs if name == label)
    if values:
        return f"{label} is {' or '.join(values[:_MOST_NAMED])} there"
    names = sorted({name for name, _ in pairs})
    if not names:
        return "they have no labels: give them some with `ray start --labels key=value`"
    near = get_close_matches(label, names, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}labels and resources there are {', '.join(names[:_MOST_NAMED])}"


def _address(node: dict[str, Any]) -> tuple[int, int, str]:
    address = node["NodeManagerAddress"]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return 9, 0, address
    return parsed.version, int(parsed), address
