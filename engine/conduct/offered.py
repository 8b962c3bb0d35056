"""What a schedule offered until the end of a run: counted again, for requests that had no turn."""

from __future__ import annotations

from qs.engine.load.schedule import bounded
from qs.engine.plan import RunPlan
from qs.engine.workers.share import schedule_of, until_ns_of

MOST_COUNTED = 50_000_000


def last_due_ns(plan: RunPlan) -> int:
    """When the last request of an open loop that a count ends is due, by its schedule; beyond
    MOST_COUNTED, at the rate so far.
    """
    last = count = 0
    for block in bounded(schedule_of(plan).blocks(), until_ns_of(plan, 0), plan.stop.iterations):
        last, count = int(block[-1]), count + block.size
        if count >= MOST_COUNTED and plan.stop.iterations:
            return round(last * (plan.stop.iterations / count))
    return last


def due_before(plan: RunPlan, offset_ns: int) -> int:
    """How many requests of an open loop are due before an offset from the start, by its schedule
    and stop rule. Beyond MOST_COUNTED they are taken to go on at the rate so far: to draw what no
    worker could have issued would keep a run that was stopped from ending.
    """
    until_ns = min(until_ns_of(plan, 0), offset_ns)
    count = 0
    for block in bounded(schedule_of(plan).blocks(), until_ns, plan.stop.iterations):
        count += block.size
        if count >= MOST_COUNTED and block[-1] > 0:
            going_on = round(count * (until_ns / int(block[-1])))
            return going_on if plan.stop.iterations is None else min(going_on, plan.stop.iterations)
    return count
