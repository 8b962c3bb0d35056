"""What was asked of machines: on how many nodes, of which cluster, what each of them gets, and what
becomes of a run that loses one.

Where it leads to is in qs.nodes; how Ray's words are read is the engine's (qs.engine.distributed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ON_LOSS = ("continue", "stop", "replace")
# What `--per_node` takes: options of which a node's own number may be given.
PER_NODE = (
    "clients",
    "workers",
    "instances",
    "rate",
    "iterations",
    "max_in_flight",
    "max_backlog",
)


@dataclass(frozen=True)
class NodesAsked:
    """`--nodes`, `--ray`, `--per_node` and `--on_loss`.

    nodes      how many; "all"; or "label=value": those of the cluster that have it
    ray        the cluster's address; None: the one at hand, or one is started on this machine
    per_node   by name of PER_NODE: of each node, where other numbers are of all nodes together
    on_loss    one of ON_LOSS
    """

    nodes: int | str
    ray: str | None = None
    per_node: Mapping[str, float] = field(default_factory=dict)
    on_loss: str = "continue"
