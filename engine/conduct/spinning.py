"""Whether a worker in open loop may spin the last microseconds before a due time: only if that
takes the core from nobody.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from qs.engine.machine.cores import usable_cores
from qs.engine.machine.times import HostTimes, host_times
from qs.engine.plan import RunPlan

LOOK_S = 0.1
MOST_STEAL = 0.05
LEAST_IDLE = 0.5  # of a core for each worker: a look of 0.1 s sees no finer


@dataclass(frozen=True)
class CoreView:
    """The cores as seen shortly before a run. None: not known."""

    # how many this process may use, by its affinity mask and its control group's quota
    cores: float
    # how many of the machine's were idle over the last moments
    idle_cores: float | None = None
    # how much of the machine's CPU time the hypervisor gave to others over the last moments
    steal_share: float | None = None


def may_spin(plan: RunPlan, view: CoreView) -> bool:
    """ "always" and "never" as asked; "auto" if every worker and its target's own threads have a
    core, one more is left, and the cores that were seen idle are really available.
    """
    pool = plan.pool
    if pool.spin != "auto":
        return pool.spin == "always"
    if not _could(plan, view.cores):
        return False
    if view.steal_share is not None and view.steal_share > MOST_STEAL:
        return False
    return view.idle_cores is None or view.idle_cores >= LEAST_IDLE * (pool.workers or 1)


def _could(plan: RunPlan, cores: float) -> bool:
    """Whether "auto" may spin at all with this many cores. The pacer of coroutines never does,
    because it would keep the GIL from them.
    """
    pool = plan.pool
    if pool.kind == "async":
        return False
    busy = (pool.workers or 1) * (pool.intra_op_threads or 1)
    pinned = {cpu for cpus in pool.affinity for cpu in cpus}
    return busy < cores and (not pinned or busy <= len(pinned))


async def look_at_cores(plan: RunPlan, look_s: float = LOOK_S) -> CoreView:
    """Watch the machine's cores for a moment, if what they do could change the answer of
    `may_spin`.
    """
    view = CoreView(usable_cores())
    if plan.pool.spin != "auto" or not _could(plan, view.cores):
        return view
    before = host_times()
    if before is None:
        return view
    await asyncio.sleep(look_s)
    after = host_times()
    return view if after is None else seen_between(view.cores, before, after)


def seen_between(cores: float, before: HostTimes, after: HostTimes) -> CoreView:
    """The view from two readings of the machine's CPU times."""
    busy = after.busy_s - before.busy_s
    idle = max(after.idle_s - before.idle_s, 0.0)
    steal = max(after.steal_s - before.steal_s, 0.0)
    total = busy + idle + steal
    if total <= 0:
        return CoreView(cores)
    return CoreView(cores, idle / (after.at_s - before.at_s), steal / total)
