"""A gate against a saved result: the old cannot be measured again, so the new is measured once and
compared with the numbers that were kept. Not interleaved, and said so: what changed on the machine
in between is in the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt
from qs.base.machine import cpu_name
from qs.ci.gate import INCLUDED
from qs.ci.report import CiFigure, CiReport
from qs.comparison.comparing import Compared, compare_results
from qs.comparison.difference import Difference
from qs.comparison.gates import State, judge
from qs.comparison.noise import known_spread
from qs.comparison.sides import Side
from qs.comparison.unlike import unlike
from qs.comparison.verdict import ComparedCase
from qs.evaluate.evaluation import Work
from qs.evaluate.journal import Journal
from qs.evaluate.performance import measure
from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import serving
from qs.gates.bounds import judged
from qs.gates.grammar import Bound, Change
from qs.result.beside import log_of
from qs.result.gate import GateEntry, GateOutcome
from qs.result.result import Result
from qs.result.row import Verdict
from qs.settings.settings import Changes

MARGIN = 0.02
LEAST_S, MOST_S = 5.0, 60.0
ORIGIN = "qs ci, within its budget"
OUTCOMES = {
    State.HOLDS: GateOutcome.HOLDS,
    State.DOES_NOT: GateOutcome.NOT,
    State.UNCLEAR: GateOutcome.UNCLEAR,
}


def refuse(baseline: Side, new: Prepared) -> None:
    """Raises UserError for a saved result whose numbers say nothing about the new one."""
    result = baseline.result
    faults = []
    if result.verdict in (Verdict.INVALID, Verdict.OVERLOADED):
        reasons = "; ".join(result.reasons[:3]) or "no reason is stated"
        faults.append(f"it is {result.verdict}: {reasons}")
    task = None if result.artifact else result.task
    if task is not None and task != new.request.task:
        faults.append(f"it is of the task {task}, not of {new.title}")
    if task is None and new.request.task:
        faults.append(f"it is a load test of {result.task}, not of the task {new.request.task}")
    cpu = result.host.get("CPU")
    if cpu and cpu != cpu_name():
        faults.append(f"it was measured on another processor, {cpu}")
    if faults:
        raise UserError(
            f"--baseline {baseline.name} cannot be compared with: {'; '.join(faults)}. "
            "Measure old and new here: --old PATH --new PATH"
        )


def once(baseline: Side, budget_s: float) -> Work:
    """In place of an evaluation: each case for as long as the baseline's were, within the
    budget.
    """
    lengths = [row.wall_s for row in baseline.rows if row.wall_s]

    async def work(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        async with serving(prepared, journal, interrupt) as testbed:
            count = max(len(testbed.settings.batch_sizes.value), 1)
            wanted = min(max([*lengths, LEAST_S]), MOST_S)
            seconds = max(min(wanted, budget_s / count), 0.1)
            changes: Changes = {"duration_s": seconds, "iterations": None}
            settings = testbed.settings.changed(
                changes, ORIGIN, journal.record.host.get("Usable CPUs") or (0,)
            )
            with journal.stage("performance"):
                await measure(replace(testbed, settings=settings))

    return work


def compared(
    report: CiReport,
    baseline: Side,
    result: Result,
    folder: Path,
    conditions: Sequence[Bound | Change],
) -> None:
    """Fill in the report. Raises UserError if no case is in both."""
    find = partial(log_of, folder)
    sides = [baseline, Side("new", result, find)]
    shares = [each.share for each in conditions if isinstance(each, Change)]
    margin = min([MARGIN, *shares])
    found = compare_results(sides, margin, True, known_spread([each.result for each in sides]))
    report.figures = [
        _figure(_name(case, found), each) for case in found.cases for each in case.differences
    ]
    report.notes += [f"differs: {each}" for each in unlike(baseline.result, result)]
    for condition in conditions:
        if isinstance(condition, Bound):
            report.gates += judged([condition], result, find)
        else:
            report.gates += _changes(condition, found, margin)
    if report.outcome is GateOutcome.UNCLEAR:
        report.notes.append("to tell, measure both in turn: qs ci --old PATH --new PATH")


def _name(case: ComparedCase, found: Compared) -> str:
    return case.title if len(found.cases) > 1 else f"BS {case.b.row.batch_size}"


def _figure(name: str, each: Difference) -> CiFigure:
    return CiFigure(
        name,
        each.metric.name,
        each.metric.unit,
        each.a,
        each.b,
        _percent(each.change),
        _percent(each.low),
        _percent(each.high),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100.0


def _changes(condition: Change, found: Compared, margin: float) -> list[GateEntry]:
    """As qs.ci.gate: any figure may say that a condition holds, the leading one of a case that it
    does not.
    """
    cases = [case for case in found.cases if condition.selector.takes(case.b.row)]
    if not cases:
        return [
            GateEntry(
                condition=str(condition),
                outcome=GateOutcome.UNCLEAR,
                why=f"no case is {condition.selector}",
            )
        ]
    (judgement,) = judge([condition], cases, margin)
    entries = []
    for case in cases:
        own = [each for each in judgement.figures if each.case is case]
        holding = [each for each in own if each.state is State.HOLDS]
        name = condition.figure or case.leading
        chosen = holding or [each for each in own if each.difference.metric.name == name]
        if not chosen:
            why = f"{name} is not in both"
            entries.append(
                GateEntry(
                    condition=str(condition),
                    outcome=GateOutcome.UNCLEAR,
                    case=_name(case, found),
                    why=why,
                )
            )
            continue
        figure = _figure(_name(case, found), chosen[0].difference)
        outcome = OUTCOMES[chosen[0].state]
        unclear = chosen[0].state is State.UNCLEAR
        entries.append(
            GateEntry(
                condition=str(condition),
                outcome=outcome,
                case=_name(case, found),
                figure=f"change of {figure.name}",
                value=figure.change,
                low=figure.low,
                high=figure.high,
                unit="%",
                why=(chosen[0].difference.why or INCLUDED) if unclear else None,
            )
        )
    return entries
