"""Differences of counters that were read again and again, which may begin at 0 anew in between.

A counter never goes back: where one does, what counts was restarted (or lies), and what is read
then was counted since. Counters that belong together (all of one model version) restart together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass
class Counted:
    """What a group of counters went up by, and how often it began anew."""

    by: dict[str, float] = field(default_factory=dict)
    restarts: int = 0

    def of(self, name: str) -> float:
        return self.by.get(name, 0.0)

    def add(self, other: Counted) -> None:
        for name, value in other.by.items():
            self.by[name] = self.by.get(name, 0.0) + value
        self.restarts += other.restarts


def step(before: Mapping[str, float], after: Mapping[str, float]) -> Counted:
    """From one reading of a group to the next. A counter that was not there before counts from 0.

    >>> step({"n": 5, "ns": 70}, {"n": 7, "ns": 90})
    Counted(by={'n': 2, 'ns': 20}, restarts=0)
    >>> step({"n": 5, "ns": 70}, {"n": 2, "ns": 90})
    Counted(by={'n': 2, 'ns': 90}, restarts=1)
    """
    if any(after.get(name, 0.0) < value for name, value in before.items()):
        return Counted(dict(after), 1)
    return Counted({name: value - before.get(name, 0.0) for name, value in after.items()})


def steps(
    before: Mapping[Key, Mapping[str, float]], after: Mapping[Key, Mapping[str, float]]
) -> Counted:
    """All groups together. One that is gone restarted; a new one counts from 0."""
    found = Counted()
    for key, group in after.items():
        found.add(step(before.get(key, {}), group))
    found.restarts += sum(1 for key in before if key not in after)
    return found


def total(counted: Iterable[Counted]) -> Counted:
    found = Counted()
    for each in counted:
        found.add(each)
    return found
