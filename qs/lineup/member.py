"""One backend of a line-up: opened and checked as in a run of its own, measured turn by turn, and
ended with its own report, whatever becomes of the others.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt, Interrupted
from qs.evaluate import rows
from qs.evaluate.evaluation import check_answers, finish_failed, introduce, open_journal
from qs.evaluate.failures import BackendFailed
from qs.evaluate.performance import Measured, measure_case
from qs.evaluate.prepare import Prepared
from qs.evaluate.running import Ended
from qs.evaluate.settling import opened, set_up
from qs.evaluate.testbed import Testbed
from qs.evaluate.vendor_mode import audit
from qs.lineup.turns import Turns, row_of, turns_of
from qs.result.result import Status
from qs.result.row import Outcome, Row
from qs.settings.case import Case, cases_of
from qs.settings.run_plan import KNOWN_INTERVAL_S
from qs.watch.sides import OfSide
from qs.watch.trace import Trace
from qs.watch.view import View, Watchers

CaseKey = tuple[int, str]


def key_of(case: Case) -> CaseKey:
    """What makes a case the same for all backends: the batch size that was asked for, and the
    scenario. Clients, instances and threads may be each backend's own.
    """
    stated = {} if case.scenario is None else case.scenario.published()
    plain = {name: value for name, value in stated.items() if name not in ("seed", "duration_s")}
    return case.requested_batch_size, json.dumps(plain, sort_keys=True, default=str)


class Member:
    """A backend with its journal; `bed` is there as long as it can be measured."""

    def __init__(self, prepared: Prepared, view: View):
        self.prepared = prepared
        self.name = prepared.hardware
        self.side = OfSide(view, self.name)
        self._trace = Trace() if prepared.request.trace else None
        watchers = [self.side, *([self._trace] if self._trace else [])]
        self.journal = open_journal(prepared, Watchers(watchers))
        self.bed: Testbed | None = None
        self.cases: dict[CaseKey, Turns] = {}
        self.error: UserError | None = None
        self._rows: dict[CaseKey, Row] = {}
        self._refused: dict[CaseKey, UserError] = {}
        self._open = AsyncExitStack()
        self._ended = False

    @property
    def pid(self) -> int | None:
        """Of its process, if that lives."""
        return None if self.bed is None else self.bed.backend.pid

    async def open(self, interrupt: Interrupt, rounds: int) -> None:
        """Environment, compile, accuracy, agreement. What fails is in its report; Interrupted goes
        on.
        """
        prepared, journal = self.prepared, self.journal
        introduce(prepared, journal)
        try:
            ready = await self._open.enter_async_context(opened(prepared, journal))
            bed = await set_up(ready, prepared, journal, interrupt)
            bed = _finely(await check_answers(bed, prepared, ready))
            for text in dict.fromkeys(
                text for each in bed.settings.scenarios.value or () for text in each.warnings
            ):
                journal.warn(text)
            if prepared.workload.test_perf:
                self.cases = {
                    key_of(each): turns_of(each, rounds) for each in cases_of(bed.settings)
                }
            self.bed = bed
        except (Exception, asyncio.CancelledError) as error:
            await self.fail(error)

    async def measure(self, key: CaseKey, turn: int, title: str) -> Row:
        """The next turn of a case. Of one that does not fit into memory, or was interrupted after
        others, nothing is kept.
        """
        bed, turns = self.bed, self.cases[key]
        part = turns.next
        assert bed is not None and part is not None
        begun = {"batch_size": part.requested_batch_size, "turn": turn + 1}
        self.journal.event("case begins", **begun)
        name = part.name if len(turns.parts) == 1 else f"{part.name}-{turn + 1}"
        path = self.journal.folder.histogram(name)
        self.side.measuring = True
        try:
            measured = await measure_case(bed, part, title, path)
        except UserError as error:
            self._refused[key] = error
            measured = Measured(part, rows.failed(part, str(error)), None)
        finally:
            self.side.measuring = False
        row = measured.row
        if row.outcome is Outcome.NO_ROOM:
            return row
        if not (row.interrupted and turns.measured):
            turns.measured.append(measured)
            self._save(key, row_of(turns, self.journal))
        self.journal.event(
            "case ends", **begun, completed=row.completed, verdict=row.verdict, reasons=row.reasons
        )
        return row

    def due(self, key: CaseKey) -> bool:
        """Whether a turn of the case is left."""
        return self.cases[key].next is not None

    async def measure_again(self, key: CaseKey, turn: int, title: str) -> Row:
        """The last turn once more, in place of it."""
        self.cases[key].measured.pop()
        return await self.measure(key, turn, title)

    def leave_out(self, key: CaseKey, why: str) -> None:
        """A case that cannot be measured, and is no row."""
        self.cases[key].left_out = True
        self.journal.warn(why)
        self.journal.event("case left out", batch_size=key[0], why=why)

    async def audit(self) -> None:
        """The backend's own numbers beside ours, once for each case (--engine always)."""
        bed = self.bed
        assert bed is not None
        for key in self.cases:
            if key in self._rows and key not in self._refused:
                row = await bed.interrupt.unless(audit(bed, key[0], self._rows[key]))
                if row is not None:
                    self._save(key, row)

    def _save(self, key: CaseKey, row: Row) -> None:
        self._rows[key] = row
        self.journal.record.rows = [self._rows[each] for each in self.cases if each in self._rows]
        self.journal.save()

    async def sleep(self) -> None:
        """End its process; the next turn starts another."""
        if self.bed is not None:
            await self.bed.backend.drop()

    async def fail(self, error: BaseException) -> None:
        """End it for what was raised. Raises Interrupted, and what is a bug."""
        further = finish_failed(self.journal, error)
        await self._close()
        if isinstance(further, UserError):
            self.error = further
        elif isinstance(further, Interrupted):
            raise further from None
        elif further is not None:
            raise further

    async def finish(self) -> None:
        """End it after its last turn."""
        if self._ended:
            return
        if self.cases and len(self._refused) == len(self.cases):
            self.error = next(iter(self._refused.values()))
        if self.cases and not self.journal.record.rows:
            self.journal.record.reasons.append(
                "nothing was measured: no batch size fits into memory"
            )
        self.journal.finish(Status.COMPLETE)
        await self._close()

    def stop(self) -> None:
        """End its report at once, for a program that ends now."""
        if not self._ended:
            self.journal.finish(Status.INTERRUPTED)

    async def interrupted(self) -> None:
        if not self._ended:
            self.journal.finish(Status.INTERRUPTED)
            await self._close()

    async def _close(self) -> None:
        self._ended, self.bed = True, None
        try:
            await self._open.aclose()
        except BackendFailed:  # it ends, in whatever way
            pass
        finally:
            if self._trace is not None and self.journal.started:
                path = self.journal.folder.trace
                with self.journal.writing(path.name):
                    self._trace.write(path, f"qs {self.journal.record.kind} on {self.name}")
            self.journal.close()

    def ended(self) -> Ended:
        journal, request = self.journal, self.prepared.request
        folder = journal.folder if journal.started else None
        return Ended(request, journal.record, folder, self.error, dict(journal.unwritten))


def _finely(bed: Testbed) -> Testbed:
    """With intervals short enough for a turn that its iterations end, which nobody knows the length
    of.
    """
    settings = bed.settings
    known = settings.interval_s.value or settings.duration_s.value or settings.time_limit_s.value
    if known or not settings.iterations.value:
        return bed
    interval = replace(settings.interval_s, value=KNOWN_INTERVAL_S)
    return replace(bed, settings=replace(settings, interval_s=interval))
