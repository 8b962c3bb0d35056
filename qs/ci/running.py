"""Measuring old and new in turn until the gate knows its answer, or the budget is over.

Both backends are up at the same time, each in its own process, and only one of them is measured at
a time. Each round starts both processes anew: how the memory of one happens to lie is then noise
between rounds, and not a difference between old and new (T. Kalibera and R. Jones, "Rigorous
benchmarking in reasonable time", ISMM 2013). The first round warms caches, and tells how long a
block has to be for its percentiles; it does not count.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt, Interrupted
from qs.base.words import counted, signed_percent, span
from qs.ci.gate import CiCase, Gate, as_percent
from qs.ci.report import INTERLEAVED, CiFigure, CiReport
from qs.ci.sequential import FEWEST, is_look, orders
from qs.evaluate.evaluation import open_journal
from qs.evaluate.journal import Journal
from qs.evaluate.performance import measure_case
from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import serving
from qs.evaluate.testbed import Testbed
from qs.gates.grammar import Bound, Change
from qs.result.gate import GateOutcome
from qs.result.longer import with_option
from qs.result.result import Status
from qs.result.row import Row, Verdict
from qs.result.story import named
from qs.settings.case import Case, cases_of
from qs.watch.sides import OfSide
from qs.watch.view import View

SIDES = ("old", "new")
FIRST_BLOCK_S, LEAST_BLOCK_S, MOST_BLOCK_S = 0.5, 0.2, 10.0
QUERIES = 1200  # in a block: p99 is known from 1,000
ROUNDS = 8  # that a budget should at least allow


@dataclass
class CiPlan:
    """What is asked for. `work` is what the command line awaits; the report has what came of it."""

    conditions: Sequence[Bound | Change]
    old: Prepared
    new: Prepared
    budget_s: float
    block_s: float | None
    view: View
    report: CiReport
    command: Sequence[str] = ()
    clock: Callable[[], float] = time.monotonic

    async def work(self, prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        """The journal is the new side's."""
        mine, theirs = OfSide(self.view, "new"), OfSide(self.view, "old")
        journal.view = mine
        before = open_journal(self.old, theirs)
        status = Status.FAILED
        try:
            async with (
                serving(self.old, before, interrupt) as old,
                serving(prepared, journal, interrupt) as new,
            ):
                theirs.measuring = mine.measuring = True
                try:
                    await _Rounds(self, (old, new), interrupt).run()
                finally:
                    theirs.measuring = mine.measuring = False
            status = Status.COMPLETE
        except (asyncio.CancelledError, Interrupted):
            status = Status.INTERRUPTED
            raise
        finally:
            if before.started:
                before.finish(status)
            before.close()


