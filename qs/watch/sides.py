"""One of several things that are measured in turn, as a view of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager

from qs.watch.terminal import panels_of
from qs.watch.view import Follow, View


class OfSide(View):
    """What one side says, under its name; of blocks only the progress is shown."""

    def __init__(self, view: View, side: str):
        self._view, self._side, self._panels = view, side, panels_of(view)
        self.measuring = False

    def line(self, text: str) -> None:
        if not self.measuring:
            self._view.line(f"{self._side}: {text}")

    def warn(self, text: str) -> None:
        self._view.warn(f"{self._side}: {text}")

    def stage(self, name: str) -> AbstractContextManager[None]:
        return self._view.stage(f"{name} of {self._side}")

    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> AbstractContextManager[None]:
        view = self._panels if self.measuring else self._view
        return view.step(f"{self._side}: {text}", about_s, limit_s)

    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> AbstractContextManager[Follow]:
        return self._panels.case(title, limit_s, asked_per_s)
