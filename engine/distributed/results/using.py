"""What all nodes used, and what the engine cost on them, as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from qs.engine.conduct.joining import total
from qs.engine.machine.watch import CpuUse
from qs.engine.result import EngineCost, RunResult

# Of a node's own processes; the rest is of its machine, which several nodes may share.
_OF_PROCESSES = (
    "workers_s",
    "conductor_s",
    "run_s",
    "voluntary_switches",
    "involuntary_switches",
)
_OF_MACHINES = ("cores", "host_cpus", "host_busy_s", "steal_s", "quota_held_back_s")


def cpu_of(found: Sequence[tuple[Any, CpuUse | None]]) -> CpuUse | None:
    """The sum over nodes, each with the machine that it was on; a machine counts once. None if one
    does not say.
    """
    known = [(machine, use) for machine, use in found if use is not None]
    if not known or len(known) < len(found):
        return None
    machines: dict[Any, CpuUse] = {}
    for number, (machine, use) in enumerate(known):
        key = number if machine is None else str(machine)
        before = machines.get(key)
        machines[key] = use if before is None else _larger(before, use)
    uses = [use for _, use in known]
    here = list(machines.values())
    base = [use.base_mhz for use in uses if use.base_mhz is not None]
    return replace(
        uses[0],
        elapsed_s=max(use.elapsed_s for use in uses),
        **{name: total([getattr(use, name) for use in uses]) for name in _OF_PROCESSES},
        **{name: total([getattr(use, name) for use in here]) for name in _OF_MACHINES},
        thermal_events=total([use.thermal_events for use in here]),
        # Frequencies of several machines are no series.
        base_mhz=min(base) if len(base) == len(uses) else None,
        seen_mhz=(),
        groups=tuple(group for use in uses for group in use.groups),
    )


def _larger(one: CpuUse, other: CpuUse) -> CpuUse:
    """What two nodes on one machine saw of it."""
    return replace(
        one,
        **{name: _max([getattr(one, name), getattr(other, name)]) for name in _OF_MACHINES},
        thermal_events=_max([one.thermal_events, other.thermal_events]),
    )


def _max(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def cost_of(runs: Sequence[RunResult]) -> EngineCost | None:
    """Of a typical request of the whole."""
    known = [(run.engine_cost, max(run.completed, 1)) for run in runs if run.engine_cost]
    requests = sum(many for _, many in known)
    if not known:
        return None
    return EngineCost(
        sum(cost.ns_per_request * many for cost, many in known) / requests,
        round(sum(cost.service_ns * many for cost, many in known) / requests),
        sum(cost.requests for cost, _ in known),
    )
