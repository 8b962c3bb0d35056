"""One step of a search: a trial that has ended, and how the search stands after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qs.base.errors import UserError
from qs.base.words import number
from qs.limit.goals import of_the_run
from qs.limit.trial import Trial
from qs.limit.trial_plan import TrialPlan, load_words


@dataclass(frozen=True)
class Step:
    """A trial that has ended, and how the search stands after it."""

    trial: Trial
    verdict: str
    why: str
    holds_per_s: float | None
    fails_per_s: float | None
    spent_s: float
    # It was known from before, and not measured now.
    again: bool = False

    def sentence(self) -> str:
        """For a line of progress."""
        trial = self.trial
        low = "nothing" if self.holds_per_s is None else f"{number(self.holds_per_s, 4)}"
        high = "nothing yet" if self.fails_per_s is None else f"{number(self.fails_per_s, 4)}"
        why = f" ({self.why})" if self.why else ""
        return (
            f"{load_words(trial.over, trial.rate_per_s)} for {number(trial.measured_s)} s: "
            f"{self.verdict}{why}; {low} holds, {high} fails"
        )


OnStep = Callable[[Step], None]


def check_same(kept: Trial, plan: TrialPlan) -> None:
    """Raises UserError if a trial from before is not what the search comes to now."""
    if set(kept.tallies) != {goal.name for goal in of_the_run(plan.goals)} or any(
        getattr(kept, name) != getattr(plan, name)
        for name in ("phase", "rate_per_s", "duration_s", "seed", "over")
    ):
        ran, runs = (
            f"{load_words(each.over, each.rate_per_s, 6)} for {number(each.duration_s, 6)} s"
            for each in (kept, plan)
        )
        raise UserError(
            f"trial {plan.number + 1} from before is not of this search: it ran at {ran}, and this "
            f"search comes to {runs}; search anew, or with the same settings and bounds"
        )