class _Rounds:
    """The rounds of one gate."""

    def __init__(self, plan: CiPlan, beds: tuple[Testbed, Testbed], interrupt: Interrupt):
        self._plan, self._beds, self._interrupt = plan, beds, interrupt
        self._began = plan.clock()
        self._block_s: dict[str, float] = {}
        self._round_s = 0.0
        pairs = _paired(*beds)
        self._cases = [CiCase(ours.name, "") for ours, _ in pairs]
        self._asked = pairs
        self._gate = Gate(plan.conditions, self._cases)
        self._orders = orders(beds[1].settings.seed.value)

    async def run(self) -> None:
        plan = self._plan
        cases = counted(len(self._cases), "case")
        plan.view.line(f"{cases} in rounds of old and new, for at most {span(plan.budget_s)}")
        try:
            await self._round(0)
            turn = 0
            while not self._gate.done and not plan.report.reasons and self._time_left():
                turn += 1
                await self._round(turn)
                if not plan.report.reasons:
                    if is_look(turn):
                        self._gate.look()
                    self._tell(turn)
        finally:
            self._conclude()

    def _time_left(self) -> bool:
        """Whether another round fits into the budget."""
        return self._spent_s + self._round_s <= self._plan.budget_s

    @property
    def _spent_s(self) -> float:
        return self._plan.clock() - self._began

    async def _round(self, turn: int) -> None:
        began, beds = self._plan.clock(), self._beds
        if turn:
            for bed in beds:
                await bed.backend.drop()
            await asyncio.gather(*(bed.backend.ready() for bed in beds))
        order = next(self._orders)
        rows: list[tuple[Row, Row]] = []
        for at, pair in enumerate(self._asked):
            found: dict[int, Row] = {}
            for side in order:
                found[side] = await self._block(turn, at, side, pair[side])
                if self._failed(side, found[side]):
                    return
            rows.append((found[0], found[1]))
            if not turn:
                self._settle_block(self._cases[at], rows[-1])
        names = named([new for _, new in rows])
        for case, both, name in zip(self._cases, rows, names):
            case.title = name.name if len(names) > 1 else f"BS {both[1].batch_size}"
            if turn:
                case.rounds.append(both)
        self._round_s = self._plan.clock() - began
        self._plan.report.rounds = turn

    async def _block(self, turn: int, at: int, side: int, case: Case) -> Row:
        bed, plan = self._beds[side], self._plan
        seconds = (
            self._block_s.get(case.name)
            or plan.block_s
            or min(
                FIRST_BLOCK_S, max(plan.budget_s / (2 * len(self._asked) * ROUNDS), LEAST_BLOCK_S)
            )
        )
        title = f"round {turn}, {case.name}, {SIDES[side]}"
        path = bed.journal.folder.histogram(f"{case.name}-{turn}")
        row = (await measure_case(bed, _for(case, seconds, turn), title, path)).row
        if self._interrupt.requested.is_set():
            raise Interrupted
        if turn:
            bed.journal.record.rows.append(row)
        return row

    def _settle_block(self, case: CiCase, rows: tuple[Row, Row]) -> None:
        """How long the blocks of a case are: long enough for p99, within what the budget allows."""
        plan = self._plan
        if plan.block_s is not None:
            self._block_s[case.name] = plan.block_s
            return
        slower = min((row.queries_per_s or 0.0) for row in rows)
        wanted = QUERIES / slower if slower else MOST_BLOCK_S
        allowed = plan.budget_s / (2 * len(self._asked) * ROUNDS) / 2
        block_s = min(max(wanted, 1.0), max(allowed, LEAST_BLOCK_S), MOST_BLOCK_S)
        self._block_s[case.name] = block_s

    def _failed(self, side: int, row: Row) -> bool:
        """A side whose row does not count ends the gate: nothing is compared with it."""
        if row.verdict is Verdict.INVALID:
            reason = "; ".join(row.reasons) or "INVALID"
            text = f"{SIDES[side]}, BS {row.batch_size}: {reason}"
            self._plan.report.reasons.append(text)
            return True
        return False

    def _tell(self, turn: int) -> None:
        said = []
        for case in self._cases:
            metric = next((each for each in case.metrics if each.name == case.leading), None)
            mean = None if metric is None else case.changes(metric)
            if metric is not None and mean is not None:
                change = signed_percent(as_percent(mean.value) / 100.0)
                said.append(f"{case.title} {metric.name} {change}")
        left = max(self._plan.budget_s - self._spent_s, 0.0)
        text = "; ".join(said[:4]) or "measured"
        self._plan.view.line(f"round {turn}: {text}; {span(left)} left")

    def _conclude(self) -> None:
        """Bring the report up to date, whatever ended the rounds."""
        gate, report = self._gate, self._plan.report
        if not gate.done:
            gate.look(last=True)
        report.spent_s = self._spent_s
        report.gates = gate.entries()
        report.figures = [figure for case in self._cases for figure in figures_of(case, gate.risk)]
        behind = [_behind(case) for case in self._cases if case.rounds]
        report.reasons += [text for text in behind if text and text.startswith("new")]
        report.notes += [text for text in behind if text and not text.startswith("new")]
        stopped = self._interrupt.requested.is_set()
        if report.outcome is GateOutcome.UNCLEAR and not report.reasons and not stopped:
            report.decide = self._decider()

    def _decider(self) -> str | None:
        """The command that would tell, with the budget that it takes."""
        plan, done = self._plan, self._plan.report.rounds
        one_s = max(self._round_s, 0.1)
        if done < FEWEST:
            plan.report.notes.append(
                f"a round takes about {span(one_s)}, and {FEWEST} are needed at least; "
                f"the budget of {span(plan.budget_s)} was enough for {done}"
            )
            needed = float(2 * FEWEST)
        else:
            needed = self._gate.needed() or 0.0
        seconds = (needed + 1.0) * one_s
        if not needed or seconds > 8 * 3600.0 or not plan.command:
            return None
        budget = f"{math.ceil(seconds / 60.0)}m" if seconds > 90.0 else f"{math.ceil(seconds)}s"
        return with_option(plan.command, "--budget", budget, ("--budget",))


def figures_of(case: CiCase, risk: float) -> list[CiFigure]:
    """All figures of a case, with the intervals of the last look."""
    found = []
    for metric in case.metrics:
        mean = case.changes(metric)
        low, high = mean.interval(risk) if mean and risk else (None, None)
        found.append(
            CiFigure(
                case.title,
                metric.name,
                metric.unit,
                case.level(metric, 0),
                case.level(metric, 1),
                None if mean is None else as_percent(mean.value),
                None if low is None else as_percent(low),
                None if high is None else as_percent(high),
            )
        )
    return found


def new_report(plan_of: Prepared, old: str, new: str, conditions: Sequence[str], budget_s: float):
    """An empty report of a gate that measures both sides."""
    return CiReport(
        f"{plan_of.title} on {plan_of.hardware}",
        old,
        new,
        True,
        INTERLEAVED,
        conditions,
        budget_s,
        plan_of.seed,
    )


def _paired(old: Testbed, new: Testbed) -> list[tuple[Case, Case]]:
    """The cases that both sides have, by name."""
    theirs = {case.name: case for case in cases_of(old.settings)}
    ours = cases_of(new.settings)
    both = [(theirs[case.name], case) for case in ours if case.name in theirs]
    only = [case.name for case in ours if case.name not in theirs]
    only += [name for name in theirs if name not in {case.name for case in ours}]
    if not both:
        names = [", ".join(theirs), ", ".join(case.name for case in ours)]
        raise UserError(f"old and new have no case in common: {' against '.join(names)}")
    if only:
        new.journal.warn(f"measured on one side only, so not compared: {', '.join(only)}")
    return both


def _for(case: Case, seconds: float, turn: int) -> Case:
    """The case for one block; both sides of a round have the same arrivals, each round others."""
    scenario = case.scenario
    if scenario is not None:
        changes: dict = {"seed": None if scenario.seed is None else scenario.seed + turn}
        if scenario.duration_s is not None:
            changes["duration_s"] = seconds
        scenario = replace(scenario, **changes)
    return replace(
        case,
        iterations=None,
        duration_s=seconds,
        time_limit_s=None,
        until_known=None,
        scenario=scenario,
    )


def _behind(case: CiCase) -> str:
    """What to say where a side does not keep up with the load."""
    old, new = ("overload" in row.warning_codes for row in case.rounds[-1])
    if new and not old:
        return f"new, {case.title}: does not keep up with the load, old does"
    if old:
        who = "neither side keeps" if new else "old does not keep"
        return f"{case.title}: {who} up with the load"
    return ""
