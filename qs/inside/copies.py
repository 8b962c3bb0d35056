"""Loaded copies of a vendor's runtime, one per instance: at which batch size each is loaded, and on
which CPUs its threads were started.
"""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qs.base import bounds
from qs.base.errors import UserError
from qs.engine import is_async
from qs.engine.machine import usable_cpus


class LoadedCopy:
    """`batch_size` is the one really loaded; 0 before the first load."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.batch_size = 0
        self._how: tuple | None = None
        self._placement: dict[str, Any] | None = None

    @property
    def takes_placement(self) -> bool:
        """Whether the backend wants to know its place: its class has an attribute `placement`."""
        return hasattr(type(self.backend), "placement")

    def load(self, batch_size: int, placement: dict[str, Any] | None) -> None:
        """Load, unless it is loaded that way already: a vendor's load may take minutes. Without a
        placement, any will do.
        """
        if placement is None and self._how is not None and self._how[0] == batch_size:
            return
        placement = placement or self._placement  # the next batch size is meant for the same place
        cpus = tuple(sorted((placement and placement["cpus"]) or usable_cpus()))
        knows = self.takes_placement
        threads = placement["intra_op_threads"] if placement and knows else None
        how = (batch_size, cpus, threads)
        if how == self._how:
            return
        self._how, self.batch_size, self._placement = None, 0, placement
        if knows:
            self.backend.placement = placement
        with _on_cpus(cpus):
            self.backend.load(batch_size)
        loaded = unless_left_out(self.backend.get_loaded_batch_size)
        self.batch_size = _whole(loaded or _own_batch_size(self.backend) or batch_size, batch_size)
        self._how = how


class Copies:
    """The copies of one runtime. `make(instance)` gives a runtime that is not loaded yet."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._by_instance: dict[int, LoadedCopy] = {}

    def __iter__(self) -> Iterator[LoadedCopy]:
        """Those that are there now."""
        return iter(self._by_instance.values())

    def __getitem__(self, instance: int) -> LoadedCopy:
        """The copy of an instance, made on first use."""
        if instance not in self._by_instance:
            self._by_instance[instance] = LoadedCopy(self._make(instance))
        return self._by_instance[instance]

    def loaded(
        self, instance: int, batch_size: int, placement: dict[str, Any] | None = None
    ) -> LoadedCopy:
        copy = self[instance]
        copy.load(batch_size, placement)
        return copy

    def renew(self, instance: int) -> None:
        """Forget a copy whose predict is a coroutine function: what it awaited on one event loop (a
        checker's, an earlier case's) may be bound to it.
        """
        if instance in self._by_instance and is_async(self[instance].backend.predict):
            del self._by_instance[instance]

    def keep(self, instances: int, own: int) -> None:
        """Drop the copies beyond that number of instances, but for an instance's own."""
        for number in [each for each in self._by_instance if each >= instances and each != own]:
            del self._by_instance[number]


def _whole(said: Any, asked: int) -> int:
    """The batch size that a backend says it loaded. What makes batches of it must be able to."""
    try:
        size = operator.index(said)
    except TypeError:
        size = int(said) if isinstance(said, (str, float)) and float(said) == int(said) else 0
    if not 1 <= size <= bounds.BATCH:
        raise RuntimeError(
            f"get_loaded_batch_size() gives {reprlib.repr(said)} after load({asked}); allowed: a "
            f"whole number from 1 to {bounds.BATCH:,}"
        )
    return size


def _own_batch_size(backend: Any) -> int | None:
    """What a backend without get_loaded_batch_size notes for itself, as most do in `load`."""
    own = getattr(backend, "batch_size", None)
    return own if isinstance(own, int) and own > 0 else None


@contextmanager
def _on_cpus(cpus: Sequence[int]) -> Iterator[None]:
    """Run this thread on those CPUs for a while; threads started meanwhile inherit that and keep
    it.
    """
    before = usable_cpus()
    if not hasattr(os, "sched_setaffinity") or set(cpus) == before:
        yield
        return
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise UserError(
            f"affinity {list(cpus)}: {error.strerror}; this process may use {sorted(before)}"
        ) from None
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def unless_left_out(method: Callable[[], Any]) -> Any:
    """None for a method that the vendor left as it is in the base class, or in a copy of it."""
    try:
        return method()
    except NotImplementedError:
        return None
