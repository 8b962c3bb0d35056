"""Whether a worker of open loop may spin: only where it takes the core from nobody."""

from __future__ import annotations

import os

from engine.plan import RunPlan


def usable_cores() -> int:
    """CPUs that this process may run on, by its affinity mask."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_spin(plan: RunPlan) -> bool:
    """"always" and "never" as asked; "auto" where every worker and its target's own threads have a core and one is left."""
    if plan.pool.spin != "auto":
        return plan.pool.spin == "always"
    workers = plan.pool.workers or 1
    return workers * (plan.pool.intra_op_threads or 1) < usable_cores()
