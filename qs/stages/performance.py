"""The measured part: one case a batch size, driven by our engine as the backend's QS config says, or timed by the backend itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.plan import Value
from qs.report import rows
from qs.report.journal import Journal
from qs.stages.hosts import BackendFailed, call


async def measure(
    host: Any, values: Mapping[str, Value], journal: Journal, samples: Mapping[str, Any]
) -> None:
    """Measure every batch size; the report is written after each. A case that fails is a row that says so, and the next one is tried."""
    sizes = values["batch_sizes"].value
    for number, batch_size in enumerate(sizes, start=1):
        title = f"batch size {batch_size} ({number} of {len(sizes)})"
        journal.event("case begins", batch_size=batch_size)
        row = await _measure_one(host, batch_size, values, journal, title, samples)
        journal.record.rows.append(row)
        journal.event("case ends", batch_size=batch_size, completed=row["Completed"], verdict=row["Verdict"])
        journal.save()


async def _measure_one(
    host: Any,
    batch_size: int,
    values: Mapping[str, Value],
    journal: Journal,
    title: str,
    samples: Mapping[str, Any],
) -> dict[str, Any]:
    from engine import HostDied, HostError, HostTimeout, run_async

    case = case_of(batch_size, batch_size, values)
    try:
        loaded = await call(host, "load", f"load batch size {batch_size}", batch_size=batch_size)
        case = case_of(batch_size, loaded["loaded_batch_size"], values)
        plan = plan_of(case, values)
        target = host.target(
            "load_target",
            batch_size=batch_size,
            instances=case.instances,
            intra_op_threads=case.intra_op_threads,
            **samples,
        )
        with journal.view.case(title, case.duration_s or case.time_limit_s) as show:
            result = await run_async(plan, target, on_progress=show)
    except BackendFailed as failure:
        return rows.failed(case, str(failure))
    except (HostError, HostDied, HostTimeout) as failure:
        return rows.failed(case, str(failure))
    file = journal.folder.histogram(case.name)
    if result.response.count:
        file.parent.mkdir(parents=True, exist_ok=True)
        result.write_hlog(file)
        journal.view.line(f"{title}: {said(case, result)}")
    row = rows.measured(case, result, f"latency/{file.name}" if result.response.count else None)
    row["Load Time"] = loaded["seconds"]
    return row


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


def plan_of(case: rows.Case, values: Mapping[str, Value]) -> Any:
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
    )


def said(case: rows.Case, result: Any) -> str:
    """One line on a case that has ended."""
    from qs.report.summary import number

    latency = rows.latencies_ms(result.response)
    items_per_s = case.batch_size * result.completed / result.wall_s
    of = f" of {result.planned}" if result.planned and result.planned != result.completed else ""
    errors = f", {result.errors} errors" if result.errors else ""
    return (
        f"{number(items_per_s)} items/s, average {number(latency['AVG Latency'])} ms, p99 {number(latency['P99 Latency'])} ms, "
        f"{result.completed}{of} queries{errors}, {result.verdict}"
    )


async def measure_by_vendor(host: Any, batch_sizes: list[int], journal: Journal) -> None:
    """Rows from the backend's own `benchmark`, for a backend that does not support QS mode."""
    for batch_size in batch_sizes:
        journal.view.line(f"batch size {batch_size}: the backend times itself")
        try:
            await call(host, "load", f"load batch size {batch_size}", batch_size=batch_size)
            answer = await call(
                host, "benchmark", f"benchmark batch size {batch_size}", batch_size=batch_size
            )
            found = answer if isinstance(answer, list) else [answer]
            journal.record.rows += [rows.vendor(batch_size, row) for row in found]
        except BackendFailed as failure:
            journal.record.rows.append(
                rows.vendor(batch_size, {}) | {"Verdict": "INVALID", "Reasons": [str(failure)]}
            )
        journal.save()
