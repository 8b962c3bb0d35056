"""What a worker calls, and what it feeds it: from the target that the caller gives to one `Target`.

In scope: one call per request, samples that come with the target, two hooks around the measured
phase. Out of scope: what a call does, and whether its answer is right.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import Any

from qs.engine.call import Call
from qs.engine.measures.measure import Reader
from qs.engine.plan import Factory
from qs.engine.workers.answers import look


def _pass() -> None:
    pass


def only_started(sample: Any) -> Any:
    """What stands for the call of a target that has only `start`."""
    raise TypeError('the target can only be started: it needs Pool("async")')


@dataclass(frozen=True)
class Target:
    """A target with all that may belong to it. A bare function is a target too (`build`)."""

    # Called once a request with a sample; a coroutine function where the pool is "async".
    call: Callable[[Any], Any]
    # Samples that are cycled through when the run gives none.
    samples: Sequence[Any] | None = None
    # Called in each worker's thread before its first and after its last measured request, outside
    # what is timed.
    begin_measuring: Callable[[], None] = _pass
    end_measuring: Callable[[], None] = _pass
    # Called with an answer now and then, between slices (UNANSWERED, as long as every call has
    # failed); raises UnfinishedAnswer if it is none.
    look: Callable[[Any], None] = look
    # With these it is a started target (qs.engine.Started), where the pool is "async": `start` is
    # then called in place of `call`.
    start: Callable[[Any, Callable[[Any], None]], Call] | None = None
    # Awaited on the event loop before the warm-up, with this process's share of the clients (closed
    # loop) or of the pool's `max_in_flight` (open loop; 0: any number may be in flight).
    open: Callable[[int], Awaitable[None]] | None = None
    # Awaited after the last request.
    close: Callable[[], Awaitable[None]] | None = None
    # What was counted meanwhile, whole numbers by name, asked for before `close`.
    counts: Callable[[], dict[str, int]] | None = None
    # What the plan's measures are read with, when nothing is measured any more, any number of
    # requests at a time and each once.
    read: Reader | None = None

    def __call__(self, sample: Any) -> Any:
        """For callers outside a run; workers use `call`, which is one frame less."""
        return self.call(sample)

    def feed(self, offset: int = 0, per_query: int | None = None, step: int = 1) -> Iterator[Any]:
        """The samples for ever, [None] if there are none, beginning at a different one for each
        worker so that workers do not march in step.

        With `per_query`, lists of that many consecutive samples; with `step`, every so manieth.
        """
        samples = [None] if self.samples is None or len(self.samples) == 0 else self.samples
        each, size = per_query or 1, len(samples)
        if step == 1:
            single = islice(cycle(samples), offset * each % size, None)
            return single if per_query is None else map(list, zip(*[single] * each))
        # Of a thousand parts each would else step over the samples of all the others.
        firsts = ((offset + number * step) * each % size for number in count())
        if per_query is None:
            return map(samples.__getitem__, firsts)
        return ([samples[(first + at) % size] for at in range(each)] for first in firsts)


def import_reference(reference: str) -> Any:
    """The object that "package.module:name" names; ValueError or ImportError says what is wrong."""
    module, colon, name = reference.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"factory reference {reference!r} must look like package.module:name")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def build(target: Any, samples: Sequence[Any] | None) -> Target:
    """The target that a worker calls: of a Factory, what it makes; of any other callable, itself
    with the `samples` and hooks that it carries as attributes. Samples given with the run come
    first.

    Raises TypeError if it cannot be called, and whatever a Factory raises.
    """
    if isinstance(target, Factory):
        target = import_reference(target.reference)(**target.kwargs)
    start = _method(target, "start")
    if not callable(target) and start is None:
        raise TypeError(f"the target must be callable, not {type(target).__name__}")
    if inspect.iscoroutinefunction(start):
        raise TypeError(
            "the target's `start` is a coroutine function: it must return at once, with a call"
        )
    carried = getattr(target, "samples", None) if samples is None else samples
    if carried is not None and not hasattr(carried, "__len__"):
        raise TypeError(
            f"the target's samples must have a length, as a list has, not {type(carried).__name__}"
        )
    return Target(
        target.call if isinstance(target, Target) else target if callable(target) else only_started,
        carried,
        getattr(target, "begin_measuring", _pass),
        getattr(target, "end_measuring", _pass),
        target.look if isinstance(target, Target) else look,
        start,
        *(_method(target, name) if start else None for name in ("open", "close", "counts", "read")),
    )


def _method(target: Any, name: str) -> Any:
    found = getattr(target, name, None)
    return found if callable(found) else None


def is_started(target: Any) -> bool:
    """Whether it can only be started, and not called."""
    return not callable(target) and callable(getattr(target, "start", None))


def is_async(target: Any) -> bool:
    """Whether calling the target gives a coroutine (a coroutine function, or an object whose
    __call__ is one), or it can only be started.
    """
    if is_started(target):
        return True
    if isinstance(target, Target):
        target = target.call
    if target is only_started:
        return True
    if inspect.iscoroutinefunction(target):
        return True
    call = getattr(target, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


# What is left of a run of these is the engine's own cost. At module level, so that any process can
# find them.


def nothing(sample: Any) -> None:
    """Returns at once."""


async def nothing_awaited(sample: Any) -> None:
    """Returns at once, without letting the event loop go on to another task."""
