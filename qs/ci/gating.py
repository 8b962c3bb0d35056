"""A gate from start to end: what is asked for goes in, and a report of what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from qs.base.files import write_json
from qs.ci import saved
from qs.ci.report import CiReport
from qs.ci.running import CiPlan, new_report
from qs.ci.sides import FOLDER, Describe, again, described, place, words_for
from qs.comparison.sides import Side
from qs.evaluate.prepare import Prepared
from qs.evaluate.running import Ended, describe_artifact, run
from qs.gates.grammar import Bound, Change
from qs.result.row import Verdict
from qs.settings.request import Request
from qs.watch.view import View

NAME = "ci.json"  # the report, beside those of the sides


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    new: Request
    conditions: Sequence[Bound | Change]
    budget_s: float
    # Exactly one of them.
    old: Request | None = None
    baseline: Side | None = None
    block_s: float | None = None
    allow_unclear: bool = False
    files: dict[str, Path] = field(default_factory=dict)  # form -> where it goes
    command: Sequence[str] = ()


def hold(asked: Asked, view: View, scratch: Path) -> tuple[CiReport, Ended]:
    """Measure, and hold the new to the conditions. UserError for what the user has to correct.

    scratch   a folder that lasts as long as the gate
    """
    describe = partial(_described, scratch)
    new = described(place(asked.new, "new"), describe)
    old, why = asked.old, ""
    if old is None and asked.baseline is not None:
        found = again(asked.baseline.result, asked.new)
        old, why = (None, found) if isinstance(found, str) else (found, "")
    if old is not None:
        report, ended = _interleaved(asked, old, new, describe, view)
    else:
        assert asked.baseline is not None
        report, ended = _against_saved(asked, asked.baseline, new, why, view)
    report.interrupted = ended.interrupted
    if ended.error is not None:
        report.reasons.append(str(ended.error))
    elif not ended.interrupted and ended.record.reasons:
        report.reasons += [
            text
            for text in ended.record.reasons
            if not any(text in each for each in report.reasons)
        ]
    write_json(asked.new.out / FOLDER / NAME, report.to_dict())
    return report, ended


def _interleaved(
    asked: Asked, old: Request, new: Prepared, describe: Describe, view: View
) -> tuple[CiReport, Ended]:
    before = described(place(old, "old"), describe)
    texts = [str(each) for each in asked.conditions]
    report = new_report(new, words_for(before), words_for(new), texts, asked.budget_s)
    if asked.baseline is not None:
        report.notes.append(f"the baseline {asked.baseline.name} was measured again")
    if words_for(before) == words_for(new):
        report.notes.append("old and new are the same, so any difference is chance")
    plan = CiPlan(
        asked.conditions,
        before,
        new,
        asked.budget_s,
        asked.block_s,
        view,
        report,
        asked.command,
    )
    return report, run(new, view, plan.work)


def _against_saved(
    asked: Asked, baseline: Side, new: Prepared, why: str, view: View
) -> tuple[CiReport, Ended]:
    saved.refuse(baseline, new)
    how = f"not interleaved, the old has only its saved numbers: {why}"
    view.line(f"warning: {how}")
    texts = [str(each) for each in asked.conditions]
    report = replace(
        new_report(new, baseline.name, words_for(new), texts, asked.budget_s),
        interleaved=False,
        how=how,
        seed=None,
    )
    report.notes += baseline.notes
    began = time.monotonic()
    ended = run(new, view, saved.once(baseline, asked.budget_s))
    report.spent_s = time.monotonic() - began
    if ended.record.rows and ended.folder is not None:
        saved.compared(report, baseline, ended.result, ended.folder.path, asked.conditions)
        report.reasons += [
            f"new, BS {row.batch_size}: {reason}"
            for row in ended.record.rows
            if row.verdict in (Verdict.INVALID, Verdict.OVERLOADED)
            for reason in row.reasons
        ]
    return report, ended


def _described(scratch: Path, request: Request) -> Prepared:
    """An artifact, with a folder of its own for what it is fed."""
    folder = scratch / f"side-{len(list(scratch.iterdir()))}"
    folder.mkdir()
    return describe_artifact(request, folder)
