"""A sweep, run in place of an evaluation: every combination is measured in turn, then the limit,
and each trial is saved as it ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt, Interrupted
from qs.base.machine import usable_cpus
from qs.base.scenarios import POISSON
from qs.base.words import number
from qs.evaluate import rows
from qs.evaluate.journal import Journal
from qs.evaluate.performance import Measured, measure_case
from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import serving
from qs.evaluate.testbed import Testbed
from qs.limit import Goal, LimitSettings, Step, Trial, TrialPlan, find_limit
from qs.result.row import Row
from qs.result.sweep import LimitEntry, Recommendation, SweepEntry, SweepLine, SweepRound
from qs.settings.case import Case, cases_of
from qs.settings.run_plan import check_plans
from qs.settings.settings import Changes
from qs.settings.traffic import ScenarioSettings
from qs.sweep.grid import Axes, Combination, combinations_of
from qs.sweep.halving import rounds_of, seconds_each, shuffled, survivors
from qs.sweep.recommending import (
    BOUNDED,
    LATENCY,
    at_the_limit,
    combination_of,
    frontier_of,
    recommended,
)
from qs.sweep.same import code_sha256, file_sha256, measured_options
from qs.sweep.state import State, SweepTrial
from qs.sweep.table import figures_of, ranking, table_of

# What a trial costs besides its measured time, to load and warm up; learned as the sweep goes on.
OVERHEAD_S = 1.0
# The share of a budget that a search for a limit gets.
LIMIT_SHARE = 0.5
ALL, HALVING = "all settings, interleaved", "successive halving"
ORIGIN = "this trial"


@dataclass(frozen=True)
class SweepPlan:
    """What is asked for."""

    axes: Axes
    # Without a budget, every combination is measured this many times for this long.
    repeats: int
    duration_s: float
    goals: tuple[Goal, ...] = ()
    budget_s: float | None = None
    limit_s: float = 120.0
    resume: bool = False
    # What measures the same without a combination, as typed.
    command: tuple[str, ...] = ()

    @property
    def grid_s(self) -> float | None:
        """The part of the budget that the combinations get."""
        return self.budget_s and self.budget_s * (1 - LIMIT_SHARE if self.goals else 1)

    @property
    def limit_budget_s(self) -> float:
        return self.budget_s * LIMIT_SHARE if self.budget_s else self.limit_s

    @property
    def method(self) -> str:
        if self.budget_s:
            return HALVING
        return f"{ALL}, {self.repeats} times for {number(self.duration_s)} s each"

    async def work(self, prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        """What the command line awaits: the whole sweep."""
        async with serving(prepared, journal, interrupt) as testbed:
            chosen = testbed.settings
            combinations = combinations_of(
                self.axes, chosen.batch_sizes.value, chosen.clients.value, chosen.pool.value
            )
            if not combinations:
                raise UserError(
                    "the axes leave no possible setting: inline has one client, and instances must "
                    "not outnumber clients"
                )
            state = State(
                journal.folder.path / f"sweep-{journal.folder.precision}.jsonl",
                _about(self, prepared, journal),
                self.resume,
            )
            if self.resume:
                known = len(state.trials) + len(state.limit_trials)
                damaged = f"; damaged lines left out: {state.left_out}" if state.left_out else ""
                journal.view.line(
                    f"resumed after {known} trials{damaged}"
                    if state.resumed
                    else "nothing to resume; begun anew"
                )
            await _Sweep(self, combinations, testbed, state).run()


class _Sweep:
    """One sweep as it runs."""

    def __init__(
        self, plan: SweepPlan, combinations: list[Combination], testbed: Testbed, state: State
    ):
        self._plan = plan
        self._combinations = combinations
        self._testbed = testbed
        self._journal = testbed.journal
        self._state = state
        self._cpus = len(usable_cpus())
        self._rounds: list[SweepRound] = []
        # The limit, and the combination that it was looked for with.
        self._limit: LimitEntry | None = None
        self._limited: Combination | None = None
        self._curve: str | None = None

    async def run(self) -> None:
        self._save()
        with self._journal.stage("sweep"):
            await (self._halve() if self._plan.budget_s else self._measure_all())
        if self._plan.goals:
            with self._journal.stage("limit"):
                await self._find_limit()
        self._save()

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
            lines = self._table()
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
            title = f"round {turn + 1}, {name} ({at} of {len(combinations)})"
            changes = combination.changes(self._cpus)
            changes |= {"duration_s": seconds, "iterations": None}
            try:
                row = (await measure_once(self._testbed, changes, title, f"{name}-{turn}")).row
            except UserError as error:
                row = _impossible(combination, str(error))
                self._journal.view.line(f"{title}: {error}")
            with self._journal.writing(self._state.path.name, for_good=True):
                self._state.add(SweepTrial(turn, name, row, time.monotonic() - began))
            self._save()

    async def _find_limit(self) -> None:
        goals, view = self._plan.goals, self._journal.view
        line = self._line_for_limit()
        if line is None or line.items_per_s is None:
            self._journal.record.reasons.append(
                "no limit was looked for: no setting was measured without a fault"
            )
            return
        self._limited = combination_of(line.setting)
        view.line(f"limit for {', '.join(map(str, goals))} with {line.name}:")

        def on_step(step: Step) -> None:
            if not step.again:
                with self._journal.writing(self._state.path.name, for_good=True):
                    self._state.add_limit_trial(step.trial)
            view.line(step.sentence())

        settings = LimitSettings(
            hint_per_s=line.items_per_s / self._limited.batch_size,
            budget_s=self._plan.limit_budget_s,
            seed=self._testbed.settings.seed.value,
        )
        limit = await find_limit(
            goals, self._measure_limit_trial, settings, on_step, self._state.limit_trials
        )
        self._limit = LimitEntry(setting=line.name, **limit.to_dict(trials=False))
        self._curve = self._draw(self._limit)
        view.line(limit.sentence())
        if limit.rate_per_s is None:
            self._journal.record.reasons.append(limit.sentence())

    async def _measure_limit_trial(self, plan: TrialPlan) -> Trial:
        assert self._limited is not None
        scenario = ScenarioSettings(
            POISSON, rate_per_s=plan.rate_per_s, duration_s=plan.duration_s, seed=plan.seed
        )
        changes: Changes = {
            **self._limited.changes(self._cpus),
            "scenarios": (scenario,),
            "duration_s": plan.duration_s,
            "drain_s": plan.drain_s,
            "interval_s": plan.interval_s,
            "calibrate": False,
        }
        rate = f"{number(plan.rate_per_s, 4)}/s"
        title = f"{rate} for {number(plan.duration_s)} s"
        measured = await measure_once(self._testbed, changes, title, "limit")
        if measured.result is None:
            reasons = "; ".join(measured.row.reasons)
            raise UserError(f"no limit could be found: at {rate} {reasons}")
        return Trial.of(plan, measured.result)

    def _line_for_limit(self) -> SweepLine | None:
        """The combination that is recommended under the bounds; if none holds them in closed loop,
        the one that answers soonest.
        """
        lines = self._table()
        names = {each.purpose: each.name for each in self._recommended(lines)}
        name = names.get(BOUNDED) or names.get(LATENCY)
        return next((line for line in lines if line.name == name), None)

    def _draw(self, limit: LimitEntry) -> str | None:
        from qs.render.curve import draw_curve

        if not limit.curve:
            return None
        record, folder = self._journal.record, self._journal.folder
        path = folder.path / f"sweep-{folder.precision}-curve.png"
        with self._journal.writing(path.name):
            draw_curve(limit, path, f"{record.task} on {record.hardware}, {limit.setting}")
            return path.name
        return None

    def _table(self) -> list[SweepLine]:
        folder = self._journal.folder.path
        return table_of(self._combinations, self._state.rows(), lambda name: _text(folder / name))

    def _recommended(self, lines: Sequence[SweepLine]) -> list[Recommendation]:
        return recommended(lines, self._plan.goals, self._plan.command)

    def _save(self) -> None:
        """Bring the record and the file up to date."""
        record, lines, plan = self._journal.record, self._table(), self._plan
        recommendations = self._recommended(lines)
        if self._limited and self._limit and self._limit.rate_per_s is not None:
            recommendations.append(
                at_the_limit(self._limited, self._limit.rate_per_s, plan.goals, plan.command)
            )
        record.rows = [trial.row for trial in self._state.trials]
        record.sweep = SweepEntry(
            axes=plan.axes.to_dict(),
            method=plan.method,
            rounds=list(self._rounds),
            ranked_by=ranking(lines).key,
            table=lines,
            pareto=frontier_of(lines),
            recommendations=recommendations,
            goals=[str(goal) for goal in plan.goals],
            limit=self._limit,
            curve=self._curve,
        )
        self._journal.save()


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
    measured = await measure_case(replace(testbed, settings=settings), case, title, path)
    if testbed.interrupt.requested.is_set():
        raise Interrupted
    return measured


def _about(plan: SweepPlan, prepared: Prepared, journal: Journal) -> dict[str, Any]:
    """What is swept: a resumed sweep must be of the same."""
    record = journal.record
    return {
        "task": record.task,
        "artifact": (prepared.described or {}).get("path"),
        "hardware": record.hardware,
        "model_sha256": (record.model_source or {}).get("sha256"),
        "artifact_sha256": file_sha256(prepared.request.artifact),
        "precision": journal.folder.precision,
        "axes": plan.axes.to_dict(),
        "repeats": None if plan.budget_s else plan.repeats,
        "duration_s": None if plan.budget_s else plan.duration_s,
        "budget_s": plan.budget_s,
        "goals": [str(goal) for goal in plan.goals],
        "seed": prepared.seed,
        "options": measured_options(prepared.request),
        "versions": record.versions,
        "backend_sha256": code_sha256(prepared.backend.path),
        "qs_version": record.qs_version,
    }


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _impossible(combination: Combination, reason: str) -> Row:
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
