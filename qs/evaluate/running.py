"""A run from the command line's point of view: what is found and checked goes in, and how it ended
comes out. Event loop, signals and watchers are set up here; the work is qs.evaluate.evaluation's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qs.base.addresses import public
from qs.base.errors import UserError
from qs.base.interrupt import Interrupt, Interrupted, run_on_loop
from qs.evaluate.evaluation import Work, evaluate, open_journal
from qs.evaluate.failures import BackendFailed
from qs.evaluate.prepare import Prepared
from qs.evaluate.prepare_artifact import prepare_artifact
from qs.evaluate.served import until_ready
from qs.evaluate.web import Point, Trend, served
from qs.result.folder import ReportFolder
from qs.result.record import Record, to_result
from qs.result.result import Result, Status
from qs.settings.request import Request
from qs.watch.metrics import checked, exported
from qs.watch.trace import Trace
from qs.watch.view import Quiet, View, Watchers


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    request: Request
    record: Record
    folder: ReportFolder | None  # its report; None: it has left none
    # What the user has to correct, though something was measured.
    error: UserError | None = None
    unwritten: Mapping[str, str] = field(default_factory=dict)  # file -> why the report lacks it

    @property
    def result(self) -> Result:
        return to_result(self.record)

    @property
    def interrupted(self) -> bool:
        return self.record.status == Status.INTERRUPTED


def run(
    prepared: Prepared,
    view: View,
    work: Work | None = None,
    going_on: bool = False,
    interrupt: Interrupt | None = None,
    trend: Trend | None = None,
) -> Ended:
    """Evaluate, or do other work with the same endings. UserError for what the user has to correct,
    unless something was measured before: then it is in what is returned.

    going_on    with what an earlier run has measured; else that one is kept beside
    interrupt   for a caller whose signals do not come here
    trend       what the live page shows of earlier runs
    """
    request = prepared.request
    earlier: Sequence[Point] = ()
    if trend is not None and request.web is not None:
        earlier = trend(prepared.title, prepared.hardware, request.kind)
    where = None if request.metrics is None else checked(request.metrics)
    trace = Trace() if request.trace else None
    interrupt = interrupt or Interrupt()
    with (
        exported(where, prepared.title, prepared.hardware) as exporter,
        served(request.web, earlier) as live,
    ):
        watchers = [each for each in (view, exporter, trace, live) if each is not None]
        journal = open_journal(prepared, Watchers(watchers), going_on)
        if live is not None:
            live.follow(journal.record, journal.folder.path)
            print(f"live page: {live.address}", file=sys.stderr, flush=True)

        def at_once() -> None:
            journal.finish(Status.INTERRUPTED)
            print("interrupted twice: stopped at once", file=sys.stderr, flush=True)

        error = None
        try:
            run_on_loop(evaluate(prepared, journal, interrupt, work), interrupt, at_once)
        except (KeyboardInterrupt, Interrupted):
            journal.record.status = Status.INTERRUPTED
        except UserError as wrong:
            if not journal.record.rows:
                raise
            error = wrong
        finally:
            if trace is not None and journal.started:
                title = f"qs {request.kind} {prepared.title} on {prepared.hardware}"
                path = journal.folder.trace
                with journal.writing(path.name):
                    trace.write(path, title)
            journal.close()
    folder = journal.folder if journal.started else None
    return Ended(request, journal.record, folder, error, dict(journal.unwritten))


def describe_artifact(
    request: Request,
    scratch: Path,
    probe: bool = True,
    interrupt: Interrupt | None = None,
    view: View | None = None,
) -> Prepared:
    """The artifact, described and checked. KeyboardInterrupt after Ctrl-C: nothing was measured
    yet.
    """
    try:
        doing = "reading the model file" if request.file is not None else until_ready(request)
        with (view or Quiet()).step(doing):
            return run_on_loop(prepare_artifact(request, scratch, probe), interrupt or Interrupt())
    except (asyncio.CancelledError, Interrupted):
        raise KeyboardInterrupt from None
    except BackendFailed as failure:
        raise UserError(f"{public(str(request.artifact))}: {failure}") from None
