"""What does not go over nodes: said before anything is started."""

from __future__ import annotations

from qs.base.errors import Fault, Faults
from qs.base.scenarios import MULTI_STREAM, OPEN_LOOP, SINGLE_STREAM, spelled
from qs.settings.nodes_asked import PER_NODE, enough
from qs.settings.request import Request


def check_nodes(request: Request) -> None:
    """Raises Faults for what does not go over nodes, before anything is started."""
    asked, traffic = request.nodes, request.traffic
    if asked is None:
        return
    alone = "left out with --nodes"
    faults = []
    if request.in_process:
        faults.append(Fault("--in_process", "", "given", f"{alone}: each node has a process"))
    if request.compile_only:
        faults.append(Fault("--compile_only", "", "given", f"{alone}: nothing is measured"))
    if request.engine == "never":
        allowed = "auto or always with --nodes: a backend that times itself runs on one machine"
        faults.append(Fault("--engine", "", "never", allowed))
    if traffic.name in (SINGLE_STREAM, MULTI_STREAM):
        allowed = "another one with --nodes: it means one stream of queries, which is one machine's"
        faults.append(Fault("--scenario", "", spelled(traffic.name), allowed))
    if request.pool == "inline":
        allowed = "another one with --nodes: inline means this process alone"
        faults.append(Fault("--pool", "", "inline", allowed))
    faults += _too_few(request, asked.nodes)
    if faults:
        raise Faults(faults)


def _too_few(request: Request, nodes: int | str) -> list[Fault]:
    """Totals of which a node would have none; where the cluster says how many nodes there are, it
    is found out when that is known.
    """
    if not isinstance(nodes, int):
        return []
    traffic = request.traffic
    stated = {name: getattr(request, name) for name in ("clients", "workers", "instances")}
    stated["users"] = traffic.users
    if traffic.name in OPEN_LOOP:  # in closed loop they are of each client
        stated["iterations"] = request.iterations
    return [
        Fault(PER_NODE[name], "", value, enough(nodes))
        for name, value in stated.items()
        if value is not None and value < nodes
    ]
