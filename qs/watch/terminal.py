"""What a person sees during a run, always on standard error: a panel on a terminal, plain lines
elsewhere (also on a terminal that cannot move its cursor), nothing with --quiet.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from qs.base.console import console, is_dumb, wrap_streams
from qs.watch.nodes import Losses, summary
from qs.watch.panel import Panel
from qs.watch.progress import PHASES, Outlook, doing, state
from qs.watch.steps import SILENT_S, Clock, Step
from qs.watch.view import Follow, Quiet, View

if TYPE_CHECKING:
    from qs.engine import Progress

PLAIN_EVERY_S = 5.0


class Plain(View):
    """A line for each event, and one every few seconds during a case: readable in a log file."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        timer: Callable[[float, Callable[[], None]], threading.Timer] = threading.Timer,
    ):
        self._stream = stream
        self._clock = clock
        self._timer = timer
        self.warned: list[str] = []

    def line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        self.warned.append(text)
        self.line(f"warning: {text}")

    @contextmanager
    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> Iterator[None]:
        """A line, if it takes long."""
        begun = Step(text, about_s, limit_s).begun()
        timer = self._timer(SILENT_S, lambda: self.line(begun))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        outlook = Outlook(title, limit_s, self.line, self._clock, asked_per_s)
        with self.trial(title, limit_s) as now_and_then:

            def update(progress: Progress) -> None:
                outlook.see(progress)
                now_and_then(progress)

            yield update

    @contextmanager
    def trial(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        """A line every few seconds."""
        said, losses = self._clock(), Losses()

        def update(progress: Progress) -> None:
            nonlocal said
            for lost in losses.see(progress):
                self.line(f"{title}: {lost}")
            if progress.phase == "measure" and self._clock() - said >= PLAIN_EVERY_S:
                said = self._clock()
                nodes = f"; {summary(progress.nodes)}" if progress.nodes else ""
                self.line(f"{title}: {state(progress)}{nodes}")

        yield update


class Doing:
    """A case in flight in one line."""

    def __init__(self, title: str):
        self._title, self._said = title, PHASES["build"]

    def see(self, progress: Progress) -> None:
        measuring = progress.phase == "measure"
        self._said = state(progress) if measuring else doing(progress)

    def __rich__(self) -> Any:
        from rich.text import Text

        return Text(f"{self._title}: {self._said}", no_wrap=True, overflow="ellipsis")


class Rich(View):
    """A panel that is redrawn in place; lines scroll above it."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._console = console(stream)
        self._clock = clock
        self._drawing = False
        self.warned: list[str] = []

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.warned.append(text)
        self._console.print(f"warning: {text}", style="yellow", markup=False)

    @contextmanager
    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> Iterator[None]:
        """A spinner with a clock while it lasts; if that was long, a line stays."""
        if self._drawing:  # a step within a step: the outer one is shown
            yield
            return
        step = Step(text, about_s, limit_s)
        drawn = Clock(step, self._clock)
        with self._live(drawn):
            yield
        if drawn.elapsed_s >= SILENT_S:
            self.line(step.ended(drawn.elapsed_s))

    @contextmanager
    def _live(self, drawn: Any) -> Iterator[None]:
        from rich.live import Live

        self._drawing = True
        try:
            with Live(drawn, console=self._console, transient=True, refresh_per_second=4):
                wrap_streams()  # which rich has put into others that obey colours and links
                yield
        finally:
            self._drawing = False

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        outlook = Outlook(title, limit_s, self.line, self._clock, asked_per_s)
        panel, losses = Panel(title, limit_s, asked_per_s=asked_per_s), Losses()
        with self._live(panel):

            def update(progress: Progress) -> None:
                outlook.see(progress)
                panel.see(progress)
                for lost in losses.see(progress):
                    self.line(f"{title}: {lost}")

            yield update
        trace = panel.trace()
        if trace is not None:
            self.line(trace)

    @contextmanager
    def trial(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        """One line, in place, as long as it runs."""
        line = Doing(title)
        with self._live(line):
            yield line.see


class _Panels(Rich):
    """The panel alone: no line scrolls above it."""

    def __init__(self, view: Rich):
        self._console, self._clock, self.warned = view._console, view._clock, view.warned
        self._drawing = False

    def line(self, text: str) -> None:
        return None


def panels_of(view: View) -> View:
    """What shows measurements of many short cases, as far as `view` can: a panel on a terminal, and
    no lines.
    """
    return _Panels(view) if isinstance(view, Rich) else Quiet()


def open_view(quiet: bool, stream: TextIO | None = None) -> View:
    """The view for this stream: a panel on a terminal, plain lines elsewhere, nothing if quiet."""
    stream = stream or sys.stderr
    if quiet:
        return Quiet()
    return Rich(stream) if stream.isatty() and not is_dumb() else Plain(stream)
