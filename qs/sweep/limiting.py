"""The search for the most load within bounds, as a part of a sweep: which setting it is made with,
what one of its trials is, and what is between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qs.base.errors import UserError
from qs.base.scenarios import CONCURRENCY, POISSON
from qs.base.words import number
from qs.engine import Ending
from qs.evaluate.journal import Journal
from qs.evaluate.testbed import Testbed
from qs.limit import Limit, LimitSettings, Step, Trial, TrialPlan, find_limit
from qs.limit.trial_plan import load_words
from qs.result.row import Row
from qs.result.sweep import SweepLine
from qs.settings.settings import Changes
from qs.settings.traffic import ScenarioSettings, StopRules
from qs.sweep.draining import drained
from qs.sweep.grid import Combination
from qs.sweep.plan import SweepPlan
from qs.sweep.refused import check_let_in
from qs.sweep.state import State
from qs.sweep.trial import measure_once

MS_PER_S = 1e3
MOST_THREADS = 256
# After a trial of a server that does not say when it has nothing to do: as long as this many
# requests take, and no longer than MOST_REST_S.
REST, MOST_REST_S = 2.0, 10.0


@dataclass(frozen=True)
class Searched:
    """A search that has ended, and the setting that it was made with."""

    limit: Limit
    combination: Combination


class Limiting:
    """The search with one setting."""

    def __init__(
        self,
        plan: SweepPlan,
        testbed: Testbed,
        state: State,
        cpus: int,
        line: SweepLine,
        lines: Sequence[SweepLine],
        rows: Sequence[Row],
    ):
        """`line` is the setting that the search is made with, `lines` are all of the sweep, and
        `rows` their trials.
        """
        self._plan = plan
        self._testbed = testbed
        self._state = state
        self._cpus = cpus
        self._line = line
        self._lines = lines
        self._rows = rows
        setting = line.setting
        # Users of an endpoint come as the load says; of other targets, so many serve what arrives.
        free = plan.endpoint or plan.over == CONCURRENCY
        self.combination = Combination(
            setting.batch_size or 1,
            None if free else setting.clients,
            setting.instances,
            setting.intra_op_threads,
            setting.pool,
        )

    async def search(self) -> Searched:
        journal = self._testbed.journal
        settings = self.settings()
        if settings.hurried:
            journal.view.line(settings.hurried)
        limit = await find_limit(
            self._plan.goals,
            self._measure,
            settings,
            lambda step: self._stepped(step, journal),
            self._state.limit_trials,
        )
        return Searched(limit, self.combination)

    def settings(self) -> LimitSettings:
        """By what was measured in closed loop."""
        plan, line = self._plan, self._line
        hint: float | None
        if plan.over == CONCURRENCY:
            # The most that kept the bounds in closed loop: few requests tell little, but where.
            hint = float(max(self._within(), default=1))
        elif plan.endpoint:
            # What it serves with as many users as do it good, whatever they have to wait.
            rates = [each.items_per_s for each in self._lines if each.valid and each.items_per_s]
            hint = max(rates, default=None)
        else:
            hint = (line.items_per_s or 0.0) / self.combination.batch_size or None
        return LimitSettings(
            hint_per_s=hint,
            over=plan.over,
            highest_per_s=self._most_users() if plan.over == CONCURRENCY else None,
            request_s=self._request_s() if plan.endpoint or plan.over == CONCURRENCY else None,
            budget_s=plan.limit_budget_s,
            seed=self._testbed.settings.seed.value,
        )

    def _most_users(self) -> float | None:
        """Users in processes have a copy of the model each, and those in threads a thread; on an
        event loop there may be any number.
        """
        pool = self._line.setting.pool or self._testbed.settings.pool.value
        own = {"inline": 1, "process": 4 * self._cpus, "thread": MOST_THREADS}
        return own.get(pool)

    def _within(self) -> list[int]:
        """The numbers of users that kept the bounds in closed loop."""
        kept = (line.setting.clients for line in self._lines if line.valid and line.within)
        return [clients for clients in kept if clients]

    def _request_s(self) -> float | None:
        """How long a request takes where the fewest ask."""
        fewest = min((row.clients or 1 for row in self._rows if row.mean_ms), default=None)
        means = [row.mean_ms for row in self._rows if row.mean_ms and (row.clients or 1) == fewest]
        return min(means) / MS_PER_S if means else None

    def _stepped(self, step: Step, journal: Journal) -> None:
        if not step.again:
            with journal.writing(self._state.path.name, for_good=True):
                self._state.add_limit_trial(step.trial)
        journal.view.line(step.sentence())

    async def _measure(self, plan: TrialPlan) -> Trial:
        load = load_words(plan.over, plan.rate_per_s)
        title = f"{load} for {number(plan.duration_s)} s"
        measured = await measure_once(self._testbed, self._changes(plan), title, "limit")
        if self._plan.endpoint:
            cut = measured.result is not None and measured.result.ended_by == Ending.ERROR_BUDGET
            check_let_in(measured.row, load, cut)
        if measured.result is None:
            reasons = "; ".join(measured.row.reasons)
            raise UserError(f"no limit could be found: at {load} {reasons}")
        trial = Trial.of(plan, measured.result)
        if self._plan.endpoint:
            rest_s = min(REST * plan.request_s, MOST_REST_S) if trial.backlog else 0.0
            await drained(self._testbed.served, self._testbed.journal.view.line, rest_s)
        return trial

    def _changes(self, plan: TrialPlan) -> Changes:
        """What a trial changes in the settings."""
        changes: Changes = {
            **self.combination.changes(self._cpus),
            "duration_s": plan.duration_s,
            "drain_s": plan.drain_s,
            "interval_s": plan.interval_s,
            "calibrate": False,
        }
        if plan.over == CONCURRENCY:
            changes |= {"scenarios": (), "clients": plan.users, "iterations": None}
            return changes | {"stop": StopRules(max_errors=plan.most_failed)}
        scenario = ScenarioSettings(
            POISSON, rate_per_s=plan.rate_per_s, duration_s=plan.duration_s, seed=plan.seed
        )
        changes |= {"scenarios": (scenario,)}
        if self._plan.endpoint:
            # What would wait in the server's queue for minutes is not sent, and ends the trial.
            changes |= {
                "clients": plan.most_in_flight,
                "max_backlog": 0,
                "stop": StopRules(max_errors=plan.most_failed),
            }
        return changes
