"""The settings of a sweep: every combination of the axes that can be, and what each asks of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from qs.settings.settings import Changes

AXES = ("batch_sizes", "clients", "instances", "intra_op_threads", "pools")


@dataclass(frozen=True)
class Axes:
    """The values of each axis; empty: the backend's own, or the plan's default."""

    batch_sizes: tuple[int, ...] = ()
    clients: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()
    intra_op_threads: tuple[int, ...] = ()
    pools: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, list[Any]]:
        return {name: list(values) for name, values in asdict(self).items()}


@dataclass(frozen=True)
class Setting:
    """One combination. None: not an axis of this sweep."""

    batch_size: int
    clients: int | None = None
    instances: int | None = None
    intra_op_threads: int | None = None
    pool: str | None = None

    @property
    def name(self) -> str:
        """Short, plain, and one of its kind: bs8-c2-i1-t2-thread."""
        parts = [f"bs{self.batch_size}"]
        parts += [
            f"{letter}{value}"
            for letter, value in (
                ("c", self.clients),
                ("i", self.instances),
                ("t", self.intra_op_threads),
            )
            if value is not None
        ]
        return "-".join([*parts, *([self.pool] if self.pool else [])])

    def changes(self, cpus: int) -> Changes:
        """For qs.sweep.trials. Copies that together have more threads than there are CPUs are not
        pinned to shares of them.
        """
        found: Changes = {"batch_sizes": (self.batch_size,)}
        if self.clients is not None:
            found["clients"] = self.clients
        if self.instances is not None:
            found["instances"] = self.instances
        if self.intra_op_threads is not None:
            found["intra_op_threads"] = self.intra_op_threads
        if self.pool is not None:
            found["pool"] = self.pool
        if self.intra_op_threads and self.intra_op_threads * (self.instances or 1) > cpus:
            found["affinity"] = None
        return found

    def flags(self) -> list[str]:
        """The same on a command line."""
        stated = {
            "--batch_sizes": self.batch_size,
            "--clients": self.clients,
            "--instances": self.instances,
            "--intra_op_threads": self.intra_op_threads,
            "--pool": self.pool,
        }
        return [
            word
            for flag, value in stated.items()
            if value is not None
            for word in (flag, str(value))
        ]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Setting:
        return Setting(**plain)


def settings_of(
    axes: Axes, batch_sizes: Sequence[int], default_clients: int, default_pool: str
) -> list[Setting]:
    """Every combination that can be, each once.

    batch_sizes  where the axes name none. A process is a copy of its own and an event loop has one
                 for all, so `instances` varies in threads
    alone; more copies than clients would stand idle; inline has one client.
    """
    found: dict[Setting, None] = {}
    for size, clients, instances, threads, pool in product(
        axes.batch_sizes or batch_sizes,
        axes.clients or (None,),
        axes.instances or (None,),
        axes.intra_op_threads or (None,),
        axes.pools or (None,),
    ):
        kind, callers = pool or default_pool, clients or default_clients
        if kind == "inline":
            if axes.clients and callers != 1:
                continue
            clients = 1
        if kind != "thread":
            instances = None
        elif instances is not None and instances > callers:
            if axes.clients:
                continue
            clients = instances  # nobody chose the clients: as many as there are copies
        found[Setting(size, clients, instances, threads, pool)] = None
    return list(found)
