"""The grid of a sweep: every possible combination of the axes, and what each changes in the
settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from qs.base.words import counted
from qs.settings.settings import Changes

FLAGS = ("--batch_sizes", "--clients", "--instances", "--intra_op_threads", "--pool")


@dataclass(frozen=True)
class Axes:
    """The values of each axis. Empty: the backend's own, or the default."""

    batch_sizes: tuple[int, ...] = ()
    clients: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()
    intra_op_threads: tuple[int, ...] = ()
    pools: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, list[Any]]:
        return {name: list(values) for name, values in asdict(self).items()}

    def flags(self) -> list[str]:
        """As flags of a sweep."""
        return [
            word
            for flag, values in zip(FLAGS, asdict(self).values())
            if values
            for word in (flag, ",".join(map(str, values)))
        ]


@dataclass(frozen=True)
class Combination:
    """One value of each axis. None: not an axis of this sweep."""

    batch_size: int
    clients: int | None = None
    instances: int | None = None
    intra_op_threads: int | None = None
    pool: str | None = None

    @property
    def name(self) -> str:
        """Short, plain and unique: bs8-c2-i1-t2-thread."""
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

    @property
    def words(self) -> str:
        """As a sentence has it: batch size 8, 2 clients, 1 instance."""
        parts = [f"batch size {self.batch_size}"]
        parts += [
            counted(value, noun)
            for noun, value in (("client", self.clients), ("instance", self.instances))
            if value is not None
        ]
        if self.intra_op_threads is not None:
            parts.append(f"{counted(self.intra_op_threads, 'thread')} each")
        return ", ".join([*parts, *([f"pool {self.pool}"] if self.pool else [])])

    def changes(self, cpus: int) -> Changes:
        """What it changes in the settings. Copies that together have more threads than there are
        CPUs are not pinned to shares of them.
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
        """The same changes as flags of a command."""
        return [
            word
            for flag, value in zip(FLAGS, asdict(self).values())
            if value is not None
            for word in (flag, str(value))
        ]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def combinations_of(
    axes: Axes, batch_sizes: Sequence[int], default_clients: int, default_pool: str
) -> list[Combination]:
    """Every possible combination, each once; `batch_sizes` are used if the axes name none.

    A process is a copy of its own and an event loop has one for all, so `instances` varies for
    threads only; more copies than clients would stand idle; inline has one client.
    """
    found: dict[Combination, None] = {}
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
        found[Combination(size, clients, instances, threads, pool)] = None
    return list(found)
