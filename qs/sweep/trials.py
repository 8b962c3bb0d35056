"""One measurement under changed settings: what a sweep and a search for a limit are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qs.base import machine
from qs.base.interrupt import Interrupted
from qs.evaluate.backend import call
from qs.evaluate.performance import Bench, Measured, measure_case
from qs.settings import settings as plan
from qs.settings.run_plan import cases_of, check_plans

ORIGIN = "this trial"


async def trial(
    bench: Bench, changes: Mapping[str, Any], title: str, name: str | None = None
) -> Measured:
    """Measure once, with some of the bench's settled values changed (by the names of a QS config
    and of a plan).

    name   stem of the histogram's file; None: the case's own

    The record's rows stay as they are, and nothing is saved but the histogram. Raises UserError for
    settings that cannot be, and Interrupted after Ctrl-C: what was measured of this trial up to
    then is not of the length that was asked for.
    """
    cpus = machine.usable_cpus()
    values = plan.changed(bench.values, changes, ORIGIN, cpus)
    check_plans(values, cpus, bench.in_process)
    (case,) = cases_of(values)
    changed = replace(bench, values=values)
    runner, pool = values["runner"].value, values["pool"].value
    told = {"runner": runner, "pool": pool, "config": plan.effective(values)}
    before = bench.host.told.get("use_runner", {})
    # A factory of the vendor's own gets all of the config; the others need to know the pool alone.
    if told != before if ":" in runner else pool != before.get("pool"):
        await call(bench.host, "use_runner", "the runner", **told)
    path = None if name is None else bench.journal.folder.histogram(name)
    measured = await measure_case(changed, case, title, path)
    if bench.interrupt.requested.is_set():
        raise Interrupted
    return measured
