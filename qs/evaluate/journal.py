"""Keeps the report on disk in step with the run: events as they happen, the whole result after
every stage and case.

Nothing is written before `start`, so that a run refused for its input leaves no trace. A disk that
fails later does not end the run: what could not be written is noted, and its numbers are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import Lines, Unwritable, why, write_atomic, write_json
from qs.base.holding import Held, hold, let_go
from qs.base.storable import storable
from qs.base.visible import unbroken, visible
from qs.base.words import counted
from qs.evaluate.raw import RawRequests
from qs.result.events import EventLog
from qs.result.folder import ReportFolder
from qs.result.gate import GateEntry
from qs.result.kept import RUNS, Keeping, keep, remove_oldest
from qs.result.last import STEP, last_time
from qs.result.record import Record, to_result
from qs.result.result import Kind, Result, Status
from qs.result.verdict import DoubtEntry
from qs.watch.view import View

NOTED_S = 0.5  # a shorter step is over before anybody asks
_NOUNS = {Kind.RUN: "run", Kind.LOAD: "run", Kind.SWEEP: "sweep", Kind.NUMERIC: "comparison"}


class Journal:
    """The record of one run and its files."""

    def __init__(
        self,
        record: Record,
        path: Path,
        precision: str,
        view: View,
        draw: Callable[[Result, Path], bytes] | None = None,
        judge: Callable[[Result, Path], list[GateEntry]] | None = None,
        most_kept: int | None = None,
        going_on: bool = False,
        raw: RawRequests | None = None,
    ):
        """`view` hears what a person should read; `draw` makes the page for people, and `judge`
        holds the run to its conditions, from the result and the report's folder.

        most_kept   how many earlier runs are kept beside; None: all
        going_on    with what an earlier run has measured: the report stays that run's
        raw         keeps every request
        """
        self.record = record
        self.view = view
        self.raw = raw
        self._path = path
        self._precision = precision
        self._page_of = draw
        self._judge = judge
        self._most_kept = most_kept
        self._going_on = going_on
        self.last = last_time(path)
        self._steps: list[tuple[str, float]] = []  # before there was a log to note them in
        self._events: EventLog | None = None
        self._held: int | None = None
        self._finished = False
        self.unwritten: dict[str, str] = {}  # file -> why the report lacks it

    @property
    def folder(self) -> ReportFolder:
        return ReportFolder(self._path, self._precision, self.record.kind)

    @property
    def log(self) -> Path:
        """What the backend prints."""
        return self.folder.log

    @property
    def started(self) -> bool:
        return self._events is not None

    def start(self) -> None:
        """From here on the run leaves a report, however it ends. Raises UserError where it cannot,
        before anything is measured.
        """
        folder = self.folder
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._held = hold(self._path)
            kept = [] if self._going_on else keep(folder)
            try:
                folder.set_aside()
                self.log.unlink(missing_ok=True)
                events = self._begun(folder)
            except (Unwritable, OSError):
                folder.bring_back(all_of_them=True)
                for each in reversed(kept):
                    each.undo()
                raise
        except Held:
            raise UserError(
                f"--out: another run writes its report into {self._path} now; wait until it has "
                "ended, or name another --out"
            ) from None
        except OSError as error:
            raise Unwritable(self._path, error) from error
        self._events = events
        for text, seconds in self._steps:
            self._note(text, seconds)
        if kept:
            self._say_kept(kept[-1])

    def _begun(self, folder: ReportFolder) -> EventLog:
        record, events = self.record, EventLog(folder.events)
        try:
            events.write("start", task=record.task, backend=record.hardware, command=record.command)
            write_json(folder.result, to_result(record).to_dict())
        except Unwritable:
            events.close()
            raise
        return events

    def _say_kept(self, last: Keeping) -> None:
        if self._most_kept != 0:
            self.view.line(f"the {_NOUNS[self.record.kind]} before is kept in {last.place}")

    def close(self) -> None:
        """Nothing is written any more, and another run may write here."""
        raw, self.raw = self.raw, None
        if raw is not None:
            with self.writing(raw.path.name):
                raw.write()
        if self._events is not None:
            self._events.close()
        let_go(self._held)
        self._held = None

    @contextmanager
    def writing(self, name: str, for_good: bool = False) -> Iterator[None]:
        """A file of the report is written within. If the disk does not take it, the run goes on
        without, and its end says so, unless it could be written later; `for_good`: it cannot.
        """
        try:
            yield
        except (Unwritable, OSError) as error:
            said = str(error) if isinstance(error, Unwritable) else f"{name}: {why(error)}"
            if name not in self.unwritten:
                self.view.warn(f"{said}; the run goes on")
            self.unwritten[name] = said
        else:
            if not for_good:
                self.unwritten.pop(name, None)

    def compiled_to(self, precision: str) -> None:
        """The precision that the backend compiled to names the files from now on."""
        begun = self.folder.result
        self._precision = precision
        folder = self.folder
        if self.started:
            with self.writing(folder.result.name):
                begun.replace(folder.result)
            with self.writing("the folder of the report"):
                folder.bring_back()
                # A comparison measures nothing; a sweep may go on from what one before measured.
                if self.record.kind not in (Kind.SWEEP, Kind.NUMERIC):
                    folder.forget_histograms()

    def keep_answers(self, answers: dict[str, Any], origins: dict[str, str]) -> None:
        """The answers to the backend's questions: in the result, and in a file that --answers takes
        again.
        """
        self.record.answers, self.record.answer_origins = answers, origins
        if answers:
            self.event("answers", answers=answers, origins=origins)

    def event(self, kind: str, **fields: object) -> None:
        """A line of events.jsonl."""
        if self._events is not None:
            with self.writing(self.folder.events.name, for_good=True):
                self._events.write(kind, **fields)

    def note_in_log(self, said: str) -> None:
        """Add to what the backend prints what it did not print itself."""
        if self.started:
            with self.writing(self.log.name, for_good=True):
                log = Lines(self.log, keep=True)
                try:
                    log.add(f"[qs] {visible(said)}".encode())
                finally:
                    log.close()

    def warn(self, text: str, code: str = "", cure: str = "") -> None:
        """A doubt about the numbers, and what to type to be rid of it: shown, and kept in the
        result.
        """
        doubt = DoubtEntry(code=code, text=unbroken(storable(text)), cure=unbroken(storable(cure)))
        if str(doubt) not in map(str, self.record.doubts):
            self.record.doubts.append(doubt)
            self.view.warn(str(doubt))
            self.event("warning", code=code, text=str(doubt))

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

    @contextmanager
    def step(
        self, text: str, about_s: float | None = None, limit_s: float | None = None
    ) -> Iterator[None]:
        """Show what is done, and note what it took if that is worth a word the next time."""
        begin = time.perf_counter()
        try:
            with self.view.step(text, about_s or self.last.steps.get(text), limit_s):
                yield
        finally:
            self._note(text, time.perf_counter() - begin)

    def _note(self, text: str, seconds: float) -> None:
        if seconds < NOTED_S:
            return
        if self.started:
            self.event(STEP, step=text, seconds=seconds)
        else:
            self._steps.append((text, seconds))

    def save(self) -> Result:
        """Write the result as far as it is known, and return it."""
        result = to_result(self.record)
        if self.started:
            folder = self.folder
            with self.writing(folder.result.name):
                write_json(folder.result, result.to_dict())
            with self.writing(folder.answers.name):
                if self.record.answers:
                    write_json(folder.answers, self.record.answers)
                else:
                    folder.answers.unlink(missing_ok=True)
        return result

    def finish(self, status: Status) -> Result:
        """The last word: how the run ended. The first one counts."""
        if self._finished:
            return to_result(self.record)
        self._finished = True
        self.record.status = status
        if self._judge is not None:
            self.record.gates = self._judge(to_result(self.record), self._path)
        self.event(
            "end", status=status, verdict=self.record.verdict, reasons=self.record.all_reasons()
        )
        result = self.save()
        if self.started:
            with self.writing("the folder of the report"):
                self.folder.bring_back()
            self._draw(result)
            self._remove_oldest()
        self.close()
        return result

    def _remove_oldest(self) -> None:
        if self._most_kept is None:
            return
        with self.writing(RUNS, for_good=True):
            removed = remove_oldest(self.folder, self._most_kept)
            if removed:
                noun = _NOUNS[self.record.kind]
                self.view.line(
                    f"--keep {self._most_kept}: removed {counted(removed, f'earlier {noun}')}"
                )

    def _draw(self, result: Result) -> None:
        """The page for people. A failure to draw it is a warning: the result is there."""
        if self._page_of is None:
            return
        page = self.folder.page
        try:
            with self.view.step("drawing the page"):
                drawn = self._page_of(result, self._path)
        except Exception as error:
            self.view.warn(f"{page.name} was not drawn: {type(error).__name__}: {error}")
            return
        with self.writing(page.name):
            write_atomic(page, drawn)
