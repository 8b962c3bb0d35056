"""Due times of a plan."""

from __future__ import annotations

import numpy as np

from qs.engine import RunPlan
from qs.engine.load.schedule import bounded
from qs.engine.workers.share import schedule_of, until_ns_of


def due_times(plan: RunPlan) -> np.ndarray:
    blocks = bounded(schedule_of(plan).blocks(), until_ns_of(plan, 0), plan.stop.iterations)
    return np.concatenate([np.zeros(0, np.int64), *blocks])
