"""Conversations of several turns, each of which waits for the answer to the one before it.

Left out: what is said. A sample of such a load has `turns()`, a generator of (request, think_ns)
that is sent the call of each answer: `next()` gives the first turn, `send(call)` the next one, and
its end is the conversation's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qs.engine.checks import MOST_WORKERS, count, faults_of, seconds, shown
from qs.engine.load.schedule import Schedule


@dataclass(frozen=True)
class Sessions:
    """Either so many `users` at a time, each of whom begins a conversation when the last has ended
    (closed), or `arrivals`, at each of whose due times a conversation begins (open).

    A first turn is due at the arrival, or for a user after its think time; a later one as soon as
    the answer to the one before it has come and its think time has passed. `think_time_s` is that
    of turns that state 0.
    """

    # What falls due depends on what was answered.
    sets_rate: ClassVar[bool] = False
    duration_s: ClassVar[None] = None
    planned: ClassVar[None] = None
    # of the rest of a plan
    NEEDS: ClassVar[str] = (
        'load: conversations are those of a started target; give it with Pool("async"), and '
        "neither max_backlog nor samples_per_query"
    )

    users: int | None = None
    arrivals: Schedule | None = None
    think_time_s: float = 0.0

    def faults(self) -> list[str]:
        users, arrivals = self.users, self.arrivals
        if (users is None) == (arrivals is None):
            return ["users, arrivals: exactly one of the two says when conversations begin"]
        found = faults_of(seconds("think_time_s", self.think_time_s))
        if users is not None:
            return found + faults_of(count("users", users, most=MOST_WORKERS))
        if not isinstance(arrivals, Schedule):
            return [*found, f"arrivals: {shown(arrivals)} is not allowed, it must be a schedule"]
        return found + arrivals.faults()

    @property
    def ends(self) -> bool:
        return isinstance(self.arrivals, Schedule) and self.arrivals.ends

    @property
    def seed(self) -> int | None:
        return None if self.arrivals is None else self.arrivals.seed

    def seeded(self) -> Sessions:
        arrivals = self.arrivals
        return self if arrivals is None else replace(self, arrivals=arrivals.seeded())
