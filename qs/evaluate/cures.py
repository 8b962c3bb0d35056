"""What to type to be rid of a doubt, in the words of the command line: the engine's caveats speak
of plans and pools.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from qs.base.scenarios import OFFLINE, REPLAY, SERVER, SESSIONS, STAGES
from qs.base.words import number
from qs.engine import Cause, Doubt, Reason, RunResult, Unread
from qs.engine.statistics import samples_needed
from qs.settings.case import Case

Cure = Callable[[Case, RunResult], str]

LEAST_S = 3.0  # what is advised at least where a run was too short
# Durations that a person would type.
_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
_WANTED = (99.0, 90.0, 50.0)


def cure(code: Doubt, case: Case, result: RunResult) -> str:
    """What removes this doubt, or makes it smaller."""
    return CURES[code](case, result)


def of_reason(reason: Reason, case: Case, result: RunResult) -> str:
    """What to change so that the reason does not hold; the engine's own advice names its plan."""
    known = REASONS.get(reason.code)
    return reason.advice if known is None else known(case, result)


def duration(seconds: float) -> str:
    """--duration with a round number of seconds, and LEAST_S at least."""
    return f"--duration {_typed(seconds)}"


def _typed(seconds: float) -> str:
    wanted = max(seconds, LEAST_S)
    step = next((each for each in _STEPS if each >= wanted), None)
    if step is None:
        step = math.ceil(wanted / 300) * 300
    return f"{step}s" if step < 120 or step % 60 else f"{step // 60}m"


def longer(case: Case, seconds: float) -> str:
    """How the case is measured for so long."""
    if case.scenario_name == STAGES:
        return f"--stages that last {number(max(seconds, LEAST_S), 2)} s or longer"
    if case.scenario_name == REPLAY:
        return "a longer recording for --replay, or a lower --replay_speed"
    if case.until_known is not None:
        return f"--time_limit {_typed(seconds)}"
    return duration(seconds)


def _more_samples(case: Case, result: RunResult) -> str:
    lacking = [each for each in _WANTED if not result.response.supports(each)]
    needed = samples_needed(max(lacking, default=99.0))
    per_s = result.queries_per_s
    return longer(case, needed / per_s) if per_s else longer(case, 4 * result.wall_s)


def _less_load(case: Case, result: RunResult) -> str:
    flag = {STAGES: "lower rates in --stages", REPLAY: "a lower --replay_speed"}
    less = flag.get(case.scenario_name or "", "a lower --rate")
    if case.scenario is not None and case.scenario_name == SESSIONS:
        less = "fewer --users" if case.scenario.users else "a lower --sessions_per_s"
    return f"{less}, or more --clients" if case.pool != "async" else less


def _longer_or_less(case: Case, result: RunResult) -> str:
    return (
        f"{longer(case, 4 * result.wall_s)} to see whether it stays, or {_less_load(case, result)}"
    )


def _other_pool(case: Case, result: RunResult) -> str:
    return "--pool process"


def _larger_calls(case: Case, result: RunResult) -> str:
    return "larger --batch_sizes, which do more in one call"


def _more_of_the_engine(case: Case, result: RunResult) -> str:
    if case.pool == "process":
        return f"more --clients, or {_larger_calls(case, result)}"
    if case.pool == "async":
        return f"{_more_loops(case)}, or {_larger_calls(case, result)}"
    return f"--pool process, or {_larger_calls(case, result)}"


def _loops(case: Case, result: RunResult) -> str:
    fewer = _less_load(case, result) if result.open_loop else "fewer --clients"
    return f"{fewer}, {_more_loops(case)}, or --pool thread or process for calls that block"


def _more_loops(case: Case) -> str:
    return f"--workers {2 * (case.workers or 1)}, event loops in processes of their own"


def _in_time(case: Case, result: RunResult) -> str:
    if case.pool == "async":  # an event loop neither spins nor is pinned
        return f"{_more_loops(case)}; Service in the result has the times without it"
    pinned = "" if case.affinity else "--affinity (a core of its own for each worker) and "
    return f"{pinned}--spin always; Service in the result has the times without it"


def _fewer_threads(case: Case, result: RunResult) -> str:
    if case.pool == "async":
        return "fewer --workers, or a machine with fewer other programs"
    pinned = "" if case.affinity else ", and --affinity"
    return f"fewer --clients or --intra_op_threads 1{pinned}"


