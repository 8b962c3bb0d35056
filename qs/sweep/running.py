"""A sweep as work in place of an evaluation: measure every setting in turn, then the limit; what
was measured is saved as it ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base import machine
from qs.base.errors import UserError
from qs.base.interrupt import Interrupt
from qs.base.scenarios import POISSON
from qs.base.words import number
from qs.evaluate import rows
from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import serving
from qs.evaluate.testbed import Testbed
from qs.limit import Goal, Limit, LimitSettings, Step, Trial, TrialPlan, find_limit
from qs.result.journal import Journal
from qs.result.row import Row
from qs.settings.case import Case
from qs.settings.scenario import ScenarioSettings
from qs.settings.settings import Changes
from qs.sweep.grid import Axes, Setting, settings_of
from qs.sweep.halving import rounds_of, seconds_each, survivors
from qs.sweep.order import shuffled
from qs.sweep.recommending import BOUNDED, LATENCY, at_the_limit, frontier_of, recommended
from qs.sweep.state import State
from qs.sweep.table import figures_of, ranking, table_of
from qs.sweep.trials import trial

OVERHEAD_S = (
    1.0  # beside its measured time, a trial loads and warms up; learned as the sweep goes on
)
LIMIT_SHARE = 0.5  # of a budget, where a limit is looked for as well
ALL, HALVING = "all settings, interleaved", "successive halving"


@dataclass(frozen=True)
class SweepPlan:
    """What is asked for. `budget_s` None: every setting `repeats` times for `duration_s`; else the
    budget decides.
    """

    axes: Axes
    repeats: int
    duration_s: float
    goals: tuple[Goal, ...] = ()
    budget_s: float | None = None
    limit_s: float = 120.0
    resume: bool = False
    command: tuple[str, ...] = ()

    @property
    def grid_s(self) -> float | None:
        return self.budget_s and self.budget_s * (1 - LIMIT_SHARE if self.goals else 1)

    @property
    def limit_budget_s(self) -> float:
        return self.budget_s * LIMIT_SHARE if self.budget_s else self.limit_s


class Sweeping:
    """One sweep: `work` is what the pipeline awaits."""

    def __init__(self, plan: SweepPlan):
        self.plan = plan
        self._settings: list[Setting] = []
        self._rounds: list[dict[str, Any]] = []
        self._limit: Limit | None = None
        self._limited = ""  # the setting that a limit was looked for with
        self._curve: str | None = None

    async def work(self, prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        async with serving(prepared, journal, interrupt) as testbed:
            chosen = testbed.settings
            self._settings = settings_of(
                self.plan.axes,
                chosen.batch_sizes.value,
                chosen.clients.value,
                chosen.pool.value,
            )
            if not self._settings:
                raise UserError(
                    "the axes leave no setting that can be: inline has one client, and copies must not outnumber clients"
                )
            state = State(
                journal.folder.path / f"sweep-{journal.folder.precision}.jsonl",
                self._about(prepared, journal),
                self.plan.resume,
            )
            if self.plan.resume:
                known = len(state.trials) + len(state.limit_trials)
                journal.view.line(
                    f"going on after {known} trials"
                    if state.resumed
                    else "nothing to go on from; begun anew"
                )
            self._keep(journal, state)
            with journal.stage("sweep"):
                await (
                    self._halve(testbed, journal, state)
                    if self.plan.budget_s
                    else self._all(testbed, journal, state)
                )
            if self.plan.goals:
                with journal.stage("limit"):
                    await self._find_limit(testbed, journal, state)
            self._keep(journal, state)

    async def _all(self, testbed: Testbed, journal: Journal, state: State) -> None:
        for turn in range(self.plan.repeats):
            self._rounds.append(
                {"settings": len(self._settings), "seconds_each": self.plan.duration_s}
            )
            await self._round(testbed, journal, state, turn, self._settings, self.plan.duration_s)

    async def _halve(self, testbed: Testbed, journal: Journal, state: State) -> None:
        counts, left = rounds_of(len(self._settings)), self._settings
        budget_s = self.plan.grid_s or 0.0
        for turn in range(len(counts)):
            overhead = self._overhead_s(state)
            before = sum(trial.took_s for (at, _), trial in state.trials.items() if at < turn)
            measured_s = [
                trial.row.duration_s for (at, _), trial in state.trials.items() if at == turn
            ]
            each_s = next(filter(None, measured_s), None) or seconds_each(
                budget_s, counts, turn, before, overhead
            )
            counts = [*counts[:turn], len(left), *counts[turn + 1 :]]
            self._rounds.append({"settings": len(left), "seconds_each": each_s})
            await self._round(testbed, journal, state, turn, left, each_s)
            if turn + 1 < len(counts):
                lines = self._table(journal, state)
                figures = figures_of(lines, ranking(lines))
                kept = survivors(
                    {each.name: figures.get(each.name) for each in left}, counts[turn + 1]
                )
                left = [each for each in left if each.name in kept]
                if not left:
                    return
                journal.view.line(f"round {turn + 1} of {len(counts)}: {len(left)} settings go on")

    async def _round(
        self,
        testbed: Testbed,
        journal: Journal,
        state: State,
        turn: int,
        settings: Sequence[Setting],
        seconds: float,
    ) -> None:
        cpus = len(machine.usable_cpus())
        seed = testbed.settings.seed.value
        for at, setting in enumerate(shuffled(list(settings), turn, seed), start=1):
            if (turn, setting.name) in state.trials:
                continue
            began = time.monotonic()
            title = f"round {turn + 1}, {setting.name} ({at} of {len(settings)})"
            changes = setting.changes(cpus)
            changes |= {"duration_s": seconds, "iterations": None}
            try:
                row = (await trial(testbed, changes, title, f"{setting.name}-{turn}")).row
            except UserError as error:
                row = _impossible(setting, str(error))
                journal.view.line(f"{title}: {error}")
            state.trial(turn, setting.name, row, time.monotonic() - began)
            self._keep(journal, state)

    async def _find_limit(self, testbed: Testbed, journal: Journal, state: State) -> None:
        goals, line = self.plan.goals, self._for_limit(journal, state)
        if line is None:
            journal.record.reasons.append(
                "no limit was looked for: no setting was measured without a fault"
            )
            return
        setting = Setting.from_dict(line["setting"])
        self._limited = setting.name
        changes = setting.changes(len(machine.usable_cpus()))
        journal.view.line(f"limit for {', '.join(map(str, goals))} with {setting.name}:")

        async def measure_trial(plan: TrialPlan) -> Trial:
            scenario = ScenarioSettings(
                POISSON, rate_per_s=plan.rate_per_s, duration_s=plan.duration_s, seed=plan.seed
            )
            asked: Changes = {
                **changes,
                "scenarios": (scenario,),
                "duration_s": plan.duration_s,
                "drain_s": plan.drain_s,
                "interval_s": plan.interval_s,
                "calibrate": False,
            }
            title = f"{number(plan.rate_per_s, 4)}/s for {number(plan.duration_s)} s"
            measured = await trial(testbed, asked, title, "limit")
            if measured.result is None:
                reasons = "; ".join(measured.row.reasons)
                raise UserError(
                    f"no limit could be found: at {number(plan.rate_per_s, 4)}/s {reasons}"
                )
            return Trial.of(plan, measured.result)

        def on_step(step: Step) -> None:
            if not step.again:
                state.limit(step.trial.to_dict())
            journal.view.line(step.sentence())

        hint = line["QPS"] / setting.batch_size
        settings = LimitSettings(
            hint_per_s=hint, budget_s=self.plan.limit_budget_s, seed=testbed.settings.seed.value
        )
        done = [Trial.from_dict(each) for each in state.limit_trials]
        self._limit = await find_limit(goals, measure_trial, settings, on_step, done)
        self._curve = self._drawn(journal, setting)
        journal.view.line(self._limit.sentence())
        if self._limit.rate_per_s is None:
            journal.record.reasons.append(self._limit.sentence())

    def _for_limit(self, journal: Journal, state: State) -> dict[str, Any] | None:
        """The setting that is recommended under the bounds; where none holds them in closed loop,
        the one that answers soonest.
        """
        lines = self._table(journal, state)
        chosen = {
            each["for"]: each["name"]
            for each in recommended(lines, self.plan.goals, self.plan.command)
        }
        name = chosen.get(BOUNDED) or chosen.get(LATENCY)
        return next((line for line in lines if line["name"] == name), None)

    def _drawn(self, journal: Journal, setting: Setting) -> str | None:
        from qs.render.curve import draw_curve

        assert self._limit is not None
        path = journal.folder.path / f"sweep-{journal.folder.precision}-curve.png"
        if not self._limit.curve:
            return None
        title = f"{journal.record.task} on {journal.record.hardware}, {setting.name}"
        draw_curve(self._limit.to_dict(trials=False), path, title)
        return path.name

    def _table(self, journal: Journal, state: State) -> list[dict[str, Any]]:
        folder = journal.folder.path
        return table_of(self._settings, state.rows(), lambda name: _text(folder / name))

    def _keep(self, journal: Journal, state: State) -> None:
        """Bring the record, and the file, up to what is known."""
        record, lines = journal.record, self._table(journal, state)
        record.rows = [trial.row for _, trial in sorted(state.trials.items())]
        method = HALVING if self.plan.budget_s else ALL
        record.sweep = {
            "axes": self.plan.axes.to_dict(),
            "method": method
            + (
                ""
                if self.plan.budget_s
                else f", {self.plan.repeats} times for {number(self.plan.duration_s)} s each"
            ),
            "rounds": self._rounds,
            "ranked_by": ranking(lines),
            "table": lines,
            "pareto": frontier_of(lines),
            "recommendations": [
                *recommended(lines, self.plan.goals, self.plan.command),
                *self._at_the_limit(lines),
            ],
            "goals": [str(goal) for goal in self.plan.goals],
            "limit": None
            if self._limit is None
            else {"setting": self._limited, **self._limit.to_dict(trials=False)},
            "curve": self._curve,
        }
        journal.save()

    def _at_the_limit(self, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._limit is None or self._limit.rate_per_s is None:
            return []
        (line,) = (line for line in lines if line["name"] == self._limited)
        return [at_the_limit(line, self._limit.rate_per_s, self.plan.goals, self.plan.command)]

    def _about(self, prepared: Prepared, journal: Journal) -> dict[str, Any]:
        record = journal.record
        return {
            "task": record.task,
            "artifact": (prepared.described or {}).get("path"),
            "hardware": record.hardware,
            "model_sha256": (record.model_source or {}).get("sha256"),
            "precision": journal.folder.precision,
            "axes": self.plan.axes.to_dict(),
            "repeats": None if self.plan.budget_s else self.plan.repeats,
            "duration_s": None if self.plan.budget_s else self.plan.duration_s,
            "budget_s": self.plan.budget_s,
            "goals": [str(goal) for goal in self.plan.goals],
            "seed": prepared.seed,
            "qs_version": record.qs_version,
        }

    def _overhead_s(self, state: State) -> float:
        """What a trial has cost beside its measured time, so far."""
        costs = [trial.took_s - (trial.row.wall_s or 0.0) for trial in state.trials.values()]
        return sum(costs) / len(costs) if costs else OVERHEAD_S


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _impossible(setting: Setting, reason: str) -> Row:
    case = Case(
        name=setting.name,
        batch_size=setting.batch_size,
        requested_batch_size=setting.batch_size,
        clients=setting.clients or 1,
        iterations=None,
        duration_s=None,
        time_limit_s=None,
        pool=setting.pool or "thread",
        instances=setting.instances or 1,
        intra_op_threads=setting.intra_op_threads,
        affinity=(),
    )
    return rows.failed(case, reason)
