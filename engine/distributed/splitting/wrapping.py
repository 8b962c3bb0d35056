"""A schedule that takes some of the requests of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from qs.engine.load import Schedule

Made = TypeVar("Made", bound="Some")


@dataclass(frozen=True)
class Some(Schedule):
    """What is said of the whole holds of some of it as well."""

    whole: Schedule

    def blocks(self) -> Iterator[np.ndarray]:
        return self.whole.blocks()

    def faults(self) -> list[str]:
        return self.whole.faults()

    @property
    def duration_s(self) -> float | None:
        return self.whole.duration_s

    @property
    def ends(self) -> bool:
        return self.whole.ends

    @property
    def sets_rate(self) -> bool:
        return self.whole.sets_rate

    @property
    def seed(self) -> int | None:
        return self.whole.seed

    def seeded(self: Made) -> Made:
        return replace(self, whole=self.whole.seeded())
