"""When the measured phase of one run ends, why, and until when its requests may still come back.

Pure: it reads no clock and tells no worker. The conductor passes the time in and passes the orders
on.
"""

from __future__ import annotations

from dataclasses import dataclass

from qs.engine.clock import FOREVER_NS
from qs.engine.outcome import Ending
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Halt
from qs.engine.workers.share import until_ns_of
from qs.engine.workers.slices import SLICE_NS

INTERRUPT_DRAIN_S = 5.0


@dataclass
class RunEnd:
    """The end of one run. Instants are ns on the run's clock."""

    plan: RunPlan
    # the common start of all workers; 0 until they are told to start
    start_ns: int = 0
    why: Ending = Ending.PLAN
    # when the workers had nothing more to issue, or were told to stop
    stopped_ns: int | None = None
    # what the workers were told; None: nothing, they end by themselves
    halt: Halt | None = None
    # whether an interrupt found everything measured, and ended the reading of what was kept
    unread: bool = False

    def stop(self, why: Ending, now_ns: int) -> Halt:
        """End the phase; returns what the workers are to be told. An interrupt may follow another
        reason and replaces it.
        """
        self.why = why
        # Minimums and stability are judged with every request that was due by then.
        drains = why in (Ending.MINIMUMS, Ending.STABLE)
        self.halt = Halt.DRAIN if drains else Halt.NOW
        if self.stopped_ns is None:
            self.stopped_ns = now_ns
        return self.halt

    def run_out(self, now_ns: int) -> None:
        """The workers have nothing more to issue; from now on they drain."""
        self.stopped_ns = now_ns

    @property
    def scheduled_ns(self) -> int:
        """When the plan's duration or time limit ends the phase; FOREVER_NS without either."""
        return until_ns_of(self.plan, self.start_ns)

    @property
    def stopped(self) -> bool:
        return self.stopped_ns is not None

    @property
    def drain_ns(self) -> int:
        """How long after the end requests may still come back. Somebody waits for an interrupt to
        take effect, so that drain is short.
        """
        limit_s = self.plan.drain_s
        if self.why is Ending.INTERRUPT:
            limit_s = min(limit_s, INTERRUPT_DRAIN_S)
        return int(limit_s * 1e9)

    def drained(self, now_ns: int) -> bool:
        """Whether the drain has passed. A worker looks at the limit only after a slice, so one that
        keeps to it must not be taken for one that does not come back.
        """
        if self.stopped_ns is None:
            return False
        return now_ns - self.stopped_ns > self.drain_ns + 2 * SLICE_NS

    def wall_ns(self, ended_by: Ending, last_ns: int) -> int:
        """How long was measured: until the last answer of any kind, and at least for as long as the
        load went on. A target that stops answering within its error budget, or a rate so low that
        nothing is due in the last seconds, does not make the run shorter.
        """
        ends = [last_ns]
        if ended_by in (Ending.DURATION, Ending.TIME_LIMIT):
            ends.append(self.scheduled_ns)
        elif (self.halt is not None or ended_by is Ending.LOST) and self.stopped_ns is not None:
            ends.append(self.stopped_ns)
        elif self.plan.load.duration_s is not None:
            schedule_ns = self.start_ns + int(self.plan.load.duration_s * 1e9)
            ends.append(min(schedule_ns, self.scheduled_ns))
        return max(max(ends) - self.start_ns, 0)

    def measured_ns(self, last_ns: int) -> int:
        """How long the load that was asked for went on, given the last completion: the drain after
        it is another load.
        """
        ends = [last_ns, self.scheduled_ns]
        if self.stopped_ns is not None:
            ends.append(self.stopped_ns)
        return max(min(ends) - self.start_ns, 0)

    def issuing_ns(self, now_ns: int) -> int:
        """How long requests fell due that should have been issued, for a run that was cut short."""
        stopped_ns = self.stopped_ns
        until_ns = now_ns if self.halt is None or stopped_ns is None else stopped_ns
        return until_ns - self.start_ns

    def reason(self, accounted: int, last_ns: int, now_ns: int, lost: bool = False) -> Ending:
        """What ended the run, told afterwards: a duration or a time limit ends it silently.

        accounted  how many requests were answered or failed
        last_ns    the last completion
        lost       whether workers were lost on the way
        """
        if lost and self.why is Ending.PLAN and self._early(accounted, now_ns):
            return Ending.LOST
        if self.why is not Ending.PLAN or not self._cut_by_time(accounted, last_ns, now_ns, lost):
            return self.why
        duration_s = self.plan.stop.duration_s
        if duration_s is None or duration_s * 1e9 > self.scheduled_ns - self.start_ns:
            return Ending.TIME_LIMIT
        return Ending.DURATION

    def _early(self, accounted: int, now_ns: int) -> bool:
        """Whether nobody was left to issue requests before the load's end."""
        ended_ns = now_ns if self.stopped_ns is None else self.stopped_ns
        if ended_ns >= self.scheduled_ns:
            return False
        planned = self.plan.planned
        return not self.plan.load.ends if planned is None else accounted < planned

    def _cut_by_time(self, accounted: int, last_ns: int, now_ns: int, lost: bool) -> bool:
        """Whether time ended the run, and not the load's own end. The last answer may come before
        either.
        """
        if self.scheduled_ns >= FOREVER_NS:
            return False
        if self.plan.planned is not None:
            # The rest of a schedule may lie behind the end; then nobody waits for that.
            return accounted < self.plan.planned and (not lost or now_ns >= self.scheduled_ns)
        load = self.plan.load
        beyond = load.duration_s and self.start_ns + int(load.duration_s * 1e9) > self.scheduled_ns
        return not load.ends or bool(beyond) or last_ns >= self.scheduled_ns
