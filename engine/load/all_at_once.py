"""All at once: every request is due at the start, and the target takes them as fast as it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qs.engine import checks
from qs.engine.load.schedule import BLOCK, Schedule


@dataclass(frozen=True)
class AllAtOnce(Schedule):
    """`count` requests due at 0. Response time then contains the wait for all that were taken
    before: look at the rate.
    """

    ends: ClassVar[bool] = True
    sets_rate: ClassVar[bool] = False

    count: int

    def faults(self) -> list[str]:
        return checks.faults_of(checks.count("count", self.count))

    @property
    def planned(self) -> int:
        return int(self.count)

    def blocks(self) -> Iterator[np.ndarray]:
        for first in range(0, self.count, BLOCK):
            yield np.zeros(min(BLOCK, self.count - first), np.int64)

    def shard(self, index: int, of: int) -> AllAtOnce:
        return AllAtOnce(self.count // of + (index < self.count % of))
