"""One measurement under changed settings: what a sweep and a search for a limit are made of."""

from __future__ import annotations

from dataclasses import replace

from qs.base import machine
from qs.base.interrupt import Interrupted
from qs.evaluate.performance import Measured, measure_case
from qs.evaluate.testbed import Testbed
from qs.settings.case import cases_of
from qs.settings.run_plan import check_plans
from qs.settings.settings import Changes

ORIGIN = "this trial"


async def trial(
    testbed: Testbed, changes: Changes, title: str, name: str | None = None
) -> Measured:
    """Measure once, with some of the testbed's settings changed.

    name   stem of the histogram's file; None: the case's own

    The record's rows stay as they are, and nothing is saved but the histogram. Raises UserError for
    settings that cannot be, and Interrupted after Ctrl-C: what was measured of this trial up to
    then is not of the length that was asked for.
    """
    cpus = machine.usable_cpus()
    settings = testbed.settings.changed(changes, ORIGIN, cpus)
    check_plans(settings, cpus, testbed.in_process)
    (case,) = cases_of(settings)
    changed = replace(testbed, settings=settings)
    await testbed.backend.use_runner(settings)
    path = None if name is None else testbed.journal.folder.histogram(name)
    measured = await measure_case(changed, case, title, path)
    if testbed.interrupt.requested.is_set():
        raise Interrupted
    return measured
