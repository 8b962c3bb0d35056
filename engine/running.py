"""The library's entry points: run a plan, blocking or on an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from qs.engine.checks import shown
from qs.engine.clock import MONOTONIC, Clock
from qs.engine.conduct.conductor import Conductor
from qs.engine.conduct.layout import lay_out
from qs.engine.conduct.lead import Lead
from qs.engine.conduct.progress import OnProgress
from qs.engine.conduct.sendable import faults_of_call
from qs.engine.conduct.signals import Signals
from qs.engine.conduct.spinning import look_at_cores, may_spin
from qs.engine.descriptors import open_standard
from qs.engine.errors import Interrupted, PlanError
from qs.engine.hosts.loops import end_at_once, new_loop
from qs.engine.judging.scenarios import Scenario
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.workers.target import is_async

NOTHING_BESIDE = nullcontext()


def run(
    plan: RunPlan | Scenario, target: Any, samples: Sequence[Any] | None = None, **options: Any
) -> RunResult:
    """Run a plan, or a scenario's plan, and return what it measured. Blocks; options and errors are
    those of `run_async`.

    In the main thread Ctrl-C ends the run in order: the result then has `interrupted` set and holds
    what was measured. A call that blocks this thread (pool "inline") is cut off after half a
    second.
    SIGTERM and SIGHUP do the same where the program has no handler of its own for them and does not
    ignore them. A second Ctrl-C or SIGTERM raises KeyboardInterrupt at once. In other threads
    signals are the program's: give `interrupt`. Raises RuntimeError inside a coroutine: await
    `run_async` there.
    """
    interrupt = options.setdefault("interrupt", asyncio.Event())
    return blocking("run", lambda: run_async(plan, target, samples, **options), interrupt)


def blocking(
    name: str, start: Callable[[], Coroutine[Any, Any, RunResult]], interrupt: asyncio.Event
) -> RunResult:
    """Await what `start` returns on an event loop of its own; signals do what `run` says. Raises
    RuntimeError, for the function of that name, where a loop runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            f"qs.engine.{name} blocks, and an event loop runs in this thread: "
            f"await qs.engine.{name}_async instead"
        )
    held = open_standard()
    loop = new_loop()
    try:
        with Signals(loop, interrupt):
            try:
                return loop.run_until_complete(start())
            except Interrupted:
                end_at_once(loop)
                raise KeyboardInterrupt from None
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        for fd in held:
            os.close(fd)


async def run_async(
    plan: RunPlan | Scenario,
    target: Any,
    samples: Sequence[Any] | None = None,
    *,
    # called about five times a second, and at every change of phase, on the event loop
    on_progress: OnProgress | None = None,
    # set it to end the run in order and keep what was measured
    interrupt: asyncio.Event | None = None,
    # keep every request's due, issued, completed (ns) and outcome in `result.columns`; memory then
    # grows with the requests
    keep_columns: bool = False,
    # keep what each worker did, slice by slice, in `result.slices`: bounded, for a trace
    keep_slices: bool = False,
    # entered just before the common start, when all workers are ready and none has made a request,
    # and left when the last of them has ended: for what is measured beside the requests
    beside: AbstractContextManager[object] = NOTHING_BESIDE,
    clock: Clock = MONOTONIC,
    # who says when to start and when to end, where the plan is a part of a larger one
    lead: Lead | None = None,
) -> RunResult:
    """Run a plan on the current event loop, or the plan of a scenario; either way the scenario's
    rules judge the result.

    The target is a callable(sample) -> output, a coroutine function, a Factory, or a host's target.
    Samples are cycled over the requests. Without any, the target is called with the samples that it
    carries, or with None.

    Raises PlanError with all faults before anything starts, and HostError, HostDied or HostTimeout
    if a target cannot be built. A fault of the target during the run is a counted outcome, never an
    exception.
    """
    if not isinstance(plan, RunPlan):
        if not hasattr(plan, "plan"):
            must_be = "it must be a RunPlan or a scenario"
            raise PlanError([f"plan: {shown(plan)} is not allowed, {must_be}"])
        plan = plan.plan()
    faults = plan.faults() + faults_of_call(target, samples)
    if faults:
        raise PlanError(faults)
    plan = replace(plan, load=plan.load.seeded())
    if is_async(target) and plan.pool.kind != "async":
        plan = replace(plan, pool=replace(plan.pool, kind="async"))
    spin = plan.open_loop and await _spin(plan, clock)
    layout = lay_out(plan, target, samples, spin, keep_columns, clock, keep_slices)
    run = Conductor(plan, layout, on_progress, interrupt or asyncio.Event(), clock, beside, lead)
    try:
        return await run.conduct()
    finally:
        for session in layout.sessions:
            session.stop()
        await layout.close()


async def _spin(plan: RunPlan, clock: Clock) -> bool:
    if clock is not MONOTONIC and plan.pool.spin == "auto":
        return False  # another clock's time may stand still while one watches
    return may_spin(plan, await look_at_cores(plan))
