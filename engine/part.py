"""Which part of a larger plan a plan is."""

from __future__ import annotations

from dataclasses import dataclass

from qs.engine.checks import count, faults_of


@dataclass(frozen=True)
class Part:
    """Which part of a larger plan a plan is. Its request n has the sample of the whole plan's
    request n * of + index, and its first worker is number `first` of all. Whoever leads the whole
    may end it, so it needs no end of its own.
    """

    index: int
    of: int
    first: int = 0

    def faults(self) -> list[str]:
        """Everything that is wrong with it."""
        # What is left of a part begins later than any part does.
        return faults_of(
            count("part of", self.of),
            count("part index", self.index, 0),
            count("part first", self.first, 0),
        )
