"""What a run is going to ask of the machine, as far as the probes care. All of it may be unknown."""

from __future__ import annotations

from dataclasses import dataclass

from qs.settings.settings import Settings


@dataclass(frozen=True)
class Planned:
    """Values by a QS config's names; None: not stated."""

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
        """Loaded copies of the model: a process has one of its own."""
        return (self.clients if self.pool == "process" else self.instances) or 1

    def threads(self, cores: float) -> int | None:
        """Threads of one copy: as stated, or as `qs.settings.settings.share_out` shares the cores out;
        None where the library decides.
        """
        if (
            self.intra_op_threads is None
            and self.instances is not None
            and self.pool not in ("process", "async")
        ):
            return max(int(cores) // self.instances, 1)
        return self.intra_op_threads
