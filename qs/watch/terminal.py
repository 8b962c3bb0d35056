"""What a person sees during a run, always on standard error: a panel on a terminal, plain lines
elsewhere, nothing with --quiet.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from qs.base.console import console, wrap_streams
from qs.watch.panel import Panel
from qs.watch.progress import Outlook, state
from qs.watch.view import Follow, Quiet, View

if TYPE_CHECKING:
    from qs.engine import Progress

PLAIN_EVERY_S = 5.0


class Plain(View):
    """A line for each event, and one every few seconds during a case: readable in a log file."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._stream = stream
        self._clock = clock
        self.warned: list[str] = []

    def line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        self.warned.append(text)
        self.line(f"warning: {text}")

    @contextmanager
    def case(self, title: str, limit_s: float | None = None) -> Iterator[Follow]:
        outlook = Outlook(title, limit_s, self.line, self._clock)
        said = self._clock()

        def update(progress: Progress) -> None:
            nonlocal said
            outlook.see(progress)
            if progress.phase == "measure" and self._clock() - said >= PLAIN_EVERY_S:
                said = self._clock()
                self.line(f"{title}: {state(progress)}")

        yield update


class Rich(View):
    """A panel that is redrawn in place; lines scroll above it."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._console = console(stream)
        self._clock = clock
        self.warned: list[str] = []

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.warned.append(text)
        self._console.print(f"warning: {text}", style="yellow", markup=False)

    @contextmanager
    def case(self, title: str, limit_s: float | None = None) -> Iterator[Follow]:
        from rich.live import Live

        outlook = Outlook(title, limit_s, self.line, self._clock)
        panel = Panel(title, limit_s)
        with Live(panel, console=self._console, transient=True, refresh_per_second=4):
            wrap_streams()  # which rich has put into others that obey colours and links

            def update(progress: Progress) -> None:
                outlook.see(progress)
                panel.see(progress)

            yield update


def open_view(quiet: bool, stream: TextIO | None = None) -> View:
    """The view for this stream: a panel on a terminal, plain lines elsewhere, nothing if quiet."""
    stream = stream or sys.stderr
    if quiet:
        return Quiet()
    return Rich(stream) if stream.isatty() else Plain(stream)
