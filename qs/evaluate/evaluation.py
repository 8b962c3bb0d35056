"""One evaluation from start to report, in the published order: model, compile, accuracy, numeric,
performance.

The order and the endings live here, the work of each step in the files beside it. However a run
ends once its model is there (complete, interrupted, failed in the backend, refused), it leaves a
report of what it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qs import __version__
from qs.base import machine
from qs.base.errors import UserError
from qs.base.exhaustion import environment_fault
from qs.base.files import to_json_line, write_atomic
from qs.base.interrupt import Interrupt, Interrupted
from qs.base.names import check_plain
from qs.base.storable import storable
from qs.evaluate import checks
from qs.evaluate.failures import BackendFailed, note
from qs.evaluate.gating import judge_of
from qs.evaluate.journal import Journal
from qs.evaluate.performance import measure
from qs.evaluate.plan import plan_line
from qs.evaluate.prepare import Prepared
from qs.evaluate.raw import FLAG, RawRequests
from qs.evaluate.settling import Opened, opened, set_up
from qs.evaluate.testbed import Testbed
from qs.evaluate.vendor_mode import measure_by_vendor
from qs.render.html.page import result_page
from qs.result.record import Record, to_result
from qs.result.result import Result, Status
from qs.result.story import story_of
from qs.watch.view import View


def open_journal(prepared: Prepared, view: View, going_on: bool = False) -> Journal:
    """A journal for a run that has not begun: it writes nothing yet. `going_on`: see Journal."""
    record = Record(
        task=prepared.title,
        kind=prepared.request.kind,
        artifact=prepared.described,
        hardware=prepared.hardware,
        model=prepared.model_info.model,
        command=list(prepared.request.command),
        qs_version=__version__,
        host=machine.describe(),
        found=prepared.found,
    )
    return Journal(
        record,
        prepared.out,
        check_plain(prepared.model_info.model_precision, "precision").lower(),
        view,
        _draw_page,
        judge_of(prepared.request, prepared.workload),
        prepared.request.keep,
        going_on,
        None if prepared.request.raw is None else RawRequests(prepared.request.raw),
    )


def _draw_page(result: Result, folder: Path) -> bytes:
    return result_page(story_of(result, folder))


Work = Callable[[Prepared, Journal, Interrupt], Awaitable[None]]


async def evaluate(
    prepared: Prepared, journal: Journal, interrupt: Interrupt, work: Work | None = None
) -> Result:
    """Run everything; return the final result. Raises UserError for what the user has to correct,
    Interrupted after an interruption.

    work   what to do instead of an evaluation, with the same endings
    """
    introduce(prepared, journal)
    try:
        await (work or _evaluate)(prepared, journal, interrupt)
    except (Exception, asyncio.CancelledError) as error:
        further = finish_failed(journal, error)
        if further is error:
            raise
        if further is not None:
            raise further from error
        return to_result(journal.record)
    return journal.finish(Status.COMPILED if prepared.compile_only else Status.COMPLETE)


def introduce(prepared: Prepared, journal: Journal) -> None:
    """What there is to say of a run before it begins."""
    for text in prepared.warnings:
        journal.warn(text)
    for text in prepared.notes:
        journal.view.line(text)


def finish_failed(journal: Journal, error: BaseException) -> BaseException | None:
    """End the run of what was raised in it, and return what its caller is to hear of it; None: its
    report says all.
    """
    if isinstance(error, (asyncio.CancelledError, Interrupted)):
        journal.finish(Status.INTERRUPTED)
        return Interrupted()
    if isinstance(error, UserError):
        journal.record.reasons.append(str(error))
        journal.finish(Status.REFUSED)
        return error
    if isinstance(error, BackendFailed):
        journal.record.reasons.append(error.said)
        note(journal, error)
        journal.finish(Status.FAILED)
        return None
    said = environment_fault(error)  # a full temporary folder, too few descriptors
    if said is not None:
        journal.record.reasons.append(said)
        journal.finish(Status.REFUSED)
        return UserError(said)
    journal.record.reasons.append(f"a bug in qs: {type(error).__name__}: {error}")
    journal.finish(Status.FAILED)
    return error


async def _evaluate(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
    plan = plan_line(prepared, journal.last)
    if plan is not None:
        journal.view.line(plan)
    async with opened(prepared, journal) as ready:
        if prepared.compile_only:
            return
        testbed = await set_up(ready, prepared, journal, interrupt)
        testbed = await check_answers(testbed, prepared, ready)
        if prepared.workload.test_perf:
            if testbed.settings.verify.value and not testbed.driven:
                journal.warn(
                    "--verify: the backend times itself, its answers under load are not seen; "
                    "--engine always has them checked"
                )
            if testbed.settings.goals.value and not testbed.driven:
                journal.warn(
                    "--slo: the backend times itself, its requests are not seen; --engine always "
                    "has them judged"
                )
            if journal.raw is not None and not testbed.driven:
                journal.warn(
                    f"{FLAG}: the backend times itself, its requests are not seen; "
                    "--engine always has them recorded"
                )
            with journal.stage("performance"):
                await (measure(testbed) if testbed.driven else measure_by_vendor(testbed))


async def check_answers(testbed: Testbed, prepared: Prepared, ready: Opened) -> Testbed:
    """Accuracy and numeric agreement, as the workload asks. One that fails is a reason; what
    follows is still measured. The testbed has the reference, if the backend agrees with it.
    """
    record, journal = testbed.journal.record, testbed.journal
    if prepared.workload.test_accuracy:
        with journal.stage("accuracy"):
            try:
                await _load_one(testbed)
                record.accuracy = await checks.accuracy(
                    testbed.backend, prepared, ready.resolved, journal.folder.path
                )
                for text in checks.surprises(record.accuracy, prepared):
                    journal.warn(text)
            except BackendFailed as failure:
                record.accuracy = _not_measured(journal, failure)
    missing = checks.no_reference(prepared, ready.resolved)
    if prepared.workload.test_numeric and missing is not None:
        record.numeric = {checks.NOT_MEASURED: missing}
        journal.warn(f"numeric agreement: not measured: {missing}")
    elif prepared.workload.test_numeric:
        with journal.stage("numeric"):
            try:
                reference = await _compare(testbed, prepared, ready, await _load_one(testbed))
                return replace(testbed, reference=reference)
            except BackendFailed as failure:
                record.numeric = _not_measured(journal, failure)
    return testbed


async def _load_one(testbed: Testbed) -> int:
    """Load the first batch size that can be, and return it. UserError if none can."""
    *others, last = testbed.settings.batch_sizes.value
    for size in others:
        try:
            await testbed.backend.load(size)
            return size
        except UserError:
            continue  # its case says so
    await testbed.backend.load(last)
    return last


async def _compare(
    testbed: Testbed, prepared: Prepared, ready: Opened, size: int, item: int | None = None
) -> Path | None:
    """The comparison with the reference, or of one of its items alone, into the record. Returns the
    reference's file, if all of it was compared and agrees.
    """
    record, settings, backend = testbed.journal.record, testbed.settings, testbed.backend
    items = settings.numeric_items.value
    log = ready.scratch / "reference.log"
    if item is None:
        compiled = record.compile_result
        file = ready.scratch / "reference.npz"
        found = storable(
            await checks.numeric(
                backend, prepared, ready.resolved, size, items, log, compiled, file
            )
        )
        for text in found.pop("warnings", []):
            testbed.journal.warn(f"numeric: {text}")
        drawn = not prepared.request.no_picture
        record.diff_dist = _draw_differences(found, testbed.journal, drawn)
    else:
        found = storable(
            await checks.numeric_item(backend, prepared, ready.resolved, size, items, item, log)
        )
    record.numeric, faults = found, _numeric_faults(found)
    record.reasons += faults
    return file if item is None and not faults else None


def compare_alone(item: int | None) -> Work:
    """In place of an evaluation: the comparison with the reference, or one of its items again."""

    async def work(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        async with opened(prepared, journal) as ready:
            testbed = await set_up(ready, prepared, journal, interrupt)
            size = await _load_one(testbed)
            with journal.stage("numeric"):
                await _compare(testbed, prepared, ready, size, item)

    return work


def _not_measured(journal: Journal, failure: BackendFailed) -> dict[str, Any]:
    journal.record.reasons.append(failure.said)
    note(journal, failure)
    return {checks.NOT_MEASURED: failure.said}


def _draw_differences(numeric: dict[str, Any], journal: Journal, drawn: bool) -> str | None:
    """The picture of the distributions, beside the report, if it is wanted; its name. The numbers
    it is drawn from leave the result for a file beside it.
    """
    path = journal.folder.differences
    found = numeric.pop("distributions", {})
    with journal.writing(path.name):
        if found:
            write_atomic(path.with_suffix(".json"), to_json_line(found))
        if drawn:
            from qs.render.pictures import draw_distributions

            return draw_distributions(found, path)
    return None


def _numeric_faults(found: dict[str, Any]) -> list[str]:
    """A missing output, another shape, NaN and infinities are failures, not zeros."""
    return [
        f"numeric: output {name}: {metrics['failed']}"
        for name, metrics in found["outputs"].items()
        if metrics["failed"]
    ]
