"""What a look at the machine is given and what it returns: a run's demands, and plain findings from
which the table, the JSON and the reports are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from qs.settings.settings import Settings

OK, WARN, UNKNOWN = "ok", "warn", "unknown"


@dataclass(frozen=True)
class Finding:
    """One property of the machine."""

    name: str
    # "ok"; "warn": it moves results; "unknown": this machine does not show it, which is not a fault
    status: str
    # what was found, with its unit
    value: str
    # what it does to a measurement, also if all is well
    effect: str = ""
    # how to change it; empty if there is nothing to change
    fix: str = ""
    # the same for programs, with units in the names
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What it does and what to change, in a sentence."""
        return "; ".join(filter(None, (self.effect, self.fix)))

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.name, self.value, self.advice)))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Planned:
    """What a run is going to ask of the machine, by a QS config's names. None: not stated."""

    clients: int | None = None
    instances: int | None = None
    intra_op_threads: int | None = None
    pool: str | None = None
    affinity: tuple[tuple[int, ...], ...] = ()

    @staticmethod
    def of(settings: Settings | None) -> Planned:
        if settings is None:
            return Planned()
        return Planned(
            settings.clients.value,
            settings.instances.value,
            settings.intra_op_threads.value,
            settings.pool.value,
            settings.affinity.value or (),
        )

    @property
    def stated(self) -> bool:
        return self != Planned()

    @property
    def copies(self) -> int:
        """Loaded copies of the model: each process of a pool has its own."""
        return (self.clients if self.pool == "process" else self.instances) or 1

    def threads(self, cores: float) -> int | None:
        """Threads of one copy: as stated, or as `qs.settings.settings.share_out` divides the cores;
        None if the library decides.
        """
        if (
            self.intra_op_threads is None
            and self.instances is not None
            and self.pool not in ("process", "async")
        ):
            return max(int(cores) // self.instances, 1)
        return self.intra_op_threads
