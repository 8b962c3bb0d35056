"""The measured part: one case a batch size and scenario, driven by our engine as the QS config
says, or timed by the backend itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qs.base.interrupt import Interrupt, Interrupted
from qs.base.scenarios import MLPERF
from qs.base.words import completed, number, span
from qs.evaluate import rows
from qs.evaluate.backend import Backend
from qs.evaluate.expectation import Footprint
from qs.evaluate.failures import BackendFailed, outcomes
from qs.evaluate.losses import note, reason_of_loss
from qs.evaluate.patience import Patience
from qs.evaluate.vendor_mode import audit
from qs.evaluate.verification import Verification
from qs.result.journal import Journal
from qs.result.row import Outcome, Row
from qs.settings.case import Case, cases_of
from qs.settings.run_plan import plan_of
from qs.settings.settings import Settings

# Our engine drives every backend, and none is asked for its own numbers: a load test is the
# engine's.
DRIVE = "drive"
NS_PER_S = 1e9
UNTOLD = "intra_op_threads {}: the backend is not told, it has no attribute `placement`; pool 'process' tells it by OMP_NUM_THREADS"


@dataclass(frozen=True)
class Bench:
    """What every case is measured with."""

    backend: Backend
    settings: Settings
    journal: Journal
    interrupt: Interrupt
    qs_mode: bool = True
    engine: str = "auto"  # which rows our engine drives: auto, always, never; DRIVE
    in_process: bool = False
    patience: Patience = field(default_factory=Patience)
    footprint: Footprint = field(default_factory=Footprint)

    @property
    def driven(self) -> bool:
        """Whether our engine drives predict, or the backend times itself."""
        return self.engine in ("always", DRIVE) or (self.qs_mode and self.engine != "never")


async def measure(bench: Bench) -> None:
    """Measure every case; the report is written after each. A case that fails is a row that says
    so, and the next is tried.
    """
    journal, cases = bench.journal, cases_of(bench.settings)
    scenarios = bench.settings.scenarios.value or ()
    for text in dict.fromkeys(text for each in scenarios for text in each.warnings):
        journal.warn(text)
    for at, case in enumerate(cases, start=1):
        batch_size = case.requested_batch_size
        named = f"{case.scenario_name}, " if case.scenario else ""
        title = f"{named}batch size {batch_size} ({at} of {len(cases)})"
        journal.event(
            "case begins",
            batch_size=batch_size,
            **({"scenario": case.scenario_name} if case.scenario else {}),
        )
        row = (await measure_case(bench, case, title)).row
        if row.outcome is Outcome.NO_ROOM:
            journal.warn(f"{title}: {row.reasons[0]}")
            journal.event("case left out", batch_size=batch_size, why=row.reasons[0])
            continue
        if bench.engine == "always" and not bench.interrupt.requested.is_set():
            row = await audit(bench, batch_size, row)
        journal.record.rows.append(row)
        journal.event(
            "case ends", batch_size=batch_size, completed=row.completed, verdict=row.verdict
        )
        journal.save()
        if bench.interrupt.requested.is_set():
            raise Interrupted
    if not journal.record.rows:
        journal.record.reasons.append("nothing was measured: no batch size fits into memory")


@dataclass(frozen=True)
class Measured:
    """One measurement. `result` is the engine's; None where the case could not be measured, and the
    row then says why.
    """

    case: Case
    row: Row
    result: Any | None


async def measure_case(
    bench: Bench, case: Case, title: str, histogram: Path | None = None
) -> Measured:
    """Load what the case asks for, warm it up and measure it once. A failure is a row that says so.

    histogram   where the log of response times goes; None: the report's own place for this case
    """
    lacking = bench.footprint.lacking(_pid(bench, case), case)
    if lacking is not None:
        row = rows.failed(case, f"not measured: {lacking}", Outcome.NO_ROOM)
        return Measured(case, row, None)
    settings = bench.settings
    timeout = bench.patience.timeout(case, settings.timeout_s)
    if timeout is not settings.timeout_s:
        bench.journal.view.line(
            f"{title}: one predict may take {span(timeout.value)}, {timeout.origin}"
        )
    bench = replace(bench, settings=replace(settings, timeout_s=timeout))
    bench.backend.limits = replace(bench.backend.limits, predict_s=timeout.value)
    with Verification.of(settings) as watch:
        measured = await _measure_case(bench, case, title, histogram, watch)
    row = measured.row
    if row.outcome is Outcome.CRASHED and not row.completed and bench.footprint.ran_out:
        text = "not measured: it does not fit into memory, for lack of which the kernel ended the backend's process"
        return Measured(case, rows.failed(case, text, Outcome.NO_ROOM), None)
    if measured.result is not None and measured.result.completed:
        bench.patience.learn(case, measured.result.service.max_ns / NS_PER_S)
    row = row.changed(
        predict_timeout_s=timeout.value,
        peak_memory_bytes=bench.footprint.ended(_pid(bench, case), case),
    )
    return replace(measured, row=row)


def _pid(bench: Bench, case: Case) -> int | None:
    """Of the process whose memory a case takes; None where it is not one, or ours."""
    return None if case.pool == "process" else bench.backend.pid


async def _measure_case(
    bench: Bench, case: Case, title: str, histogram: Path | None, watch: Verification
) -> Measured:
    from qs.engine import run_async

    journal, settings, batch_size = bench.journal, bench.settings, case.requested_batch_size
    try:
        asked = batch_size * (case.shared_by or 1)
        loaded = await bench.backend.load(asked)
        bench.footprint.loaded(_pid(bench, case))
        if not case.shared_by:
            case = replace(case, batch_size=loaded.batch_size)
        samples = await bench.backend.describe_samples(case.batch_size, settings.plain_samples)
        target = await bench.backend.target(case, settings.plain_samples, watch.asked)
        with (
            outcomes("loading and warming up", flag="predict_timeout"),
            bench.interrupt.gently() as interrupt,
            journal.view.case(title, _limit_s(case)) as show,
        ):
            result = await run_async(
                plan_of(case, settings, bench.backend.limits),
                target,
                on_progress=show,
                interrupt=interrupt,
                keep_slices=journal.view.wants_slices,
            )
        journal.view.ended(title, result)
    except BackendFailed as failure:
        if failure.lost_host:
            await bench.backend.drop()
        note(journal, failure, batch_size)
        return Measured(case, rows.failed(case, failure.said, failure.outcome), None)
    lost = reason_of_loss(result, bench.backend, title)
    if lost is not None:
        note(journal, lost, batch_size)
        await bench.backend.drop()
    file = None
    if result.response.count:
        path = histogram or journal.folder.histogram(case.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        result.write_hlog(path)
        file = f"{path.parent.name}/{path.name}"
    outcome = lost.outcome if lost else Outcome.RAISED if result.errors else Outcome.DONE
    row = rows.measured(case, result, file, load_s=loaded.seconds, samples=samples, outcome=outcome)
    if case.intra_op_threads and case.pool != "process" and not loaded.takes_threads:
        row = row.warned(UNTOLD.format(case.intra_op_threads))
    if lost is None:
        row = await watch.judged(bench, case, row)
    else:
        row = row.changed(reasons=[*row.reasons, str(lost)])
    journal.view.line(f"{title}: {said(row)}")
    return Measured(case, row, result)


def _limit_s(case: Case) -> float | None:
    """When a case ends in any case: MLPerf's durations are the least ones."""
    return (
        case.time_limit_s if case.scenario_name in MLPERF else case.duration_s or case.time_limit_s
    )


def said(row: Row) -> str:
    """One line on a case that has ended."""
    parts = [f"{number(row.items_per_s)} items/s"]
    for name, value in (("average", row.mean_ms), ("p99", row.p99_ms)):
        if value is not None:
            parts.append(f"{name} {number(value)} ms")
    parts.append(f"{completed(row.planned, row.completed)} queries")
    if row.errors:
        parts.append(f"{number(row.errors)} errors")
    return ", ".join([*parts, row.verdict])
