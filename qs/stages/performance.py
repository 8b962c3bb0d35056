"""The measured part: one case a batch size, driven by our engine as the backend's QS config says, or timed by the backend itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qs.errors import UserError
from qs.interrupt import Interrupt, Interrupted
from qs.plan import Value
from qs.report import rows
from qs.report.journal import Journal
from qs.report.summary import completed, number
from qs.stages.failures import BackendFailed, outcomes
from qs.stages.hosts import call
from qs.stages.limits import Limits
from qs.stages.losses import note, reason_of_loss
from qs.stages.vendor_mode import audit

WARM_UP_S = 60.0  # beside the time that loading may take; a warm-up that hangs is found by the limit of predict
# The backend lives in one process that compiled and loaded; more processes would each have to do that anew.
POOLS = ("thread", "inline")


@dataclass(frozen=True)
class Bench:
    """What every case is measured with."""

    host: Any
    values: Mapping[str, Value]
    journal: Journal
    interrupt: Interrupt
    qs_mode: bool = True
    engine: str = "auto"  # which rows our engine drives: auto, always, never

    @property
    def driven(self) -> bool:
        """Whether our engine drives predict, or the backend times itself."""
        return self.engine == "always" or (self.qs_mode and self.engine != "never")


async def measure(bench: Bench) -> None:
    """Measure every batch size; the report is written after each. A case that fails is a row that says so, and the next is tried."""
    journal, sizes = bench.journal, bench.values["batch_sizes"].value
    for at, batch_size in enumerate(sizes, start=1):
        title = f"batch size {batch_size} ({at} of {len(sizes)})"
        journal.event("case begins", batch_size=batch_size)
        row = await _measure_one(bench, batch_size, title)
        if bench.engine == "always" and not bench.interrupt.requested.is_set():
            row = await audit(bench, batch_size, row)
        journal.record.rows.append(row)
        journal.event("case ends", batch_size=batch_size, completed=row["Completed"], verdict=row["Verdict"])
        journal.save()
        if bench.interrupt.requested.is_set():
            raise Interrupted


async def _measure_one(bench: Bench, batch_size: int, title: str) -> dict[str, Any]:
    from engine import run_async

    journal, values = bench.journal, bench.values
    case = case_of(batch_size, batch_size, values)
    try:
        loaded = await call(bench.host, "load", f"load batch size {batch_size}", batch_size=batch_size)
        case = case_of(batch_size, loaded["loaded_batch_size"], values)
        samples = await call(
            bench.host,
            "describe_samples",
            f"samples of batch size {batch_size}",
            batch_size=case.batch_size,
            samples=values["samples"].value,
        )
        target = await bench.host.target(
            "load_target",
            batch_size=batch_size,
            instances=case.instances,
            affinity=[list(cpus) for cpus in case.affinity],
            intra_op_threads=case.intra_op_threads,
            samples=values["samples"].value,
        )
        with (
            outcomes(f"batch size {batch_size}"),
            bench.interrupt.gently() as interrupt,
            journal.view.case(title, case.duration_s or case.time_limit_s) as show,
        ):
            result = await run_async(
                plan_of(case, values, bench.host.limits), target, on_progress=show, interrupt=interrupt
            )
    except BackendFailed as failure:
        if failure.lost_host:
            await bench.host.drop()
        note(journal, failure, batch_size)
        return rows.failed(case, str(failure)) | {"Outcome": failure.outcome}
    lost = reason_of_loss(result, bench.host, title)
    if lost is not None:
        note(journal, lost, batch_size)
        await bench.host.drop()
    file = None
    if result.response.count:
        path = journal.folder.histogram(case.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        result.write_hlog(path)
        file = f"{path.parent.name}/{path.name}"
    row = rows.measured(case, result, file) | {"Load Time": loaded["seconds"], "Samples": samples}
    row["Outcome"] = lost.outcome if lost else "raised" if result.errors else "done"
    if lost is not None:
        row["Reasons"].append(str(lost))
    journal.view.line(f"{title}: {said(row)}")
    return row


def check_plans(values: Mapping[str, Value]) -> None:
    """Refuse settings that the engine cannot run, before anything is loaded for them."""
    pool = values["pool"]
    if pool.value not in POOLS:
        raise UserError(
            f"pool {pool.value!r} ({pool.origin}): a backend can be driven in {' or '.join(POOLS)}; add --pool thread"
        )
    for batch_size in values["batch_sizes"].value:
        faults = plan_of(case_of(batch_size, batch_size, values), values).faults()
        if faults:
            raise UserError("; ".join(faults))


def case_of(requested: int, loaded: int, values: Mapping[str, Value]) -> rows.Case:
    """The settings of one case."""
    affinity = values["affinity"].value or ()
    clients = values["clients"].value
    return rows.Case(
        name=f"bs{requested}-c{clients}",
        batch_size=loaded,
        requested_batch_size=requested,
        clients=clients,
        iterations=values["iterations"].value,
        duration_s=values["duration_s"].value,
        time_limit_s=values["time_limit_s"].value,
        pool=values["pool"].value,
        instances=min(values["instances"].value, clients),
        intra_op_threads=values["intra_op_threads"].value,
        affinity=tuple(tuple(cpus) for cpus in affinity),
    )


def plan_of(case: rows.Case, values: Mapping[str, Value], limits: Limits | None = None) -> Any:
    """The engine's plan of one case."""
    from engine import ClosedLoop, Pool, RunPlan, Stop

    warmup = values["warmup"].value
    timeout_s = values["timeout_s"].value
    return RunPlan(
        load=ClosedLoop(clients=case.clients, iterations=case.iterations),
        stop=Stop(duration_s=case.duration_s, max_duration_s=case.time_limit_s),
        pool=Pool(
            kind=case.pool,
            instances=case.instances,
            affinity=case.affinity,
            intra_op_threads=case.intra_op_threads,
        ),
        warmup_iterations=int(warmup.get("iterations", 0)),
        warmup_s=float(warmup.get("seconds", 0.0)),
        timeout_s=timeout_s,
        drain_s=timeout_s,
        build_timeout_s=(limits or Limits()).load_s * max(case.instances, 1) + WARM_UP_S,
    )


def said(row: Mapping[str, Any]) -> str:
    """One line on a case that has ended."""
    parts = [f"{number(row['QPS'])} items/s"]
    for name, short in (("AVG Latency", "average"), ("P99 Latency", "p99")):
        if row[name] is not None:
            parts.append(f"{short} {number(row[name])} ms")
    parts.append(f"{completed(row)} queries")
    if row["Errors"]:
        parts.append(f"{row['Errors']} errors")
    return ", ".join([*parts, row["Verdict"]])
