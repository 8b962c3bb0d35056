"""What a run is about to do, in one line, and about how long that takes: the cases by what ends
them, everything before them as long as the last time.
"""

from __future__ import annotations

from collections.abc import Sequence

from qs.base import machine
from qs.base.errors import UserError
from qs.base.words import counted, number, span
from qs.evaluate.prepare import Prepared
from qs.result.last import LastTime
from qs.settings.case import Case, cases_of
from qs.settings.settings import Settings, settle


def plan_line(prepared: Prepared, last: LastTime) -> str | None:
    """compile, accuracy (450 items), agreement (16 items), 4 cases of at most 20 s: about 2 min.

    None if the settings cannot be settled: then the run itself says what is wrong, once it has
    heard the backend.
    """
    try:
        settings = settle(prepared.request, prepared.workload, None, None, machine.usable_cpus())
        cases = cases_of(settings) if _measures(prepared) else []
    except UserError:
        return None
    steps = ["compile" if prepared.artifact is None else "take what was compiled"]
    stages = ["environment", "model", "compile"]
    if not prepared.compile_only and prepared.workload.test_accuracy:
        items = last.accuracy_items
        steps.append(f"accuracy ({counted(items, 'item')})" if items else "accuracy")
        stages.append("accuracy")
    if not prepared.compile_only and prepared.workload.test_numeric:
        steps.append(f"agreement ({counted(settings.numeric_items.value, 'item')})")
        stages.append("numeric")
    if cases:
        steps.append(f"{counted(len(cases), 'case')}{_of(cases)}")
    return f"plan: {', '.join(steps)}{_lasting(stages, cases, settings, last)}"


def _measures(prepared: Prepared) -> bool:
    return prepared.workload.test_perf and not prepared.compile_only


def _of(cases: Sequence[Case]) -> str:
    """How long each is, if all are alike."""
    told = {(case.duration_s, case.time_limit_s, case.iterations) for case in cases}
    if len(told) != 1:
        return ""
    duration_s, limit_s, iterations = told.pop()
    if limit_s and not (duration_s and duration_s <= limit_s):
        return f" of at most {span(limit_s)}"
    if duration_s:
        return f" of {span(duration_s)}"
    return f" of {number(iterations)} iterations" if iterations else ""


def _lasting(
    stages: Sequence[str], cases: Sequence[Case], settings: Settings, last: LastTime
) -> str:
    known = [last.stages.get(stage) for stage in stages]
    before_s = None if None in known else sum(filter(None, known))
    cases_s = _cases_s(cases, settings, last)
    if cases_s is not None and before_s is not None:
        bounded = any(case.time_limit_s and not case.duration_s for case in cases)
        return f": {'at most ' if bounded else ''}about {span(before_s + cases_s)}"
    if cases_s:
        return f": the cases take about {span(cases_s)}; what the rest takes the first run shows"
    if before_s is not None:
        return f": about {span(before_s)} before the first case"
    return ""


def _cases_s(cases: Sequence[Case], settings: Settings, last: LastTime) -> float | None:
    """All of them with their warm-up; as the last time if nothing bounds them, None if that is not
    known.
    """
    bounds = [case.duration_s or case.time_limit_s for case in cases]
    if None not in bounds:
        return sum(filter(None, bounds)) + (settings.warmup.value.seconds or 0.0) * len(cases)
    took_s = last.stages.get("performance")
    if took_s is None or not last.cases:
        return None
    return took_s * len(cases) / last.cases
