"""A backend that is ready to be measured: environment, model or artifact, host, compile result,
runtime, data; the same for every command.

What is then done with it is the caller's: one evaluation (qs.evaluate.evaluation), trials
(qs.sweep).
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base import machine
from qs.base.interrupt import Interrupt
from qs.config.qs_config import QsConfig, parse_qs_config
from qs.doctor.looking import check_now
from qs.evaluate import checks
from qs.evaluate.backend import Backend, QsMode, brought_up
from qs.evaluate.compiling import Compiled
from qs.evaluate.environment import described, settle_environment
from qs.evaluate.obtaining import obtain
from qs.evaluate.performance import Bench
from qs.evaluate.prepare import Prepared
from qs.result.journal import Journal
from qs.settings.limits import Limits
from qs.settings.run_plan import check_plans
from qs.settings.settings import settle


@dataclass(frozen=True)
class Opened:
    """A backend with a compile result. `resolved` says where the model's file is, `scratch` is a
    folder that goes with it.
    """

    backend: Backend
    resolved: dict[str, Any]
    compiled: Compiled
    scratch: Path


@asynccontextmanager
async def opened(prepared: Prepared, journal: Journal) -> AsyncIterator[Opened]:
    """Settle the environment, find or build the model, start the backend's host, compile or take
    what was compiled.
    """
    record, view = journal.record, journal.view
    view.line(f"{prepared.title} on {prepared.hardware}: model {prepared.model_info.model}")
    with tempfile.TemporaryDirectory(prefix="qs-run-") as scratch:
        with journal.stage("environment"):
            environment = await settle_environment(prepared, view.line)
        record.environment = described(environment)
        with journal.stage("model"):
            resolved = await checks.resolve_model(prepared, Path(scratch, "model.log"), view.line)
        record.model_source = resolved
        view.line(f"model: {resolved['note']}")
        journal.start()
        async with brought_up(prepared, environment, journal.log) as backend:
            compiled = await obtain(backend, prepared, resolved, journal)
            yield Opened(backend, resolved, compiled, Path(scratch))


async def set_up(
    opened: Opened, prepared: Prepared, journal: Journal, interrupt: Interrupt
) -> Bench:
    """Give the runtime its compile result, and settle every value of the measured part."""
    backend, configs, request = opened.backend, opened.compiled.configs, prepared.request
    await backend.configure_runtime(opened.compiled.raw, configs["workload"], configs["model_info"])
    mode = await backend.qs_mode()
    cpus = machine.usable_cpus()
    config = checked(mode, prepared.hardware)
    best = opened.compiled.best_batch_sizes
    settings = settle(request, prepared.workload, config, best, cpus)
    check_plans(settings, cpus, request.in_process)
    journal.record.values = settings.report()
    journal.record.machine_check = check_now(settings)
    backend.limits = Limits.of_request(request, settings.timeout_s.value)
    bench = Bench(
        backend, settings, journal, interrupt, mode.supported, request.engine, request.in_process
    )
    if bench.driven and not bench.qs_mode and settings.clients.value > 1:
        journal.warn(
            f"{settings.clients.value} clients call predict of one copy at the same time, and the backend has not said that they "
            "may (it does not support QS mode); where it fails, add --clients 1"
        )
    if bench.driven:
        await backend.use_runner(settings)
    return bench


@asynccontextmanager
async def serving(
    prepared: Prepared, journal: Journal, interrupt: Interrupt
) -> AsyncIterator[Bench]:
    """Both in one, for whoever measures at once."""
    async with opened(prepared, journal) as ready:
        yield await set_up(ready, prepared, journal, interrupt)


def checked(mode: QsMode, hardware: str) -> QsConfig | None:
    """The QS config of a backend that supports QS mode, validated; None of one that does not."""
    if not mode.supported:
        return None
    return parse_qs_config(mode.config or {}, f"{hardware}'s generate_qs_config()")
