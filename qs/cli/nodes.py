"""What was typed of nodes, as `Request.nodes` has it. Whether the cluster has them is found out
when it is reached (qs.nodes).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from qs.base.errors import Fault, Faults, UserError
from qs.base.scenarios import MULTI_STREAM, OPEN_LOOP, SINGLE_STREAM, spelled
from qs.settings.nodes_asked import ALL, CONTINUE, PER_NODE, NodesAsked, enough, with_traffic
from qs.settings.traffic import Traffic

FLAGS = ("nodes", "per_node", "ray", "on_loss")
INSTALL = "pip install 'quicksilver-perf[ray]'"
# Options -> the value that says nothing, and why they do not go with --nodes.
_ALONE = {
    "in_process": "left out with --nodes: a backend runs in a process of each node",
    "compile_only": "left out with --nodes: compiling is done on this machine alone",
}
_NAMES = {"rate": "rate_per_s"}  # of the options that state totals, where they are others


def taken(given: dict[str, Any], traffic: Traffic) -> NodesAsked | None:
    """Takes the options of nodes out of what was given. None: one machine, this one. Raises Faults
    for options that do not go together, UserError where Ray is not installed.

    given    the other options, by their names
    traffic  how load arrives
    """
    named = {name: given.pop(name, None) for name in FLAGS}
    pairs = [pair for group in named["per_node"] or () for pair in group]
    if named["nodes"] is None:
        _check_alone(named, pairs)
        return None
    per_node = dict(pairs)
    faults = [
        *_twice(pairs),
        *(
            _stated_twice(name, value, given, traffic)
            for name, value in per_node.items()
            if _total(name, given, traffic) is not None
        ),
        *(Fault(f"--{name}", "", "given", why) for name, why in _ALONE.items() if given.get(name)),
        *_of_own_loop(given),
        *_of_each_client(per_node, with_traffic(traffic, per_node)),
        *_one_stream(traffic),
    ]
    if faults:
        raise Faults(faults)
    check_ray()
    return NodesAsked(named["nodes"], named["ray"], per_node, named["on_loss"] or CONTINUE)


def of_doctor(nodes: int | str | None, ray: str | None) -> NodesAsked | None:
    """The same of `qs doctor`, which asks for no load."""
    return taken({"nodes": nodes, "ray": ray}, Traffic())


def check_axes(nodes: int | str | None, axes: Mapping[str, Any]) -> None:
    """Raises Faults for values of a sweep's axes of which a node would have none."""
    if not isinstance(nodes, int):
        return
    faults = [
        Fault(f"--{name}", "", value, enough(nodes))
        for name in ("clients", "instances")
        for value in axes[name]
        if value < nodes
    ]
    if faults:
        raise Faults(faults)


def check_ray() -> None:
    """Raises UserError where Ray is not installed."""
    if find_spec("ray") is None:
        raise UserError(f"--nodes needs Ray, which is not installed here; {INSTALL}")


def _check_alone(named: Mapping[str, Any], pairs: list[tuple[str, float]]) -> None:
    """Raises Faults for options that mean nothing on one machine."""
    shown = ",".join(f"{key}={value:g}" for key, value in pairs)
    stated = (("per_node", shown), ("ray", named["ray"]), ("on_loss", named["on_loss"]))
    faults = [
        Fault(f"--{name}", "", value, f"given with --nodes: a number of them, {ALL}, LABEL=VALUE")
        for name, value in stated
        if value
    ]
    if faults:
        raise Faults(faults)


def _twice(pairs: list[tuple[str, float]]) -> list[Fault]:
    keys = [key for key, _ in pairs]
    return [
        Fault(
            "--per_node",
            "",
            ", ".join(f"{name}={value:g}" for name, value in pairs if name == key),
            f"{key} once",
        )
        for key in dict.fromkeys(keys)
        if keys.count(key) > 1
    ]


def _total(name: str, given: Mapping[str, Any], traffic: Traffic) -> Any:
    """What was stated as the total of the same."""
    option = _NAMES.get(name, name)
    return getattr(traffic, option, None) if hasattr(traffic, option) else given.get(option)


def _stated_twice(name: str, value: float, given: Mapping[str, Any], traffic: Traffic) -> Fault:
    flag = PER_NODE[name]
    total = str(_total(name, given, traffic)).removesuffix(".0")
    shown = f"{name}={value:g}"
    return Fault(
        "--per_node", "", shown, f"left out with {flag} {total}, which is the total of all nodes"
    )


def _of_own_loop(given: Mapping[str, Any]) -> list[Fault]:
    """Only what our engine drives is spread."""
    if given.get("engine") != "never":
        return []
    allowed = "auto or always with --nodes: a backend that times itself runs on one machine"
    return [Fault("--engine", "", "never", allowed)]


def _of_each_client(per_node: Mapping[str, float], traffic: Traffic) -> list[Fault]:
    """In closed loop --iterations is of each client already."""
    if "iterations" not in per_node or traffic.name in OPEN_LOOP:
        return []
    allowed = "given in open loop; in closed loop --iterations is of each client, on any node"
    return [Fault("--per_node", "", f"iterations={per_node['iterations']:g}", allowed)]


def _one_stream(traffic: Traffic) -> list[Fault]:
    if traffic.name not in (SINGLE_STREAM, MULTI_STREAM):
        return []
    allowed = "another one with --nodes: it means one stream of queries, which is one machine's"
    return [Fault("--scenario", "", spelled(traffic.name), allowed)]
