"""One plan over several machines: each node runs the whole engine on its share, and one result is
made of what they measured. Needs the extra `ray`.

    from qs.engine import Factory, Poisson, RunPlan, Stop
    from qs.engine.distributed import run_on
    plan = RunPlan(load=Poisson(10_000, seed=1), stop=Stop(duration_s=60))
    result = run_on("all", plan, Factory("my_client:Client"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_ROOMS = {
    "NodeLost": "errors",
    "Nodes": "leading.nodes",
    "NodesError": "errors",
    "NodesTarget": "targets",
    "ON_LOSS": "leading.asked",
    "Placed": "places.places",
    "Places": "places.places",
    "ProcessPlaces": "places.places",
    "SILENT_S": "leading.asked",
    "Shipped": "places.places",
    "Where": "places.places",
    "faults_over": "splitting.shares",
    "open_nodes": "leading.nodes",
    "run_on": "leading.doors",
    "run_on_async": "leading.doors",
    "shares_of": "splitting.shares",
    "words_of": "splitting.shares",
}


def __getattr__(name: str) -> object:
    """Loaded on first use: most runs of the program are on one machine."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
