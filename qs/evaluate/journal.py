"""Keeps the report on disk in step with the run: events as they happen, the whole result after
every stage and case.

Nothing is written before `start`, so that a run refused for its input leaves no trace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qs.base.files import write_atomic, write_json
from qs.result.events import EventLog
from qs.result.folder import ReportFolder
from qs.result.record import Record, to_result
from qs.result.result import Kind, Result, Status
from qs.watch.view import View


class Journal:
    """The record of one run and its files."""

    def __init__(
        self,
        record: Record,
        path: Path,
        precision: str,
        view: View,
        draw: Callable[[Result, Path], bytes] | None = None,
    ):
        """`view` hears what a person should read; `draw` makes the page for people, from the result
        and the report's folder.
        """
        self.record = record
        self.view = view
        self._path = path
        self._precision = precision
        self._page_of = draw
        self._events: EventLog | None = None

    @property
    def folder(self) -> ReportFolder:
        return ReportFolder(self._path, self._precision, self.record.kind)

    @property
    def log(self) -> Path:
        """What the backend prints."""
        return self._path / "backend.log"

    @property
    def started(self) -> bool:
        return self._events is not None

    def start(self) -> None:
        """From here on the run leaves a report, however it ends."""
        self._path.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self._events = EventLog(self.folder.events)
        self.event(
            "start",
            task=self.record.task,
            backend=self.record.hardware,
            command=self.record.command,
        )

    def compiled_to(self, precision: str) -> None:
        """The precision that the backend compiled to names the files from now on."""
        self._precision = precision
        # A comparison measures nothing; a sweep may go on from what an earlier one measured.
        if self.record.kind not in (Kind.SWEEP, Kind.NUMERIC):
            self.folder.forget_histograms()

    def keep_answers(self, answers: dict[str, Any], origins: dict[str, str]) -> None:
        """The answers to the backend's questions: in the result, and in a file that --answers takes
        again.
        """
        self.record.answers, self.record.answer_origins = answers, origins
        if answers:
            self.event("answers", answers=answers, origins=origins)

    def event(self, kind: str, **fields: object) -> None:
        if self._events is not None:
            self._events.write(kind, **fields)

    def warn(self, text: str) -> None:
        """A doubt about the numbers: shown, and kept in the result."""
        if text not in self.record.warnings:
            self.record.warnings.append(text)
            self.view.warn(text)
            self.event("warning", text=text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, note its begin and end, and save what it brought."""
        begin = time.perf_counter()
        self.event("stage begins", stage=name)
        try:
            with self.view.stage(name):
                yield
        finally:
            self.record.durations_s[name] = time.perf_counter() - begin
            self.event("stage ends", stage=name, seconds=self.record.durations_s[name])
        self.save()

    def save(self) -> Result:
        """Write the result as far as it is known, and return it."""
        result = to_result(self.record)
        if self.started:
            write_json(self.folder.result, result.to_dict())
            if self.record.answers:
                write_json(self.folder.answers, self.record.answers)
            else:
                self.folder.answers.unlink(missing_ok=True)
        return result

    def finish(self, status: Status) -> Result:
        """The last word: how the run ended."""
        self.record.status = status
        self.event(
            "end", status=status, verdict=self.record.verdict, reasons=self.record.all_reasons()
        )
        result = self.save()
        if self._events is not None:
            self._draw(result)
            self._events.close()
        return result

    def _draw(self, result: Result) -> None:
        """The page for people. A failure to draw it is a warning: the result is there."""
        if self._page_of is None:
            return
        try:
            write_atomic(self.folder.page, self._page_of(result, self._path))
        except Exception as error:
            self.view.warn(
                f"{self.folder.page.name} was not drawn: {type(error).__name__}: {error}"
            )
