"""One evaluation from start to report, in the published order: model, compile, accuracy, numeric, performance.

The order and the endings live here, the work of each step in qs.stages. However a run ends once its model is there (well, interrupted,
failed in the backend, refused), it leaves a report of what it had; the command line turns the ending into an exit status.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from qs import __version__, plan
from qs.errors import UserError
from qs.interrupt import Interrupt, Interrupted
from qs.names import check_plain
from qs.report import machine
from qs.report.journal import Journal
from qs.report.result import Record
from qs.stages import checks
from qs.stages.cases import check_plans
from qs.stages.compiling import Compiled
from qs.stages.environment import described, settle_environment
from qs.stages.failures import BackendFailed
from qs.stages.hosts import backend_host, call
from qs.stages.limits import Limits
from qs.stages.losses import note
from qs.stages.obtaining import obtain
from qs.stages.performance import Bench, measure
from qs.stages.prepare import Prepared
from qs.stages.vendor_mode import measure_by_vendor

COMPLETE, COMPILED, INTERRUPTED, FAILED, REFUSED = "complete", "compiled", "interrupted", "failed", "refused"


def open_journal(prepared: Prepared, view: Any) -> Journal:
    """A journal for a run that has not begun: it writes nothing yet."""
    record = Record(
        task=prepared.request.task,
        hardware=prepared.hardware,
        model=prepared.model_info.model,
        command=list(prepared.request.command),
        qs_version=__version__,
        host=machine.describe(),
        found=prepared.found,
    )
    return Journal(
        record, prepared.out, check_plain(prepared.model_info.model_precision, "precision").lower(), view
    )


async def evaluate(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> dict[str, Any]:
    """Run everything; return the final result. Raises UserError for what the user must mend, Interrupted after an interruption."""
    for text in prepared.warnings:
        journal.warn(text)
    try:
        await _evaluate(prepared, journal, interrupt)
    except (asyncio.CancelledError, Interrupted):
        journal.finish(INTERRUPTED)
        raise Interrupted from None
    except UserError as error:
        journal.record.reasons.append(str(error))
        journal.finish(REFUSED)
        raise
    except BackendFailed as failure:
        journal.record.reasons.append(failure.said)
        note(journal, failure)
        return journal.finish(FAILED)
    except Exception as bug:
        journal.record.reasons.append(f"a bug in qs: {type(bug).__name__}: {bug}")
        journal.finish(FAILED)
        raise
    return journal.finish(COMPILED if prepared.compile_only else COMPLETE)


async def _evaluate(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
    record, view = journal.record, journal.view
    view.line(f"{prepared.request.task} on {prepared.hardware}: model {prepared.model_info.model}")
    with tempfile.TemporaryDirectory(prefix="qs-run-") as scratch:
        with journal.stage("environment"):
            environment = await settle_environment(prepared, view.line)
        record.environment = described(environment)
        with journal.stage("model"):
            resolved = await checks.resolve_model(prepared, Path(scratch, "model.log"))
        record.model_source = resolved
        view.line(f"model: {resolved['note']}")
        journal.start()
        async with backend_host(prepared, environment, journal.log) as host:
            compiled = await obtain(host, prepared, resolved, journal)
            if prepared.compile_only:
                return
            bench = await _set_up(host, prepared, compiled, journal, interrupt)
            await _check(bench, prepared, resolved, Path(scratch, "reference.log"))
            if prepared.workload.test_perf:
                with journal.stage("performance"):
                    await (measure(bench) if bench.driven else measure_by_vendor(bench))


async def _set_up(
    host: Any, prepared: Prepared, compiled: Compiled, journal: Journal, interrupt: Interrupt
) -> Bench:
    """Give the runtime its compile result, settle every value of the measured part, load the first batch size."""
    configs = compiled.configs
    await call(
        host,
        "configure_runtime",
        "setting up the runtime",
        compile_result=compiled.raw,
        workload=configs["workload"],
        model_info=configs["model_info"],
    )
    mode = await call(host, "qs_mode", "generate_qs_config")
    values = plan.performance(
        prepared.request,
        prepared.workload.to_configs(),
        prepared.workload.given,
        checked(mode, prepared.hardware),
        compiled.best_batch_sizes,
        machine.usable_cpus(),
    )
    check_plans(values, machine.usable_cpus(), prepared.request.in_process)
    journal.record.values = plan.plain(values)
    host.limits = Limits.asked(prepared.request, values["timeout_s"].value)
    bench = Bench(host, values, journal, interrupt, bool(mode["supported"]), prepared.request.engine)
    if bench.driven and not bench.qs_mode and values["clients"].value > 1:
        journal.warn(
            f"{values['clients'].value} clients call predict of one copy at the same time, and the backend has not said that they "
            "may (it does not support QS mode); where it fails, add --clients 1"
        )
    if bench.driven:
        runner, pool = values["runner"].value, values["pool"].value
        await call(host, "use_runner", "the runner", runner=runner, pool=pool, config=plan.effective(values))
    return bench


async def _check(bench: Bench, prepared: Prepared, resolved: dict[str, Any], log: Path) -> None:
    """Accuracy and numeric agreement, as the workload asks. One that fails is a reason; what follows is still measured."""
    record, journal = bench.journal.record, bench.journal
    first, items = bench.values["batch_sizes"].value[0], bench.values["numeric_items"].value
    if prepared.workload.test_accuracy:
        with journal.stage("accuracy"):
            try:
                await call(bench.host, "load", f"load batch size {first}", batch_size=first)
                record.accuracy = await checks.accuracy(bench.host, prepared, resolved, journal.folder.path)
                for text in checks.surprises(record.accuracy, prepared):
                    journal.warn(text)
            except BackendFailed as failure:
                record.accuracy = _not_measured(journal, failure)
    if prepared.workload.test_numeric:
        with journal.stage("numeric"):
            try:
                await call(bench.host, "load", f"load batch size {first}", batch_size=first)
                record.numeric = await checks.numeric(bench.host, prepared, resolved, first, items, log)
                record.reasons += numeric_faults(record.numeric)
            except BackendFailed as failure:
                record.numeric = _not_measured(journal, failure)


def _not_measured(journal: Journal, failure: BackendFailed) -> dict[str, Any]:
    journal.record.reasons.append(failure.said)
    note(journal, failure)
    return {checks.NOT_MEASURED: failure.said}


def checked(mode: dict[str, Any], hardware: str) -> dict[str, Any] | None:
    """The QS config of a backend that supports QS mode, validated; None of one that does not."""
    from qs.config.qs_config import parse_qs_config

    if not mode["supported"]:
        return None
    return parse_qs_config(mode["config"] or {}, f"{hardware}'s generate_qs_config()")


def numeric_faults(found: dict[str, Any]) -> list[str]:
    """A missing output, another shape, NaN and infinities are failures, not zeros."""
    return [
        f"numeric: output {name}: {metrics['failed']}"
        for name, metrics in found["outputs"].items()
        if metrics["failed"]
    ]
