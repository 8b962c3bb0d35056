"""The settings of a case over several nodes: totals.

What the command line states is the total of all nodes already. What the task, the vendor's QS
config and our defaults say is of one machine, and each node is one: it is multiplied by their
number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qs.settings.settings import (
    OWN_COPIES,
    Origin,
    Setting,
    Settings,
    copies_of,
    share_out,
)
from qs.settings.traffic import ScenarioSettings

# Of one machine: nobody stated them for this run.
OF_ONE = (Origin.QS_CONFIG, Origin.BACKEND, Origin.WORKLOAD, Origin.DEFAULT)
# Of a scenario, what is a total.
TOTALS = ("rate_per_s", "users", "sessions_per_s")


def over(settings: Settings, nodes: int, cpus: Sequence[int]) -> Settings:
    """The settings of all nodes together, from those of one machine.

    cpus   those of this machine: what is shared out among the copies of one node
    """
    found = replace(
        settings,
        nodes=Setting(nodes, Origin.COMMAND_LINE),
        clients=_times(settings.clients, nodes),
        scenarios=_scenarios(settings.scenarios, nodes),
    )
    return _with_shares(replace(found, instances=_instances(found, settings, nodes)), cpus)


def _with_shares(settings: Settings, cpus: Sequence[int]) -> Settings:
    """With the CPUs of a node shared out among its own copies, where nobody stated them."""
    sets, threads = settings.affinity, settings.intra_op_threads
    each_sets, each_threads = share_out(copies_of(settings), cpus)
    if sets.origin == Origin.DEFAULT and sets.value:
        settings = replace(settings, affinity=each_sets)
    if threads.origin == Origin.DEFAULT and threads.value is not None:
        settings = replace(settings, intra_op_threads=each_threads)
    return settings


def _instances(found: Settings, one: Settings, nodes: int) -> Setting[int]:
    pool, instances = found.pool.value, one.instances
    if pool in OWN_COPIES:
        copies = found.clients.value if pool == "process" else found.workers.value or nodes
        return Setting(copies, instances.origin)
    sets = one.affinity
    if sets.value and instances == Setting(len(sets.value), sets.origin):
        return Setting(instances.value * nodes, instances.origin)  # the CPUs are of each node
    if ":" in one.runner.value and instances == one.clients:
        return Setting(found.clients.value, instances.origin)
    return _times(instances, nodes)


def _times(setting: Setting[int], nodes: int) -> Setting[int]:
    return Setting(setting.value * nodes, setting.origin) if setting.origin in OF_ONE else setting


def _scenarios(
    setting: Setting[tuple[ScenarioSettings, ...] | None], nodes: int
) -> Setting[tuple[ScenarioSettings, ...] | None]:
    if not setting.value or setting.origin not in OF_ONE:
        return setting

    def total(each: ScenarioSettings) -> ScenarioSettings:
        stated = {name: getattr(each, name) for name in TOTALS}
        more: dict[str, Any] = {
            name: value * nodes for name, value in stated.items() if value is not None
        }
        return replace(each, **more)

    return Setting(tuple(map(total, setting.value)), setting.origin)
