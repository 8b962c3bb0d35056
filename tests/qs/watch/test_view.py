"""Several watchers as one view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qs.engine import ClosedLoop, Progress, RunPlan, RunResult, run
from qs.watch.view import Follow, Quiet, View, Watchers


class Told(View):
    """Keeps all it is told."""

    def __init__(self, wants_slices: bool = False):
        self.wants_slices = wants_slices
        self.heard: list[object] = []

    def line(self, text: str) -> None:
        self.heard.append(("line", text))

    def warn(self, text: str) -> None:
        self.heard.append(("warn", text))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.heard.append(("begins", name))
        yield
        self.heard.append(("ends", name))

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        yield lambda progress: self.heard.append((title, limit_s, progress.completed))

    def ended(self, title: str, result: RunResult) -> None:
        self.heard.append((title, result.completed))


def told(view: View) -> None:
    view.line("a fact")
    view.warn("a doubt")
    with view.stage("performance"):
        with view.case("batch size 1", 2.0) as follow:
            follow(Progress("measure", 7))
        view.ended("batch size 1", run(RunPlan(ClosedLoop(1, 3), calibrate=False), lambda _: None))


def test_every_watcher_hears_everything_and_one_that_does_not_care_is_no_trouble():
    first, second = Told(), Told()
    told(Watchers([first, Quiet(), second]))
    assert first.heard == [
        ("line", "a fact"),
        ("warn", "a doubt"),
        ("begins", "performance"),
        ("batch size 1", 2.0, 7),
        ("batch size 1", 3),
        ("ends", "performance"),
    ]
    assert second.heard == first.heard


def test_slices_are_kept_where_one_watcher_wants_them():
    assert Watchers([Told(), Told(wants_slices=True)]).wants_slices
    assert not Watchers([Told(), Quiet()]).wants_slices
