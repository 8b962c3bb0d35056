"""A case cut into turns, one a round, and the turns put together again.

What drifts on the machine (temperature, neighbours) then meets all backends alike, and the turns
show how much a figure varies from one to the next. Together they take what the case was to take:
iterations and durations are shared out. MLPerf's scenarios, stages and replayed arrivals are not
cut, as their rules and schedules are of one whole run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qs.base.scenarios import CONSTANT_RATE, GAMMA, POISSON
from qs.engine import joined
from qs.evaluate import rows
from qs.evaluate.journal import Journal
from qs.evaluate.judged import judged
from qs.evaluate.measure_logs import write_logs
from qs.evaluate.performance import Measured
from qs.evaluate.tokens import with_tokens
from qs.lineup.power import power_of
from qs.result.row import Outcome, Row
from qs.result.verdict import TOO_SHORT, Verdict
from qs.result.verification_entry import VerificationEntry
from qs.settings.case import Case

LEAST_S = 0.5  # of a turn
# Doubts about how long a turn was; those of all turns together are judged again.
_OF_LENGTH = (TOO_SHORT, "imprecise")


@dataclass
class Turns:
    """A case of one backend: its parts, and what was measured of them so far."""

    case: Case
    parts: tuple[Case, ...]
    measured: list[Measured] = field(default_factory=list)
    left_out: bool = False  # it does not fit into memory

    @property
    def next(self) -> Case | None:
        """What is measured next; None: nothing more, or an earlier turn does not count."""
        if self.left_out or any(each.row.verdict is Verdict.INVALID for each in self.measured):
            return None
        done = len(self.measured)
        return self.parts[done] if done < len(self.parts) else None


def turns_of(case: Case, rounds: int) -> Turns:
    """The case in at most so many turns, none of them shorter than LEAST_S if time ends it."""
    return Turns(case, tuple(_parts(case, rounds)))


def _parts(case: Case, rounds: int) -> list[Case]:
    scenario = case.scenario
    if scenario is not None and scenario.name not in (POISSON, CONSTANT_RATE, GAMMA):
        return [case]
    lasts_s = case.duration_s or (None if case.iterations else case.time_limit_s)
    if lasts_s is not None:
        rounds = min(rounds, max(int(lasts_s / LEAST_S), 1))
    if case.iterations is not None:
        rounds = min(rounds, case.iterations)
    return [_part(case, turn, rounds) for turn in range(rounds)]


def _part(case: Case, turn: int, rounds: int) -> Case:
    """All backends have the same arrivals in a round, and others in the next."""
    changes: dict[str, Any] = {}
    if case.iterations is not None:
        least, more = divmod(case.iterations, rounds)
        changes["iterations"] = least + (turn < more)
    for name in ("duration_s", "time_limit_s"):
        seconds = getattr(case, name)
        if seconds is not None:
            changes[name] = seconds / rounds
    if case.until_known is not None:  # n times the time knows it to a part of sqrt(n)
        changes["until_known"] = case.until_known * math.sqrt(rounds)
    scenario = case.scenario
    if scenario is not None and rounds > 1:
        duration_s, seed = scenario.duration_s, scenario.seed
        changes["scenario"] = replace(
            scenario,
            duration_s=None if duration_s is None else duration_s / rounds,
            seed=None if seed is None else seed + turn,
        )
    return replace(case, **changes)


def row_of(turns: Turns, journal: Journal) -> Row:
    """The row of all turns so far: percentiles from the merged histograms, intervals from all
    intervals, and whatever is said against one of the turns. Its log is written anew.
    """
    found = [each for each in turns.measured if each.result is not None and each.result.completed]
    last = turns.measured[-1].row
    if len(turns.measured) == 1 or not found:
        return last
    whole = joined([each.result for each in found if each.result is not None])
    case = replace(turns.case, batch_size=found[0].case.batch_size)
    path, logs = journal.folder.histogram(case.name), dict[str, str]()
    with journal.writing(path.name):
        whole.write_hlog(path)
        logs = write_logs(whole, path)
    outcomes = [each.row.outcome for each in turns.measured if each.row.outcome]
    worse = [each for each in outcomes if each is not Outcome.DONE]
    row = rows.measured(
        case,
        whole,
        f"{path.parent.name}/{path.name}",
        load_s=found[0].row.load_s,
        outcome=worse[0] if worse else Outcome.DONE,
    )
    tokens = found[0].row.tokens
    if tokens is not None:
        row = with_tokens(row, whole, tokens.api, tokens.streamed, logs)
    row = row.changed(
        histograms=[each.row.histogram for each in found if each.row.histogram],
        samples=found[0].row.samples,
        predict_timeout_s=last.predict_timeout_s,
        peak_memory_bytes=max(
            filter(None, (each.row.peak_memory_bytes for each in found)), default=None
        ),
        verification=_verified([each.row.verification for each in found]),
        **power_of([each.row for each in found]),
    )
    for number, each in enumerate(turns.measured, start=1):
        known = {*row.reasons, *(judged(each.case, each.result)[1] if each.result else ())}
        for reason in each.row.reasons:
            if reason not in known and each.row.verdict is Verdict.INVALID:
                row = row.invalid(f"turn {number}: {reason}")
    seen = {doubt.code for doubt in row.doubts} | set(_OF_LENGTH)
    for each in turns.measured:
        more = [doubt for doubt in each.row.doubts if doubt.code not in seen]
        seen |= {doubt.code for doubt in more}
        row = row.doubted(*more)
    return row


def _verified(found: Sequence[VerificationEntry | None]) -> VerificationEntry | None:
    """What was checked in all turns, with the worst answer of all."""
    known = [each for each in found if each is not None]
    if len(known) < 2:
        return known[0] if known else None
    sums = {
        name: sum(getattr(each, name) for each in known)
        for name in ("requests", "checked", "unchecked", "wrong")
    }
    worst = max(
        (each.worst for each in known if each.worst is not None),
        key=lambda each: each.apart or 0.0,
        default=None,
    )
    said = {
        name: next(filter(None, (getattr(each, name) for each in known)), None)
        for name in ("note", "not_verified")
    }
    return known[0].changed(**sums, **said, worst=worst)
