"""From what the caller names as target to what a worker calls, and what it feeds it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from qs.engine.plan import Factory


@dataclass(frozen=True)
class Built:
    """A target ready to be called, and its samples (never empty; [None] where there are none)."""

    call: Callable[[Any], Any]
    samples: Sequence[Any]

    def tell(self, moment: str) -> None:
        """Call the target's own `begin_measuring` or `end_measuring`, where it has one: in each
        worker's thread, outside what is timed.
        """
        hook = getattr(self.call, moment, None)
        if hook is not None:
            hook()

    def feed(self, offset: int = 0, per_query: int | None = None) -> Iterator[Any]:
        """The samples for ever, beginning at a different one for each worker so that workers do not
        march in step.

        With `per_query`, lists of so many consecutive samples.
        """
        single = islice(cycle(self.samples), offset * (per_query or 1) % len(self.samples), None)
        return single if per_query is None else map(list, zip(*[single] * per_query))


def import_reference(reference: str) -> Any:
    """The object that "package.module:name" names; ValueError or ImportError says what is wrong."""
    module, colon, name = reference.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"factory reference {reference!r} must look like package.module:name")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def build(target: Any, samples: Sequence[Any] | None) -> Built:
    """Call a Factory, or take the target as it is. A target may carry `samples`; those given with
    the run come first.
    """
    if isinstance(target, Factory):
        target = import_reference(target.reference)(**target.kwargs)
    if not callable(target):
        raise TypeError(f"the target must be callable, not {type(target).__name__}")
    if samples is None:
        samples = getattr(target, "samples", None)
    samples = [None] if samples is None or len(samples) == 0 else samples
    return Built(target, samples)


def is_async(target: Any) -> bool:
    """Whether calling the target gives a coroutine (a coroutine function, or an object whose
    __call__ is one).
    """
    if inspect.iscoroutinefunction(target):
        return True
    call = getattr(target, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)
