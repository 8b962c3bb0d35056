"""One plan over several machines: each node runs the whole engine on its share, and one result is
made of what they measured. Needs the extra `ray`.

    from qs.engine import Factory, Poisson, RunPlan, Stop
    from qs.engine.distributed import run_on
    plan = RunPlan(load=Poisson(10_000, seed=1), stop=Stop(duration_s=60))
    result = run_on("all", plan, Factory("my_client:Client"))
"""

from __future__ import annotations

from qs.engine.distributed.errors import NodeLost, NodesError
from qs.engine.distributed.leading.asked import ON_LOSS, SILENT_S
from qs.engine.distributed.leading.doors import run_on, run_on_async
from qs.engine.distributed.leading.nodes import Nodes, open_nodes
from qs.engine.distributed.places.places import Placed, Places, ProcessPlaces, Shipped, Where
from qs.engine.distributed.splitting.shares import faults_over, shares_of, words_of
from qs.engine.distributed.targets import NodesTarget

__all__ = [
    "ON_LOSS",
    "SILENT_S",
    "NodeLost",
    "Nodes",
    "NodesError",
    "NodesTarget",
    "Placed",
    "Places",
    "ProcessPlaces",
    "Shipped",
    "Where",
    "faults_over",
    "open_nodes",
    "run_on",
    "run_on_async",
    "shares_of",
    "words_of",
]
