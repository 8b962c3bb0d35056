"""Pareto frontiers: the settings that no other beats in both throughput and response time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def frontier(figures: Mapping[T, tuple[float, float]]) -> list[T]:
    """The keys that no other key equals in one figure and beats in the other, by rising response
    time. `figures`: key -> (throughput, response time).
    """
    best, found = float("-inf"), []
    for each in sorted(figures, key=lambda key: (figures[key][1], -figures[key][0])):
        if figures[each][0] > best:
            found.append(each)
            best = figures[each][0]
    return found


def fronts(figures: Mapping[T, tuple[float, float]]) -> Iterator[list[T]]:
    """The frontier, then the frontier of the remaining keys, and so on."""
    left = dict(figures)
    while left:
        front = frontier(left)
        yield front
        for each in front:
            del left[each]
