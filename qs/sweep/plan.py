"""What a sweep is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from qs.base.scenarios import CONCURRENCY, RATE
from qs.base.words import counted, span
from qs.limit import Goal
from qs.sweep.again import seconds_word
from qs.sweep.grid import Axes, Combination

# The share of a budget that a search for a limit gets.
LIMIT_SHARE = 0.5
ALL, HALVING = "all settings, interleaved", "successive halving"


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
    # What the search goes over.
    over: str = RATE
    # Whether it is a language model behind an API: users are its axis, its settings are not ours.
    endpoint: bool = False
    # Whether to search for the highest rate within the goals, or only to choose a combination.
    search: bool = True
    resume: bool = False
    # What measures the same without a combination, and the sweep without its axes and times, as
    # typed.
    command: tuple[str, ...] = ()
    sweep_command: tuple[str, ...] = ()

    def named(self, combination: Combination) -> str:
        """In lines of progress: bs1-c4, or of an endpoint 4 users."""
        return self._users(combination) or combination.name

    def in_words(self, combination: Combination) -> str:
        """In sentences: batch size 8, 2 clients, or of an endpoint 4 users."""
        return self._users(combination) or combination.words

    def _users(self, combination: Combination) -> str:
        """Where users are all that a setting has."""
        if not self.endpoint or combination != Combination(1, combination.clients):
            return ""
        return counted(combination.clients, "user") if combination.clients else ""

    @property
    def searches(self) -> bool:
        return self.search and bool(self.goals)

    @property
    def grid_s(self) -> float | None:
        """The part of the budget that the combinations get."""
        return self.budget_s and self.budget_s * (1 - LIMIT_SHARE if self.searches else 1)

    @property
    def limit_budget_s(self) -> float:
        return self.budget_s * LIMIT_SHARE if self.budget_s else self.limit_s

    @property
    def method(self) -> str:
        if self.budget_s:
            return HALVING
        return f"{ALL}, {self.times}"

    @property
    def times(self) -> str:
        """3 times for 3.0 s each."""
        times = "once" if self.repeats == 1 else f"{self.repeats} times"
        return f"{times} for {span(self.duration_s)} each"

    @property
    def wanted(self) -> str:
        """What the search is for."""
        return "the most users" if self.over == CONCURRENCY else "the highest rate"

    @property
    def longer(self) -> str:
        """The option that gives the search twice the time."""
        flag = "--budget" if self.budget_s else "--slo_budget"
        return f"{flag} {seconds_word(2 * (self.budget_s or self.limit_s))}"
