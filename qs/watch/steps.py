"""A step of a run in words: what is done now, for how long already, and about how long it takes.

Steps are what lies between the measured cases: finding, fetching, building, compiling, loading,
accuracy, the reference. The clock is for people, and nothing is measured by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qs.base.words import span

SILENT_S = 2.0  # a shorter step leaves no line
SHOWN_S = 0.3  # a shorter one is not drawn either: it would flicker
_LIMIT_S = 30.0  # until then nobody asks when it would be ended, unless that is soon


@dataclass(frozen=True)
class Step:
    """One step.

    about_s   what it is known to take: from the last time, as nobody knows it for a new model
    limit_s   when it would be ended
    """

    text: str
    about_s: float | None = None
    limit_s: float | None = None

    def begun(self) -> str:
        """Where lines cannot be redrawn."""
        known = self._about() or self._limit()
        return f"{self.text} ...{f' ({known})' if known else ''}"

    def going_on(self, elapsed_s: float) -> str:
        """With its clock."""
        far = self.limit_s is not None and elapsed_s >= min(_LIMIT_S, self.limit_s / 2)
        parts = (f"{self.text}: {span(elapsed_s)}", self._about(), self._limit() if far else "")
        return ", ".join(filter(None, parts))

    def ended(self, elapsed_s: float) -> str:
        return f"{self.text}: {span(elapsed_s)}"

    def _about(self) -> str:
        return f"about {span(self.about_s)} the last time" if self.about_s else ""

    def _limit(self) -> str:
        return f"at most {span(self.limit_s)}" if self.limit_s else ""


class Clock:
    """A step that is redrawn by rich: a spinner, what is done, and its clock."""

    def __init__(self, step: Step, clock: Callable[[], float] = time.monotonic):
        self._step, self._clock = step, clock
        self._began = clock()
        self._spinner: Any = None

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began

    def __rich_console__(self, console: Any, options: Any):
        from rich.spinner import Spinner
        from rich.text import Text

        elapsed_s = self.elapsed_s
        if elapsed_s < SHOWN_S:
            return
        if self._spinner is None:
            unicode = (options.encoding or "").lower().startswith("utf")
            self._spinner = Spinner("dots" if unicode else "line", style="cyan")
        text = Text.assemble(
            self._spinner.render(console.get_time()), " ", self._step.going_on(elapsed_s)
        )
        text.no_wrap, text.overflow = True, "ellipsis"
        yield text
