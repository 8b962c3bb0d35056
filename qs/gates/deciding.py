"""How long a run would have to measure to tell what it could not.

An interval narrows with the square root of the time, so the time follows from how far the figure is
from its bound: h / d times as wide takes (h / d)^2 times as long, and half as much again to be on
the safe side.
"""

from __future__ import annotations

from qs.gates.figures import Seen
from qs.result.row import Row

LEAST_S, MOST_S = 10.0, 3600.0
SAFE = 1.5


def seconds_needed(row: Row, seen: Seen, bound: float) -> float | None:
    """How long to measure this case; None beyond an hour, or if time would not help."""
    wall_s = row.wall_s or 0.0
    if not row.completed or wall_s <= 0.0:
        return None
    needed = LEAST_S
    if seen.queries:
        needed = max(needed, SAFE * seen.queries * wall_s / row.completed)
    if seen.value is not None and seen.low is not None and seen.high is not None:
        apart = abs(seen.value - bound)
        half = max(seen.high - seen.value, seen.value - seen.low)
        if apart <= 0.0:
            return None
        needed = max(needed, SAFE * wall_s * (half / apart) ** 2)
    elif not seen.queries or seen.value is not None:
        needed = max(needed, 4.0 * wall_s)
    return needed if needed <= MOST_S else None
