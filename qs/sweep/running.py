"""A sweep, run in place of an evaluation: every combination is measured in turn, then the limit,
and each trial is saved as it ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt
from qs.base.machine import usable_cpus
from qs.base.words import counted, span
from qs.evaluate.evaluation import Work
from qs.evaluate.journal import Journal
from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import serving
from qs.evaluate.testbed import Testbed
from qs.limit import Limit
from qs.result.sweep import SweepLine, SweepRound
from qs.settings.request import Request
from qs.settings.settings import Changes
from qs.sweep.again import Again, stated
from qs.sweep.grid import Combination, combinations_of
from qs.sweep.halving import rounds_of, seconds_each, shuffled, survivors
from qs.sweep.limiting import Limiting
from qs.sweep.plan import HALVING, SweepPlan
from qs.sweep.recommending import BOUNDED, LATENCY, in_words
from qs.sweep.refused import check_let_in
from qs.sweep.same import about
from qs.sweep.state import State, SweepTrial
from qs.sweep.summary import limit_entry, summary
from qs.sweep.table import Table, figures_of, ranking
from qs.sweep.trial import ORIGIN, impossible, measure_once, said

# What a trial costs besides its measured time, to load and warm up; learned as the sweep goes on.
OVERHEAD_S = 1.0


def work_of(plan: SweepPlan) -> Work:
    """What the command line awaits: the whole sweep."""

    async def work(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        async with serving(prepared, journal, interrupt) as testbed:
            chosen = testbed.settings
            combinations = combinations_of(
                plan.axes, chosen.batch_sizes.value, chosen.clients.value, chosen.pool.value
            )
            if not combinations:
                raise UserError(
                    "the axes leave no possible setting: inline has one client, and instances must "
                    "not outnumber clients"
                )
            state = State(
                journal.folder.path / f"sweep-{journal.folder.precision}.jsonl",
                about(plan, prepared, journal),
                plan.resume,
            )
            if plan.resume:
                known = len(state.trials) + len(state.limit_trials)
                damaged = f"; damaged lines left out: {state.left_out}" if state.left_out else ""
                journal.view.line(
                    f"resumed after {known} trials{damaged}"
                    if state.resumed
                    else "nothing to resume; begun anew"
                )
            await _Sweep(plan, prepared.request, combinations, testbed, state).run()

    return work


class _Sweep:
    """One sweep as it runs."""

    def __init__(
        self,
        plan: SweepPlan,
        asked: Request,
        combinations: list[Combination],
        testbed: Testbed,
        state: State,
    ):
        self._plan = plan
        self._asked = asked
        self._combinations = combinations
        self._testbed = testbed
        self._journal = testbed.journal
        self._state = state
        self._cpus = len(usable_cpus()) * testbed.settings.nodes.value
        self._table = Table(combinations, state.rows, testbed.journal.folder.path)
        self._rounds: list[SweepRound] = []
        self._more: dict[Combination, list[str]] = {}
        # The limit, and the combination that it was looked for with.
        self._limit: Limit | None = None
        self._limited: Combination | None = None
        self._curve: str | None = None

    async def run(self) -> None:
        self._save()
        self._journal.view.line(self._outlook())
        with self._journal.stage("sweep"):
            await (self._halve() if self._plan.budget_s else self._measure_all())
        if self._plan.searches:
            with self._journal.stage("limit"):
                await self._find_limit()
        self._save()

    def _outlook(self) -> str:
        """What is about to be measured, and about how long it takes."""
        plan, count = self._plan, len(self._combinations)
        said = f"{counted(count, 'setting')}, {HALVING if plan.budget_s else plan.times}"
        each_s = plan.duration_s + OVERHEAD_S
        grid_s = plan.grid_s or (count * plan.repeats - len(self._state.trials)) * each_s
        said += f": about {span(grid_s)}"
        if not plan.searches:
            return said
        return (
            f"{said}; then {plan.wanted} within {in_words(plan.goals)}: "
            f"up to {span(plan.limit_budget_s)}"
        )

    async def _measure_all(self) -> None:
        for turn in range(self._plan.repeats):
            await self._round(turn, self._combinations, self._plan.duration_s)

    async def _halve(self) -> None:
        counts, left = rounds_of(len(self._combinations)), self._combinations
        for turn in range(len(counts)):
            seconds = self._seconds_each(counts, turn)
            counts[turn] = len(left)  # of those that failed, none went on
            await self._round(turn, left, seconds)
            if turn + 1 == len(counts):
                return
            lines = self._table.lines()
            figures = figures_of(lines, ranking(lines))
            kept = survivors({each.name: figures.get(each.name) for each in left}, counts[turn + 1])
            left = [each for each in left if each.name in kept]
            if not left:
                return
            self._journal.view.line(
                f"round {turn + 1} of {len(counts)}: {len(left)} settings go on"
            )

    def _seconds_each(self, counts: Sequence[int], turn: int) -> float:
        """How long each trial of a round measures: as long as those of it that are known."""
        trials = self._state.trials
        known = [trial.row.duration_s for trial in trials if trial.turn == turn]
        costs = [trial.took_s - (trial.row.wall_s or 0.0) for trial in trials]
        overhead_s = sum(costs) / len(costs) if costs else OVERHEAD_S
        spent_s = sum(trial.took_s for trial in trials if trial.turn < turn)
        return next(filter(None, known), None) or seconds_each(
            self._plan.grid_s or 0.0, counts, turn, spent_s, overhead_s
        )

    async def _round(self, turn: int, combinations: Sequence[Combination], seconds: float) -> None:
        self._rounds.append(SweepRound(settings=len(combinations), seconds_each=seconds))
        seed = self._testbed.settings.seed.value
        for at, combination in enumerate(shuffled(combinations, turn, seed), start=1):
            name = combination.name
            if (turn, name) in self._state:
                continue
            began = time.monotonic()
            title = (
                f"round {turn + 1}, {self._plan.named(combination)} ({at} of {len(combinations)})"
            )
            changes = self._changes(combination, seconds)
            try:
                row = (await measure_once(self._testbed, changes, title, f"{name}-{turn}")).row
                self._journal.view.line(f"{title}: {said(row)}")
            except UserError as error:
                row = impossible(combination, str(error))
                self._journal.view.line(f"{title}: {error}")
            if self._plan.endpoint:
                check_let_in(row, self._plan.named(combination))
            with self._journal.writing(self._state.path.name, for_good=True):
                self._state.add(SweepTrial(turn, name, row, time.monotonic() - began))
            self._save()

    def _changes(self, combination: Combination, seconds: float) -> Changes:
        """What a trial changes in the settings: closed loop, whatever the backend's scenarios."""
        changes = combination.changes(self._cpus)
        return {**changes, "scenarios": (), "duration_s": seconds, "iterations": None}

    async def _find_limit(self) -> None:
        goals, view = self._plan.goals, self._journal.view
        line, lines = self._line_for_limit()
        if line is None or line.items_per_s is None:
            self._journal.record.reasons.append(
                "no limit was looked for: no setting was measured without a fault"
            )
            return
        rows = [trial.row for trial in self._state.trials]
        search = Limiting(self._plan, self._testbed, self._state, self._cpus, line, lines, rows)
        of = "" if self._plan.endpoint else f" with {search.combination.name}"
        view.line(f"{self._plan.wanted} within {in_words(goals)}{of}:")
        self._limited = search.combination
        self._limit = (await search.search()).limit
        self._curve = self._draw(self._limit, self._limited.name)
        if self._limit.unstable:
            cure = "a server and a machine that nobody else uses, and the search once more"
            self._journal.warn(f"unstable: {self._limit.unstable}", "unstable_server", cure)
        if not self._limit.confirmed and not self._limit.refuted:
            why = f"the search ended before it could tell: {self._limit.reason}"
            self._journal.warn(why, "limit_not_confirmed", self._plan.longer)

    def _line_for_limit(self) -> tuple[SweepLine | None, list[SweepLine]]:
        """The combination that is recommended under the bounds; if none holds them in closed loop,
        the one that answers soonest; and all lines.
        """
        found = summary(self._plan, self._table, self._again())
        names = {each.purpose: each.name for each in found.recommendations}
        name = names.get(BOUNDED) or names.get(LATENCY)
        return next((line for line in found.table if line.name == name), None), found.table

    def _draw(self, limit: Limit, setting: str) -> str | None:
        from qs.render.curve import draw_curve

        if not limit.curve:
            return None
        record, folder = self._journal.record, self._journal.folder
        path = folder.path / f"sweep-{folder.precision}-curve.png"
        with self._journal.writing(path.name):
            draw_curve(
                limit_entry(limit, setting), path, f"{record.task} on {record.hardware}, {setting}"
            )
            return path.name
        return None

    def _again(self) -> Again:
        """What makes commands."""
        plan = self._plan
        seconds = self._rounds[-1].seconds_each if self._rounds else plan.duration_s
        bounds = ("--slo", ",".join(map(str, plan.goals))) if plan.goals else ()
        return Again(plan.command, plan.sweep_command, seconds, bounds, self._stated)

    def _stated(self, combination: Combination) -> Sequence[str]:
        """What the combination's command has to state beside its axes."""
        testbed, plan = self._testbed, self._plan
        if combination not in self._more:
            changes = self._changes(combination, plan.duration_s)
            cpus = usable_cpus()
            trial = testbed.settings.changed(changes, ORIGIN, cpus)
            assert testbed.resettled is not None
            words = stated(combination, trial, testbed.resettled, self._asked, cpus)
            if plan.command[1:2] == ("run",) and not testbed.qs_mode:
                words += ["--engine", "always"]  # else the backend would time itself
            self._more[combination] = words
        return self._more[combination]

    def _save(self) -> None:
        """Bring the record and the file up to date."""
        record, again = self._journal.record, self._again()
        record.rows = [trial.row for trial in self._state.trials]
        record.sweep = summary(self._plan, self._table, again, self._limit, self._limited).changed(
            rounds=list(self._rounds), curve=self._curve
        )
        self._journal.save()
