"""What can go wrong around nodes, beside what code on them raises (qs.engine.errors)."""

from __future__ import annotations


class NodesError(RuntimeError):
    """Nodes cannot be had as asked: no cluster, too few of them, none that answers. One message,
    which says what to change.
    """


class NodeLost(NodesError):
    """A node died, hung or was cut off. `why` says so without the node's name."""

    def __init__(self, why: str, name: str = ""):
        super().__init__(f"node {name}: {why}" if name else why)
        self.why = why
        self.name = name
