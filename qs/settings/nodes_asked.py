"""On which machines a case is measured: the options `--nodes`, `--ray`, `--per_node` and
`--on_loss`.

How many nodes there are is known when the cluster is reached; then with_totals (request.py) makes
totals of the numbers that were stated of each node, and all that follows knows totals alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qs.settings.traffic import Traffic

ALL = "all"  # every node of the cluster
LOCAL = "local"  # --ray local: a cluster of its own, even where there is one at hand
CONTINUE, STOP, REPLACE = "continue", "stop", "replace"
ON_LOSS = (CONTINUE, STOP, REPLACE)
# What may be stated of each node -> the option that states the total.
PER_NODE = {
    "clients": "--clients",
    "workers": "--workers",
    "instances": "--instances",
    "rate": "--rate",
    "iterations": "--iterations",
    "users": "--users",
    "sessions_per_s": "--sessions_per_s",
    "max_backlog": "--max_backlog",
}
REAL = ("rate", "sessions_per_s")  # those that need not be whole
# Those that are of how load arrives, by the names of qs.settings.traffic.Traffic.
OF_TRAFFIC = {
    "rate": "rate_per_s",
    "users": "users",
    "sessions_per_s": "sessions_per_s",
    "max_backlog": "max_backlog",
}


@dataclass(frozen=True)
class NodesAsked:
    """nodes     how many; "all"; "label=value": those with this label
    ray       HOST:PORT of a cluster, "auto" or "local"; None: the one at hand, else one that is
              started on this machine and ended again
    per_node  numbers of each node, by the keys of PER_NODE
    on_loss   one of ON_LOSS
    """

    nodes: int | str
    ray: str | None = None
    per_node: Mapping[str, float] = field(default_factory=dict)
    on_loss: str = CONTINUE

    @property
    def words(self) -> str:
        """As it was typed: --nodes 2 --ray 10.0.0.1:6379."""
        more = [f"--per_node {name}={value:g}" for name, value in self.per_node.items()]
        at = [] if self.ray is None else [f"--ray {self.ray}"]
        loss = [] if self.on_loss == CONTINUE else [f"--on_loss {self.on_loss}"]
        return " ".join([f"--nodes {self.nodes}", *at, *more, *loss])


def enough(nodes: int) -> str:
    """What is allowed of a total, in words."""
    return f"{nodes} or more with --nodes {nodes}: one for each node"


def with_traffic(traffic: Traffic, stated: Mapping[str, Any]) -> Traffic:
    """The load with what is stated of it, by the keys of PER_NODE."""
    of_load = {OF_TRAFFIC[name]: value for name, value in stated.items() if name in OF_TRAFFIC}
    return replace(traffic, **of_load)
