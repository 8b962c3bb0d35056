"""What watches a run: one protocol, which the terminal, the metrics and the trace each fill as far
as they need, and one composite that passes everything on to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from qs.engine import Progress, RunResult

Follow = Callable[["Progress"], None]  # called with the engine's progress, a few times a second


class View(Protocol):
    """Hears what happens in a run. A watcher overrides what it cares for; the rest does nothing.

    Called from the conductor's event loop, so that no method may block for long.
    """

    # whether the engine has to keep the workers' slices, for `ended` to find them in the result
    wants_slices: bool = False

    def line(self, text: str) -> None:
        """A fact a person should read."""
        return None

    def warn(self, text: str) -> None:
        """A doubt about the numbers."""
        return None

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage of the run (compile, accuracy, ...) lasts as long as the context."""
        return nullcontext()

    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> AbstractContextManager[None]:
        """Something is done within the context that a person may have to wait for: what, what it is
        known to take, and when it would be ended.
        """
        return nullcontext()

    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> AbstractContextManager[Follow]:
        """A case is loaded, warmed up and measured within the context, for at most `limit_s`, at
        the rate that was asked for, if there is one.
        """
        return nullcontext(_ignore)

    def trial(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> AbstractContextManager[Follow]:
        """As `case`, of one case among many: little room is left for each."""
        return self.case(title, limit_s, asked_per_s)

    def ended(self, title: str, result: RunResult) -> None:
        """The case was measured; called after its context."""
        return None


def _ignore(progress: Progress) -> None:
    return None


class Quiet(View):
    """Says nothing."""


class Watchers(View):
    """Several views as one."""

    def __init__(self, watchers: Sequence[View]):
        self._watchers = tuple(watchers)
        self.wants_slices = any(watcher.wants_slices for watcher in watchers)

    def line(self, text: str) -> None:
        for watcher in self._watchers:
            watcher.line(text)

    def warn(self, text: str) -> None:
        for watcher in self._watchers:
            watcher.warn(text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with ExitStack() as stack:
            for watcher in self._watchers:
                stack.enter_context(watcher.stage(name))
            yield

    @contextmanager
    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> Iterator[None]:
        with ExitStack() as stack:
            for watcher in self._watchers:
                stack.enter_context(watcher.step(text, about_s, limit_s))
            yield

    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> AbstractContextManager[Follow]:
        return _together([each.case(title, limit_s, asked_per_s) for each in self._watchers])

    def trial(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> AbstractContextManager[Follow]:
        return _together([each.trial(title, limit_s, asked_per_s) for each in self._watchers])

    def ended(self, title: str, result: RunResult) -> None:
        for watcher in self._watchers:
            watcher.ended(title, result)


@contextmanager
def _together(cases: Sequence[AbstractContextManager[Follow]]) -> Iterator[Follow]:
    with ExitStack() as stack:
        followers = [stack.enter_context(each) for each in cases]

        def follow(progress: Progress) -> None:
            for each in followers:
                each(progress)

        yield follow
