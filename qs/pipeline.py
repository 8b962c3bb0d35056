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
from qs.report import machine
from qs.report.files import write_json
from qs.report.journal import Journal
from qs.report.result import Record
from qs.stages import checks
from qs.stages.compiling import Compiled, compile_model
from qs.stages.hosts import BackendFailed, backend_host, call
from qs.stages.performance import measure, measure_by_vendor
from qs.stages.prepare import Prepared

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
    return Journal(record, prepared.out, prepared.model_info.model_precision.lower(), view)


async def evaluate(prepared: Prepared, journal: Journal) -> dict[str, Any]:
    """Run everything; return the final result. Raises UserError for what the user must mend, CancelledError when interrupted."""
    for text in prepared.warnings:
        journal.warn(text)
    try:
        await _evaluate(prepared, journal)
    except asyncio.CancelledError:
        journal.finish(INTERRUPTED)
        raise
    except UserError as error:
        journal.record.reasons.append(str(error))
        journal.finish(REFUSED)
        raise
    except BackendFailed as failure:
        journal.record.reasons.append(str(failure))
        journal.event("backend failed", message=str(failure), detail=failure.detail)
        return journal.finish(FAILED)
    return journal.finish(
        COMPILED if prepared.request.compile_only or prepared.workload.compile_only else COMPLETE
    )


async def _evaluate(prepared: Prepared, journal: Journal) -> None:
    record, view = journal.record, journal.view
    view.line(f"{prepared.request.task} on {prepared.hardware}: model {prepared.model_info.model}")
    with tempfile.TemporaryDirectory(prefix="qs-run-") as scratch:
        with journal.stage("model"):
            resolved = await checks.resolve_model(prepared, Path(scratch, "model.log"))
        record.model_source = resolved
        view.line(f"model: {resolved['note']}")
        journal.start()
        async with backend_host(prepared, journal.folder.path / "backend.log") as host:
            compiled = await _compile(host, prepared, resolved, journal)
            if prepared.request.compile_only or prepared.workload.compile_only:
                return
            await _check_and_measure(
                host, prepared, resolved, compiled, journal, Path(scratch, "reference.log")
            )


async def _compile(host: Any, prepared: Prepared, resolved: dict[str, Any], journal: Journal) -> Compiled:
    """Compile, judge the compile result, and leave it on disk."""
    from qs.config.compile_result import parse_compile_result

    record = journal.record
    with journal.stage("compile"):
        compiled = await compile_model(host, prepared, resolved, journal.view.line)
        typed, warnings = parse_compile_result(compiled.raw, f"{prepared.hardware}'s compile result")
        record.compile_result, record.compile_s = typed.to_configs(), compiled.seconds
        record.versions, record.dataset, record.answers = (
            compiled.versions,
            compiled.dataset,
            compiled.answers,
        )
        for text in (*compiled.warnings, *warnings):
            journal.warn(text)
        journal.compiled_to(str(typed.compile_precision).lower())
        write_json(journal.folder.compile_result, compiled.raw)
    journal.view.line(
        f"compiled in {compiled.seconds:.1f} s to {typed.compile_precision}: {typed.compile_status}"
    )
    if typed.compile_status != "success":
        record.reasons.append(f"compile status is {typed.compile_status!r}, not every subgraph compiled")
    return compiled


async def _check_and_measure(
    host: Any, prepared: Prepared, resolved: dict[str, Any], compiled: Compiled, journal: Journal, log: Path
) -> None:
    record, workload = journal.record, prepared.workload
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
        workload.model_dump(),
        workload.model_fields_set,
        checked(mode, prepared.hardware),
        compiled.best_batch_sizes,
        machine.usable_cpus(),
    )
    values |= {
        name: plan.settle(name, (plan.COMMAND_LINE, vars(prepared.request)))
        for name in ("numeric_items", "seed")
    }
    record.values = plan.plain(values)
    first = values["batch_sizes"].value[0]
    await call(host, "load", f"load batch size {first}", batch_size=first)
    if workload.test_accuracy:
        with journal.stage("accuracy"):
            record.accuracy = await checks.accuracy(host, prepared, resolved, journal.folder.path)
    if workload.test_numeric:
        with journal.stage("numeric"):
            record.numeric = await checks.numeric(
                host, prepared, resolved, first, values["numeric_items"].value, log
            )
            record.reasons += numeric_faults(record.numeric)
    if workload.test_perf:
        with journal.stage("performance"):
            if mode["supported"]:
                await measure(host, values, journal, {})
            else:
                await measure_by_vendor(host, values["batch_sizes"].value, journal)


def checked(mode: dict[str, Any], hardware: str) -> dict[str, Any] | None:
    """The QS config of a backend that supports QS mode, validated; None of one that does not."""
    from qs.config.qs_config import parse_qs_config

    if not mode["supported"]:
        return None
    return parse_qs_config(mode["config"] or {}, f"{hardware}'s generate_qs_config()")


def numeric_faults(found: dict[str, Any]) -> list[str]:
    """NaN and infinities in an output are failures, not zeros."""
    return [
        f"numeric: output {name} holds {metrics.get('NaN Count', 0)} NaN and {metrics.get('Inf Count', 0)} infinite values"
        for name, metrics in found.get("outputs", {}).items()
        if metrics.get("failed")
    ]
