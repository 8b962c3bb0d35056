"""Load models: when requests are due. One per file; none knows stop rules, pools or recording."""

from __future__ import annotations

from qs.engine.load.all_at_once import AllAtOnce
from qs.engine.load.closed import ClosedLoop
from qs.engine.load.constant import ConstantRate
from qs.engine.load.gamma import Gamma
from qs.engine.load.poisson import Poisson
from qs.engine.load.replay import Replay
from qs.engine.load.schedule import Schedule
from qs.engine.load.sessions import Sessions
from qs.engine.load.stages import Stage, Stages

LoadModel = ClosedLoop | Sessions | Schedule


def is_load(value: object) -> bool:
    """Whether it has what a load model needs: one's own Schedule is one too."""
    methods = (getattr(type(value), name, None) for name in ("blocks", "shard", "faults"))
    return isinstance(value, ClosedLoop | Sessions) or all(map(callable, methods))


__all__ = [
    "AllAtOnce",
    "ClosedLoop",
    "ConstantRate",
    "Gamma",
    "LoadModel",
    "Poisson",
    "Replay",
    "Schedule",
    "Sessions",
    "Stage",
    "Stages",
    "is_load",
]
