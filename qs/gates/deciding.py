"""The command that would tell what a run could not: the same one, measured for longer.

An interval narrows with the square root of the time, so the time follows from how far the figure is
from its bound: h / d times as wide takes (h / d)^2 times as long, and half as much again to be on
the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from qs.base.visible import typed_word
from qs.gates.figures import Seen
from qs.result.row import Row

LEAST_S, MOST_S = 10.0, 3600.0
SAFE = 1.5
# Said anew, or in the way of a longer time.
_AMOUNT = ("--duration", "--iterations", "--time_limit", "-d", "-n")
_PROGRAMS = ("__main__.py", "qs", "launch.py")


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


def with_duration(command: Sequence[str], seconds: float) -> str | None:
    """The command with another duration, as a shell takes it; None if it is not known."""
    return with_option(command, "--duration", f"{_rounded(seconds):g}s", _AMOUNT)


def with_option(
    command: Sequence[str], flag: str, value: str, without: Sequence[str]
) -> str | None:
    """The command with that option, and without others that take a value; None if it is empty."""
    if not command:
        return None
    program, *rest = command
    words = ["qs" if Path(program).name in _PROGRAMS else program]
    gone, skip = {_flat(each) for each in without}, False
    for word in rest:
        name, joined, _ = word.partition("=")
        if skip:
            skip = False
        elif name.startswith("-") and _flat(name) in gone:
            skip = not joined
        else:
            words.append(word)
    return " ".join(map(typed_word, [*words, flag, value]))


def _flat(flag: str) -> str:
    return flag.replace("-", "_").lstrip("_")


def _rounded(seconds: float) -> float:
    """Up to two digits."""
    step = 10.0 ** max(math.floor(math.log10(seconds)) - 1, 0)
    return math.ceil(seconds / step) * step
