"""A line-up as it runs: each backend is opened and checked, one after the other; then the rounds.

A round measures every case on every backend in turn, in rotated order, only one at a time. The
others' processes are up and asleep meanwhile: one that is seen to compute is ended between its
turns from then on, and the turn that it disturbed is repeated. Each round starts all processes
anew, so that how the memory of one happens to lie is noise between rounds (T. Kalibera and R.
Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from qs.base.errors import together
from qs.base.interrupt import Interrupt, Interrupted, run_on_loop
from qs.base.words import counted, number, percent
from qs.evaluate.running import Ended
from qs.lineup.idle import awake, read_cpu
from qs.lineup.member import CaseKey, Member
from qs.lineup.preparing import LineupPlan
from qs.result.row import Outcome, Row
from qs.watch.view import View


@dataclass(frozen=True)
class LineupEnded:
    """How each backend's run ended, in the order in which they were named."""

    plan: LineupPlan
    runs: tuple[Ended, ...]
    interrupted: bool


def run_lineup(plan: LineupPlan, view: View, interrupt: Interrupt | None = None) -> LineupEnded:
    """Measure all. Raises UserError if no backend could be measured for what the user has to
    correct; what is wrong with one of several is in its Ended.
    """
    interrupt = interrupt or Interrupt()
    members = [Member(each, view) for each in plan.backends]

    def at_once() -> None:
        for each in members:
            each.stop()
        print("interrupted twice: stopped at once", file=sys.stderr, flush=True)

    stopped = False
    try:
        run_on_loop(_Lineup(plan, members, view, interrupt).run(), interrupt, at_once)
    except (KeyboardInterrupt, Interrupted, asyncio.CancelledError):
        stopped = True
    errors = {str(each.error): each.error for each in members if each.error is not None}
    if errors and not any(each.journal.record.rows for each in members):
        if all(each.error for each in members):
            raise together(list(errors.values()))
    return LineupEnded(plan, tuple(each.ended() for each in members), stopped)


class _Lineup:
    def __init__(
        self, plan: LineupPlan, members: Sequence[Member], view: View, interrupt: Interrupt
    ):
        self._plan, self._members = plan, members
        self._view, self._interrupt = view, interrupt
        self._restless: set[str] = set()  # backends that compute when nobody asks them to

    async def run(self) -> None:
        try:
            for each in self._members:
                await each.open(self._interrupt, self._plan.rounds)
                if self._interrupt.requested.is_set():
                    raise Interrupted
            await self._measure()
            for each in self._able:
                await each.finish()
        except (asyncio.CancelledError, Interrupted):
            for each in self._members:
                await each.interrupted()
            raise Interrupted from None
        except BaseException:  # a bug: what was measured is kept
            for each in self._members:
                await each.interrupted()
            raise

    @property
    def _able(self) -> list[Member]:
        return [each for each in self._members if each.bed is not None]

    async def _measure(self) -> None:
        keys = list(dict.fromkeys(key for each in self._able for key in each.cases))
        if not keys:
            return
        rounds = max(len(turns.parts) for each in self._able for turns in each.cases.values())
        self._view.line(self._outlook(keys, rounds))
        for turn in range(rounds):
            for each in self._able if turn else ():
                await each.sleep()
            for at, key in enumerate(keys):
                due = [each for each in self._able if key in each.cases and each.due(key)]
                first = (turn + at) % len(due) if due else 0
                found = []
                for each in (*due[first:], *due[:first]):
                    title = f"round {turn + 1} of {rounds}, batch size {key[0]}"
                    row = await self._turn(each, key, turn, f"{title}, {each.name}")
                    found.append((each.name, row))
                    if self._interrupt.requested.is_set():
                        raise Interrupted
                if found:
                    self._view.line(f"{title}: {self._said(found)}")
        for each in self._able:
            if each.bed is not None and each.bed.engine == "always":
                await each.audit()

    def _outlook(self, keys: Sequence[CaseKey], rounds: int) -> str:
        names = " and ".join(each.name for each in self._able)
        if len(self._able) > 2:
            *others, last = (each.name for each in self._able)
            names = f"{', '.join(others)} and {last}"
        cases = counted(len(keys), "case")
        return f"{cases} in {counted(rounds, 'round')} of {names}"

    def _said(self, found: Sequence[tuple[str, Row]]) -> str:
        order = {each.name: at for at, each in enumerate(self._members)}
        return ", ".join(
            f"{name} {number(row.items_per_s)} items/s" if row.items_per_s else f"{name} failed"
            for name, row in sorted(found, key=lambda each: order[each[0]])
        )

    async def _turn(self, member: Member, key: CaseKey, turn: int, title: str) -> Row:
        """One turn of one backend, the others asleep."""
        others = [each for each in self._able if each is not member]
        for each in others:
            if each.name in self._restless:
                await each.sleep()
        row = await self._watched(member, others, key, turn, title)
        if row.outcome is Outcome.NO_ROOM and any(each.pid for each in others):
            for each in others:  # what they hold may be all that lacks
                await each.sleep()
            row = await member.measure(key, turn, title)
        if row.outcome is Outcome.NO_ROOM:
            member.leave_out(key, f"{title}: {row.reasons[0]}")
        return row

    async def _watched(
        self, member: Member, others: Sequence[Member], key: CaseKey, turn: int, title: str
    ) -> Row:
        before = [(each, read_cpu(each.pid)) for each in others]
        row = await member.measure(key, turn, title)
        found = [(each, share) for each, cpu in before if (share := awake(cpu, read_cpu(each.pid)))]
        if not found or self._interrupt.requested.is_set():
            return row
        for each, share in found:
            self._restless.add(each.name)
            self._view.line(
                f"{each.name} computes when it is not asked to ({percent(share)} of a CPU): its "
                f"process is ended between its turns, and this one of {member.name} is measured "
                "again"
            )
            await each.sleep()
        return await member.measure_again(key, turn, title) if row.items_per_s else row
