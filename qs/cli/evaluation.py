"""Runs an evaluation for the command line: signals, output streams, exit status. What is done is
qs.evaluate.evaluation's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.interrupt import Interrupt, Interrupted
from qs.cli.main import INTERRUPTED, INVALID, VALID
from qs.evaluate.evaluation import INTERRUPTED as STOPPED
from qs.evaluate.evaluation import Work, evaluate, open_journal
from qs.evaluate.failures import BackendFailed
from qs.evaluate.prepare import Prepared, prepare
from qs.evaluate.prepare_artifact import prepare_artifact
from qs.result.journal import Journal
from qs.settings.request import Request
from qs.watch.terminal import open_view
from qs.watch.view import View, Watchers


def run_evaluation(request: Request, as_json: bool, quiet: bool) -> int:
    """Evaluate, print what was asked for, return the exit status."""
    return measure(prepare(request), open_view(quiet), as_json, quiet)


def run_load(request: Request, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Load-test an artifact, or only say how."""
    with tempfile.TemporaryDirectory(prefix="qs-load-") as folder:
        prepared = prepared_artifact(request, Path(folder), probe=not dry_run)
        if dry_run:
            from qs.evaluate.outline import outline
            from qs.render.outline import print_outline

            print_outline(outline(prepared), as_json)
            return VALID
        return measure(prepared, open_view(quiet), as_json, quiet)


def prepared_artifact(request: Request, scratch: Path, probe: bool = True) -> Prepared:
    """The artifact, described and checked. KeyboardInterrupt after Ctrl-C: nothing was measured
    yet.
    """
    interrupt = Interrupt()
    work = prepare_artifact(request, scratch, probe)
    try:
        return run_on_loop(work, interrupt, lambda: os._exit(INTERRUPTED))
    except (asyncio.CancelledError, Interrupted):
        raise KeyboardInterrupt from None
    except BackendFailed as failure:
        raise UserError(f"{request.artifact}: {failure}") from None


def measure(
    prepared: Prepared, view: View, as_json: bool, quiet: bool, work: Work | None = None
) -> int:
    """Run an evaluation, or other work with the same endings; report it; return the exit status."""
    from qs.watch.metrics import checked, exported
    from qs.watch.trace import NAME, Trace

    request = prepared.request
    where = None if request.metrics is None else checked(request.metrics)
    trace = Trace() if request.trace else None
    with exported(where, prepared.title, prepared.hardware) as exporter:
        view = Watchers([each for each in (view, exporter, trace) if each is not None])
        journal = open_journal(prepared, view)
        try:
            return _measured(prepared, journal, view, as_json, quiet, work)
        finally:
            if trace is not None and journal.started:
                trace.write(
                    journal.folder.path / NAME,
                    f"qs {request.kind} {prepared.title} on {prepared.hardware}",
                )


def _measured(
    prepared: Prepared, journal: Journal, view: View, as_json: bool, quiet: bool, work: Work | None
) -> int:
    interrupt = Interrupt()

    def at_once() -> None:
        journal.finish(STOPPED)
        print("interrupted twice: stopped at once", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)  # what runs in child processes dies with this one

    try:
        result = run_on_loop(evaluate(prepared, journal, interrupt, work), interrupt, at_once)
    except (KeyboardInterrupt, Interrupted):
        remember(prepared, journal, view)
        report(journal, as_json, quiet)
        print(
            "interrupted; the report holds what was measured" if journal.started else "interrupted",
            file=sys.stderr,
        )
        return INTERRUPTED
    remember(prepared, journal, view)
    report(journal, as_json, quiet)
    return VALID if result["Verdict"] == "VALID" else INVALID


def remember(prepared: Prepared, journal: Journal, view: View) -> None:
    """An entry in the history, where something was measured. What keeps it from being written is a
    warning, never a failure.
    """
    if not prepared.request.history or not journal.record.rows:
        return
    from qs.history import record
    from qs.result.record import to_result

    record(
        to_result(journal.record),
        journal.folder.result.absolute() if journal.started else None,
        view.warn,
    )


def report(journal: Journal, as_json: bool, quiet: bool) -> None:
    """With --json the result alone goes to standard output; else the summary does."""
    from qs.render.terminal import print_summary
    from qs.result.record import to_result

    result = to_result(journal.record).to_dict()
    if as_json:
        import orjson

        sys.stdout.buffer.write(
            orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        sys.stdout.buffer.flush()
    if not quiet:
        where = str(journal.folder.result) if journal.started else None
        stream = sys.stderr if as_json else sys.stdout
        print_summary(result, where, stream)
        if journal.started and journal.folder.page.is_file():
            print(f"page: {journal.folder.page}", file=stream)


def run_on_loop(
    work: Coroutine[Any, Any, Any], interrupt: Interrupt, at_once: Callable[[], None]
) -> Any:
    """Run a coroutine on uvloop where it is installed. The first Ctrl-C or SIGTERM interrupts it, a
    second calls `at_once`.
    """
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop  # type: ignore[assignment]

    loop = new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(work)
        interrupt.guard(task)

        def on_signal() -> None:
            (at_once if interrupt.requested.is_set() else interrupt.now)()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        return loop.run_until_complete(task)
    finally:
        with contextlib.suppress(Exception):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
