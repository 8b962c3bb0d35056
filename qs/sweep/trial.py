"""One trial: a combination, or a rate, measured once."""

from __future__ import annotations

from dataclasses import replace

from qs.base.interrupt import Interrupted
from qs.base.machine import usable_cpus
from qs.base.words import number
from qs.evaluate import rows
from qs.evaluate.performance import Measured, measure_case
from qs.evaluate.testbed import Testbed
from qs.result.row import Row
from qs.settings.case import Case, cases_of
from qs.settings.run_plan import check_plans
from qs.settings.settings import Changes
from qs.sweep.grid import Combination

ORIGIN = "this trial"


async def measure_once(
    testbed: Testbed, changes: Changes, title: str, log_name: str | None = None
) -> Measured:
    """Measure once, with some of the testbed's settings changed. `log_name` is the stem of the
    histogram's file, if not the case's own.

    The record's rows stay as they are, and nothing is saved but the histogram. Raises UserError for
    impossible settings, and Interrupted after Ctrl-C: what was measured of this trial until then is
    shorter than was asked for.
    """
    cpus = usable_cpus()
    settings = testbed.settings.changed(changes, ORIGIN, cpus)
    check_plans(settings, cpus, testbed.in_process)
    (case,) = cases_of(settings)
    await testbed.backend.use_runner(settings)
    path = None if log_name is None else testbed.journal.folder.histogram(log_name)
    trials = replace(testbed, settings=settings, trials=True)
    measured = await measure_case(trials, case, title, path)
    if testbed.interrupt.requested.is_set():
        raise Interrupted
    return measured


def said(row: Row) -> str:
    """One line on a trial that has ended."""
    if row.items_per_s is None:
        return f"{row.verdict}, {row.reasons[0] if row.reasons else 'nothing was measured'}"
    name, value = ("average", row.mean_ms) if row.p99_ms is None else ("p99", row.p99_ms)
    parts = [f"{number(row.items_per_s, 4)} items/s", f"{name} {number(value)} ms"]
    if row.errors:
        parts.append(f"{number(row.errors)} errors")
    return ", ".join([*parts, row.verdict])


def impossible(combination: Combination, reason: str) -> Row:
    """The row of a combination that could not be tried."""
    case = Case(
        name=combination.name,
        batch_size=combination.batch_size,
        requested_batch_size=combination.batch_size,
        clients=combination.clients or 1,
        iterations=None,
        duration_s=None,
        time_limit_s=None,
        pool=combination.pool or "thread",
        instances=combination.instances or 1,
        intra_op_threads=combination.intra_op_threads,
        affinity=(),
    )
    return rows.failed(case, reason)
