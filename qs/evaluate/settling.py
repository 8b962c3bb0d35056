"""A backend made ready to be measured, in the same way for every command: environment, model or
artifact, process, compile result, data, runtime, and every setting of what is measured.

What to do with it is up to the caller: one evaluation (qs.evaluate.evaluation), or trials
(qs.sweep).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.base import machine
from qs.base.interrupt import Interrupt
from qs.base.scratch import scratch
from qs.config.qs_config import QsConfig, parse_qs_config
from qs.doctor.looking import check_now
from qs.environments import Environment, interpreter_for
from qs.evaluate import checks
from qs.evaluate.backend import Backend, QsMode, brought_up
from qs.evaluate.doing import silently
from qs.evaluate.journal import Journal
from qs.evaluate.obtaining import Compiled, obtain
from qs.evaluate.over_nodes import check_driven, fleet_in
from qs.evaluate.prepare import Prepared
from qs.evaluate.served_model import Served, served_in
from qs.evaluate.testbed import Testbed
from qs.nodes.asked import over
from qs.settings.limits import Limits
from qs.settings.request import Request, with_totals
from qs.settings.run_plan import check_plans
from qs.settings.settings import Settings, settle
from qs.telemetry.watching import INTERVAL_S, Telemetry

if TYPE_CHECKING:
    from qs.nodes.fleet import Fleet


@dataclass(frozen=True)
class Opened:
    """A backend with a compile result."""

    backend: Backend
    resolved: dict[str, Any]  # where the model's file is, and what it is
    compiled: Compiled
    scratch: Path  # a folder that is removed in the end
    telemetry: Telemetry | None = None  # None: with --telemetry off
    served: Served | None = None  # None: the model is not served
    fleet: Fleet | None = None  # None: this machine alone


@asynccontextmanager
async def opened(prepared: Prepared, journal: Journal) -> AsyncIterator[Opened]:
    """Open the nodes, if any; settle the environment, find or build the model, bring the backend
    up, compile or take what was compiled.
    """
    view = journal.view
    view.line(f"{prepared.title} on {prepared.hardware}: model {prepared.model_info.model}")
    async with fleet_in(prepared, journal) as fleet, _opened(prepared, journal) as ready:
        yield replace(ready, fleet=fleet)


@asynccontextmanager
async def _opened(prepared: Prepared, journal: Journal) -> AsyncIterator[Opened]:
    record, view = journal.record, journal.view
    with scratch("qs-run-") as folder:
        with journal.stage("environment"), journal.step("settling the backend's environment"):
            environment = await _settle_environment(prepared, view.line)
        record.environment = _described(environment)
        with journal.stage("model"), journal.step("finding the model and the data"):
            resolved = await checks.resolve_model(
                prepared, folder / "model.log", environment, view.line
            )
        record.model_source = resolved
        view.line(f"model: {resolved['note']}")
        journal.start()
        # A debugger's prompt must not be drawn over.
        doing = silently if prepared.request.in_process else journal.step
        async with brought_up(prepared, environment, journal.log, doing) as backend:
            # Its sources are opened while the backend compiles.
            with telemetry_of(prepared.request) as telemetry:
                compiled = await obtain(backend, prepared, resolved, journal)
                remote = {} if prepared.request.compile_only else prepared.request.remote
                async with served_in(compiled.raw, remote, journal) as served:
                    yield Opened(backend, resolved, compiled, folder, telemetry, served)


async def set_up(
    opened: Opened, prepared: Prepared, journal: Journal, interrupt: Interrupt
) -> Testbed:
    """Give the runtime its compile result, and settle every value of the measured part."""
    backend, configs, request = opened.backend, opened.compiled.configs, prepared.request
    await backend.configure_runtime(opened.compiled.raw, configs["workload"], configs["model_info"])
    mode = await backend.qs_mode()
    config = checked(mode, prepared.hardware)
    best, fleet = opened.compiled.best_batch_sizes, opened.fleet
    nodes = None if fleet is None else fleet.count
    settings = settled(prepared, config, best, nodes)
    journal.record.values = settings.report()
    journal.record.machine_check = check_now(settings)
    backend.limits = Limits.of_request(request, settings.timeout_s.value)
    testbed = Testbed(
        backend,
        settings,
        journal,
        interrupt,
        mode.supported,
        request.engine,
        request.in_process,
        resettled=lambda other: _settled(prepared, other, config, best, nodes),
        telemetry=opened.telemetry,
        served=opened.served,
        fleet=fleet,
    )
    if fleet is not None:
        check_driven(testbed.driven)
        journal.record.nodes = fleet.count
    if testbed.driven and not testbed.qs_mode and settings.clients.value > 1:
        journal.warn(
            f"{settings.clients.value} clients call predict of one instance at the same time, and "
            "the backend has not said that they may (it does not support QS mode); "
            "if it fails, add --clients 1"
        )
    if testbed.driven:
        await backend.use_runner(settings)
    return testbed


@contextmanager
def telemetry_of(request: Request) -> Iterator[Telemetry | None]:
    """What the machine tells, as long as the context lasts; None where nobody is to ask it."""
    if request.compile_only or request.telemetry == 0 or request.nodes is not None:
        yield None
        return
    telemetry = Telemetry(request.telemetry or INTERVAL_S)
    try:
        yield telemetry
    finally:
        telemetry.close()


@asynccontextmanager
async def serving(
    prepared: Prepared, journal: Journal, interrupt: Interrupt
) -> AsyncIterator[Testbed]:
    """Both in one."""
    async with opened(prepared, journal) as ready:
        yield await set_up(ready, prepared, journal, interrupt)


def settled(
    prepared: Prepared,
    config: QsConfig | None,
    best: Sequence[int] | None,
    nodes: int | None = None,
) -> Settings:
    """Every value of the measured part. `config` is the backend's QS config, `best` the batch sizes
    that it recommends; over so many `nodes`, None: on this machine. UserError if no run can be
    planned with them.
    """
    settings = _settled(prepared, prepared.request, config, best, nodes)
    check_plans(settings, machine.usable_cpus(), prepared.request.in_process)
    return settings


def _settled(
    prepared: Prepared,
    request: Request,
    config: QsConfig | None,
    best: Sequence[int] | None,
    nodes: int | None,
) -> Settings:
    cpus = machine.usable_cpus()
    request = with_totals(request, nodes or 1)  # of one, where it is not known how many there are
    settings = settle(request, prepared.workload, config, best, cpus)
    return settings if nodes is None else over(settings, nodes, cpus)


def checked(mode: QsMode, hardware: str) -> QsConfig | None:
    """The backend's QS config, validated; None if it does not support QS mode."""
    if not mode.supported:
        return None
    return parse_qs_config(mode.config or {}, f"{hardware}'s generate_qs_config()")


async def _settle_environment(prepared: Prepared, say: Callable[[str], None]) -> Environment:
    """The interpreter for the backend, as --env asks. A cancellation ends an installation and
    leaves nothing of it.
    """
    mode = "current" if prepared.request.in_process else prepared.request.env
    stop = threading.Event()
    try:
        return await asyncio.to_thread(interpreter_for, prepared.backend.path, mode, say, stop)
    except asyncio.CancelledError:
        stop.set()
        raise


def _described(environment: Environment) -> dict[str, Any]:
    """The report's section. `Key` is null for the interpreter that qs itself runs under, whose
    packages are listed in `Host`.
    """
    return {
        "Key": environment.key,
        "Interpreter": environment.python,
        "Created": environment.created,
        "Why": environment.why,
        "Packages": dict(environment.packages),
    }
