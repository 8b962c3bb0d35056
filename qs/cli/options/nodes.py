"""Over which machines the load is spread. What was typed becomes NodesAsked in qs.cli.nodes."""

from __future__ import annotations

from qs.cli.basic_types import OneOf
from qs.cli.grouping import PLACE, together, under
from qs.cli.nodes_types import Cluster, Nodes, PerNode

_place = under(PLACE)

nodes = together(
    _place(
        "--nodes",
        type=Nodes(),
        help="Spread each case over so many machines of a Ray cluster, all of them, or those with "
        "a label; 2 on a laptop are two nodes on it. Numbers (--clients, --rate) are totals. See "
        "docs/nodes.md.",
    ),
    _place(
        "--per_node",
        type=PerNode(),
        multiple=True,
        help="With --nodes: what each node has, in place of a total: clients=4, rate=100; also "
        "workers, instances, iterations, users, sessions_per_s, max_backlog. Repeatable, or "
        "separated by commas.",
        rare=True,
    ),
    _place(
        "--ray",
        type=Cluster(),
        help="With --nodes: the cluster's head, for example 10.0.0.1:6379; auto: the one at hand; "
        "local: one that is started on this machine, and ended again.  [default: the one at hand, "
        "else local]",
        rare=True,
    ),
    _place(
        "--on_loss",
        type=OneOf(["continue", "stop", "replace"]),
        help="With --nodes: what happens when one is lost: the others go on, all stop, or another "
        "one takes over.  [default: continue]",
        rare=True,
    ),
)
