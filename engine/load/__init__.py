"""Load models: when requests are due. One model a file; none knows stop rules, pools or recording."""

from __future__ import annotations

from engine.load.all_at_once import AllAtOnce
from engine.load.closed import ClosedLoop
from engine.load.constant import ConstantRate
from engine.load.poisson import Poisson
from engine.load.replay import Replay
from engine.load.schedule import Schedule
from engine.load.stages import Stage, Stages

LoadModel = ClosedLoop | Schedule

__all__ = ["AllAtOnce", "ClosedLoop", "ConstantRate", "LoadModel", "Poisson", "Replay", "Schedule", "Stage", "Stages"]
