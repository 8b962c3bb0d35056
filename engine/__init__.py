"""A load engine: runs a plan of requests against a callable, in this process or others, and says
what it measured.

It knows no model, data set, vendor, file format or report. `run(plan, target, samples)` is the
whole of it for most programs:

    from qs.engine import ClosedLoop, Pool, RunPlan, run
    result = run(RunPlan(load=ClosedLoop(clients=4, iterations=1000)), target, samples)
    print(result.queries_per_s, result.response.percentile_ns(99))
"""

from __future__ import annotations

from qs.engine.call import Call, Started
from qs.engine.conduct.joining import joined
from qs.engine.conduct.progress import NodeProgress, Progress
from qs.engine.errors import HostDied, HostError, HostTimeout, PlanError, UnfinishedAnswer
from qs.engine.hosts.child_host import ChildHost
from qs.engine.hosts.host import HostTarget, LocalHost
from qs.engine.judging.scenarios import MultiStream, Offline, Server, SingleStream
from qs.engine.load import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    Gamma,
    LoadModel,
    Poisson,
    Replay,
    Sessions,
    Stage,
    Stages,
)
from qs.engine.measures.measure import (
    HAPPENED_NS,
    NOT_MEASURED,
    RESPONSE,
    Bound,
    Ended,
    Measure,
    Reader,
    Reading,
)
from qs.engine.outcome import Cause, Doubt, Ending, ErrorKind, Loss, Unread
from qs.engine.plan import Batching, Factory, Pool, RunPlan, Stop
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import IntervalRow
from qs.engine.result import ClockReading, Measured, NodePart, RunResult, WarmUpResult
from qs.engine.ruling import Caveat, Metric, Reason, Rule
from qs.engine.running import run, run_async
from qs.engine.statistics.estimate import Confidence, Estimate
from qs.engine.workers.answers import UNANSWERED, look
from qs.engine.workers.target import Target, is_async

__all__ = [
    "HAPPENED_NS",
    "NOT_MEASURED",
    "RESPONSE",
    "UNANSWERED",
    "AllAtOnce",
    "Batching",
    "Bound",
    "Call",
    "Cause",
    "Caveat",
    "ChildHost",
    "ClockReading",
    "ClosedLoop",
    "Confidence",
    "ConstantRate",
    "Doubt",
    "Ended",
    "Ending",
    "ErrorKind",
    "Estimate",
    "Factory",
    "Gamma",
    "Histogram",
    "HostDied",
    "HostError",
    "HostTarget",
    "HostTimeout",
    "IntervalRow",
    "LoadModel",
    "LocalHost",
    "Loss",
    "Measure",
    "Measured",
    "Metric",
    "MultiStream",
    "NodePart",
    "NodeProgress",
    "Offline",
    "PlanError",
    "Poisson",
    "Pool",
    "Progress",
    "Reader",
    "Reading",
    "Reason",
    "Replay",
    "Rule",
    "RunPlan",
    "RunResult",
    "Server",
    "Sessions",
    "SingleStream",
    "Stage",
    "Stages",
    "Started",
    "Stop",
    "Target",
    "UnfinishedAnswer",
    "Unread",
    "WarmUpResult",
    "is_async",
    "joined",
    "look",
    "run",
    "run_async",
]
