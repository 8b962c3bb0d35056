"""A load engine: runs a plan of requests against a callable, in this process or others, and says what it measured.

It knows no model, data set, vendor, file format or report. `run(plan, target, samples)` is the whole of it for most programs:

    from engine import ClosedLoop, Pool, RunPlan, run
    result = run(RunPlan(load=ClosedLoop(clients=4, iterations=1000)), target, samples)
    print(result.queries_per_s, result.response.percentile_ns(99))
"""

from __future__ import annotations

from engine.batching import Batching
from engine.child_host import ChildHost
from engine.confidence import Confidence, Estimate
from engine.door import run, run_async
from engine.errors import HostDied, HostError, HostTimeout, PlanError
from engine.histogram import Histogram
from engine.host import HostTarget, LocalHost
from engine.load import AllAtOnce, ClosedLoop, ConstantRate, Poisson, Replay, Stage, Stages
from engine.plan import Factory, Pool, RunPlan, Stop
from engine.progress import Progress
from engine.result import IntervalRow, RunResult
from engine.rule import Metric, Rule
from engine.scenarios import MultiStream, Offline, Server, SingleStream

__all__ = [
    "AllAtOnce",
    "Batching",
    "ChildHost",
    "ClosedLoop",
    "Confidence",
    "ConstantRate",
    "Estimate",
    "Factory",
    "Histogram",
    "HostDied",
    "HostError",
    "HostTarget",
    "HostTimeout",
    "IntervalRow",
    "LocalHost",
    "Metric",
    "MultiStream",
    "Offline",
    "PlanError",
    "Poisson",
    "Pool",
    "Progress",
    "Replay",
    "Rule",
    "RunPlan",
    "RunResult",
    "Server",
    "SingleStream",
    "Stage",
    "Stages",
    "Stop",
    "run",
    "run_async",
]
