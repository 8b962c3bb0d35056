"""The measured part: one case for each batch size and scenario, driven by our engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qs.artifact.batch import refusal
from qs.base.errors import UserError
from qs.base.interrupt import Interrupted
from qs.base.scenarios import MLPERF
from qs.base.words import completed, number, span
from qs.engine import ErrorKind, RunResult
from qs.evaluate import rows
from qs.evaluate.client_limit import with_client
from qs.evaluate.driving import Driver, driver_of
from qs.evaluate.failures import BackendFailed, first_fault, note, outcomes
from qs.evaluate.measure_logs import write_logs
from qs.evaluate.node_rows import write_logs as write_node_logs
from qs.evaluate.over_nodes import drop_all
from qs.evaluate.power import Beside
from qs.evaluate.server_side import ServerBeside
from qs.evaluate.slo import with_goals
from qs.evaluate.testbed import Testbed
from qs.evaluate.tokens import TokensBeside
from qs.evaluate.vendor_mode import audit
from qs.evaluate.verification import Verification
from qs.limit.goals import bounds_of
from qs.result.row import Outcome, Row
from qs.result.tokens_words import tokens_said
from qs.result.verdict import DoubtEntry
from qs.settings.case import Case, cases_of
from qs.settings.run_plan import plan_of
from qs.watch.view import Follow

NS_PER_S = 1e9
UNTOLD = (
    "intra_op_threads {}: the backend does not learn of it, since it has no attribute `placement`"
)


async def measure(testbed: Testbed) -> None:
    """Measure every case; the report is written after each. A case that fails, or that the user has
    to correct, is a row that says so, and the next is tried. UserError if that is all of them.
    """
    journal, cases = testbed.journal, cases_of(testbed.settings)
    scenarios = testbed.settings.scenarios.value or ()
    for text in dict.fromkeys(text for each in scenarios for text in each.warnings):
        journal.warn(text)
    refused: list[UserError] = []
    for at, case in enumerate(cases, start=1):
        batch_size = case.requested_batch_size
        named = f"{case.scenario_name}, " if case.scenario else ""
        title = f"{named}batch size {batch_size} ({at} of {len(cases)})"
        journal.event(
            "case begins",
            batch_size=batch_size,
            **({"scenario": case.scenario_name} if case.scenario else {}),
        )
        before = len(refused)
        try:
            row = (await measure_case(testbed, case, title)).row
        except UserError as error:
            refused.append(error)
            if len(refused) == len(cases):  # nothing was measured, for what the user has to correct
                raise
            journal.view.line(f"{title}: {error}")
            row = rows.failed(case, str(error))
        if row.outcome is Outcome.NO_ROOM:
            journal.warn(f"{title}: {row.reasons[0]}")
            journal.event("case left out", batch_size=batch_size, why=row.reasons[0])
            continue
        audited = testbed.engine == "always" and len(refused) == before and testbed.fleet is None
        if audited and not testbed.interrupt.requested.is_set():
            row = await testbed.interrupt.unless(audit(testbed, batch_size, row)) or row
        journal.record.rows.append(row)
        journal.event(
            "case ends",
            batch_size=batch_size,
            completed=row.completed,
            verdict=row.verdict,
            reasons=row.reasons,
        )
        journal.save()
        if testbed.interrupt.requested.is_set():
            raise Interrupted
    if not journal.record.rows:
        journal.record.reasons.append("nothing was measured: no batch size fits into memory")


@dataclass(frozen=True)
class Measured:
    """One measurement."""

    case: Case
    row: Row
    result: RunResult | None  # None: the case could not be measured, and the row says why


async def measure_case(
    testbed: Testbed, case: Case, title: str, histogram: Path | None = None
) -> Measured:
    """Load what the case asks for, warm it up and measure it once. A failure is a row that says so.

    histogram   where the log of response times goes; None: the report's own place for this case
    """
    lacking = testbed.footprint.lacking(_pid(testbed, case), case)
    if lacking is not None:
        row = rows.failed(case, f"not measured: {lacking}", Outcome.NO_ROOM)
        return Measured(case, row, None)
    settings = testbed.settings
    timeout = testbed.timeouts.of(case, settings.timeout_s)
    if timeout is not settings.timeout_s:
        testbed.journal.view.line(
            f"{title}: one predict may take {span(timeout.value)}, {timeout.origin}"
        )
    testbed = replace(testbed, settings=replace(settings, timeout_s=timeout))
    testbed.backend.limits = replace(testbed.backend.limits, predict_s=timeout.value)
    with Verification.of(settings, testbed.reference) as watch:
        measured = await _measure_case(testbed, case, title, histogram, watch)
    row = measured.row
    if row.outcome is Outcome.CRASHED and not row.completed and testbed.footprint.ran_out:
        text = (
            "not measured: it does not fit into memory, for lack of which the kernel ended the "
            "backend's process"
        )
        return Measured(case, rows.failed(case, text, Outcome.NO_ROOM), None)
    if measured.result is not None and measured.result.completed:
        testbed.timeouts.learn(case, measured.result.service.max_ns / NS_PER_S)
    row = row.changed(
        predict_timeout_s=timeout.value,
        peak_memory_bytes=testbed.footprint.ended(_pid(testbed, case), case),
    )
    return replace(measured, row=row)


def _pid(testbed: Testbed, case: Case) -> int | None:
    """Of the process whose memory a case takes; None if there is more than one, or it is ours."""
    return None if case.own_processes or testbed.fleet is not None else testbed.backend.pid


async def _measure_case(
    testbed: Testbed, case: Case, title: str, histogram: Path | None, watch: Verification
) -> Measured:
    journal, settings, batch_size = testbed.journal, testbed.settings, case.requested_batch_size
    try:
        asked = batch_size * (case.shared_by or 1)
        unfit = refusal((journal.record.artifact or {}).get("batch"), asked)
        if unfit is not None:
            raise UserError(unfit)
        driver = await driver_of(testbed, asked)
        testbed.footprint.loaded(_pid(testbed, case))
        if not case.shared_by:
            case = replace(case, batch_size=driver.loaded.batch_size)
        samples = await testbed.backend.describe_samples(case.batch_size, settings.plain_samples)
        await watch.begun(driver.answers, settings.plain_samples, case)
        client = await driver.client(case)
        beside, server = Beside(testbed), ServerBeside(testbed.served)
        tokens, goals = TokensBeside.of(testbed.served), settings.goals.value or ()
        run = await driver.ready(case, watch)
        with (
            outcomes("loading and warming up", flag="predict_timeout"),
            testbed.interrupt.gently() as interrupt,
            _shown(testbed)(title, _limit_s(case), _asked_per_s(case)) as show,
        ):
            result = await run(
                tokens.plan(
                    server.plan(plan_of(case, settings, testbed.backend.limits)), bounds_of(goals)
                ),
                on_progress=show,
                interrupt=interrupt,
                keep_columns=journal.raw is not None,
                beside=server.around(beside.context),
            )
        await driver.ended(result, watch)
        beside.ended(result, watch.folder)
        if journal.raw is not None:
            measures = [each.measure for each in result.measures.values()]
            nodes = [part.name for part in result.nodes]
            journal.raw.add(case.name, case.batch_size, result.columns, measures, nodes)
        journal.view.ended(title, result)
    except BackendFailed as failure:
        with testbed.interrupt.gently():  # what was measured is a row, whatever comes now
            if failure.lost_host:
                await testbed.backend.drop()
                if testbed.fleet is not None:
                    await drop_all(testbed.fleet)
            note(journal, failure, batch_size)
        return Measured(case, rows.failed(case, failure.said, failure.outcome), None)
    with testbed.interrupt.gently():
        await asyncio.to_thread(server.ended)
        told = await _told(
            testbed, case, title, histogram, watch, result, driver, samples, beside, server
        )
        return replace(told, row=with_client(told.row, client))


async def _told(
    testbed: Testbed,
    case: Case,
    title: str,
    histogram: Path | None,
    watch: Verification,
    result: RunResult,
    driver: Driver,
    samples: Mapping[str, Any],
    beside: Beside,
    server: ServerBeside,
) -> Measured:
    """A case that has ended: its log, its row, and whether the answers were right."""
    journal, loaded = testbed.journal, driver.loaded
    lost = driver.lost_in(result, title)
    if lost is not None:
        note(journal, lost, case.requested_batch_size)
        await driver.answers.drop()
    file, logs, path = None, dict[str, str](), histogram or journal.folder.histogram(case.name)
    if result.response.count:
        with journal.writing(path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            result.write_hlog(path)
            file = f"{path.parent.name}/{path.name}"
            logs = write_logs(result, path)
    fault = first_fault(result)
    if fault is not None:
        journal.event("first fault", case=title, text=fault, traceback=result.first_fault)
        journal.note_in_log(f"{title}: {fault}\n{result.first_fault}")
    printed = write_node_logs(result.nodes, journal.folder, journal.writing)
    outcome = Outcome.RAISED if result.errors else Outcome.DONE
    if lost is not None:
        outcome = lost.outcome
    elif ErrorKind.DIED in result.errors_by_kind:  # with a node that was lost as a whole
        outcome = Outcome.CRASHED
    row = rows.measured(
        case,
        result,
        file,
        load_s=loaded.seconds,
        samples=samples,
        outcome=outcome,
        goals=testbed.settings.goals.value or (),
        judging=not testbed.trials,  # a trial is a sweep's to judge
        node_logs=printed,
    )
    row = server.row(beside.row(row), result, case.lists)
    row = with_goals(TokensBeside.of(testbed.served).row(row, result, logs))
    if case.intra_op_threads and not case.own_processes and not loaded.takes_threads:
        text = UNTOLD.format(case.intra_op_threads)
        cure = "--pool process, which sets OMP_NUM_THREADS"
        row = row.doubted(DoubtEntry(code="threads_not_told", text=text, cure=cure))
    if lost is None:
        row = await watch.judged(
            driver.answers, testbed.settings.plain_samples, case, row, testbed.interrupt
        )
    else:
        row = row.changed(reasons=[*row.reasons, str(lost)])
    if not testbed.trials:
        journal.view.line(f"{title}: {said(row)}" + (f"; {fault}" if fault else ""))
    return Measured(case, row, result)


def _shown(testbed: Testbed) -> Callable[..., AbstractContextManager[Follow]]:
    view = testbed.journal.view
    return view.trial if testbed.trials else view.case


def _limit_s(case: Case) -> float | None:
    """When a case ends in any case: MLPerf's durations are the least ones."""
    return (
        case.time_limit_s if case.scenario_name in MLPERF else case.duration_s or case.time_limit_s
    )


def _asked_per_s(case: Case) -> float | None:
    """The rate of an open loop that has one rate."""
    return case.scenario.rate_per_s if case.scenario is not None and case.open_loop else None


def said(row: Row) -> str:
    """One line on a case that has ended."""
    parts = [f"{number(row.items_per_s)} items/s"]
    for name, value in (("average", row.mean_ms), ("p99", row.p99_ms)):
        if value is not None:
            parts.append(f"{name} {number(value)} ms")
    parts += tokens_said(row)
    parts.append(f"{completed(row.planned, row.completed)} queries")
    if row.errors:
        parts.append(f"{number(row.errors)} errors")
    return ", ".join([*parts, row.standing])