CURES: Mapping[Doubt, Cure] = {
    Doubt.ENGINE_BOUND: _more_of_the_engine,
    Doubt.GIL_BOUND: _other_pool,
    Doubt.OUT_OF_RANGE: lambda case, result: f"{_less_load(case, result)}, or --predict_timeout",
    Doubt.OVERLOAD: _less_load,
    Doubt.BEHIND: _longer_or_less,
    Doubt.HELD_BACK: lambda case, result: (
        "more --clients, or none stated, to see what the target does under all of the load"
    ),
    Doubt.LOOP_BOUND: _loops,
    Doubt.COLLECTOR: lambda case, result: (
        "a client that leaves less garbage; --warmup longer, if it is what the first requests make"
    ),
    Doubt.LATE_ISSUE: _in_time,
    Doubt.ENGINE_COST: _larger_calls,
    Doubt.UNREAD: lambda case, result: (
        "a folder with more room as TMPDIR, or a shorter --duration"
        if Unread.NO_ROOM in result.unread_why
        else "the log, which says what went wrong with reading the answers"
    ),
    Doubt.MISREAD: lambda case, result: "a report of this fault of ours",
    Doubt.WRITTEN: lambda case, result: (
        f"a faster folder as TMPDIR, a shorter --duration, or {_more_loops(case)}"
    ),
    Doubt.SLOW_WARM_UP: lambda case, result: "a longer --predict_timeout",
    Doubt.DRIFT: lambda case, result: (
        "a longer --warmup (--warmup 10s); qs doctor shows what slows this machine down"
    ),
    Doubt.STEAL: lambda case, result: (
        "a machine with cores of its own; qs doctor shows what is stolen now"
    ),
    Doubt.OTHER_LOAD: lambda case, result: (
        "stop other programs (qs doctor shows their load) and measure again"
    ),
    Doubt.THROTTLED: lambda case, result: (
        "qs doctor shows quota, temperature and clocks, and how to change them"
    ),
    Doubt.PREEMPTED: _fewer_threads,
    Doubt.TOO_FEW_SAMPLES: _more_samples,
    Doubt.START_SKEW: lambda case, result: longer(case, 10 * max(result.wall_s, LEAST_S)),
    Doubt.CLOCK: lambda case, result: "qs doctor --nodes all shows each node's clock and network",
    Doubt.NODES_UNLIKE: lambda case, result: (
        "qs doctor --nodes all shows how they differ; --nodes with a label takes those of one kind"
    ),
    Doubt.NODES_TOGETHER: lambda case, result: "--ray with a cluster of several machines",
    Doubt.SLOW_NODE: lambda case, result: (
        "qs doctor --nodes all shows what that node's machine is busy with"
    ),
}


def _longer_run(case: Case, result: RunResult) -> str:
    if case.time_limit_s is not None:
        return "a longer --time_limit, or none"
    return "a longer --duration" if case.duration_s is not None else "more --iterations"


def _minimum_duration(case: Case, result: RunResult) -> str:
    """Offline makes as many samples as its rate lets it expect."""
    if case.scenario_name == OFFLINE and not result.not_issued:
        return f"--rate {math.ceil(result.samples_per_s)}, so that more samples are made"
    return _longer_run(case, result)


def _early_stopping(case: Case, result: RunResult) -> str:
    needed = next((each.needed for each in result.rules if each.code is Cause.EARLY_STOPPING), 0)
    enough = f"--iterations {math.ceil(needed)}"
    if case.scenario_name != SERVER:
        return enough
    bound = next((each for each in result.rules if each.code is Cause.BOUND), None)
    kept = bound is None or bound.passed
    return f"{enough}, or a lower --rate" if kept else "a lower --rate: more queries will not help"


def _something_due(case: Case, result: RunResult) -> str:
    if result.errors or result.interrupted or result.losses:
        return ""
    if not result.open_loop:
        return "a longer --duration, or a shorter --think_time"
    own = {STAGES: "longer --stages, or higher rates in them", REPLAY: "a higher --replay_speed"}
    return own.get(case.scenario_name or "", "a longer --duration, or a higher --rate")


def _within_bound(case: Case, result: RunResult) -> str:
    return "a lower --rate, or a higher --latency_slo"


REASONS: Mapping[Cause, Cure] = {
    Cause.NOTHING: _something_due,
    Cause.MINIMUM_DURATION: _minimum_duration,
    Cause.EARLY_STOPPING: _early_stopping,
    Cause.MINIMUM_QUERIES: _longer_run,
    Cause.MINIMUM_SAMPLES: _longer_run,
    Cause.UNSTABLE: _longer_run,
    Cause.BOUND: _within_bound,
    Cause.ERROR_BUDGET: lambda case, result: "see Errors By Kind and First Fault in the result",
}
