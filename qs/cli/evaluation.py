"""Runs an evaluation for the command line: signals, output streams, exit status. What is done is qs.pipeline's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from qs.cli.main import INTERRUPTED, INVALID, VALID
from qs.interrupt import Interrupt, Interrupted
from qs.pipeline import INTERRUPTED as STOPPED
from qs.pipeline import evaluate, open_journal
from qs.plan import Request
from qs.progress import open_view
from qs.report.journal import Journal
from qs.stages.prepare import prepare


def run_evaluation(request: Request, as_json: bool, quiet: bool) -> int:
    """Evaluate, print what was asked for, return the exit status."""
    prepared = prepare(request)
    view = open_view(quiet)
    journal = open_journal(prepared, view)
    interrupt = Interrupt()

    def at_once() -> None:
        journal.finish(STOPPED)
        print("interrupted twice: stopped at once", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)  # what runs in child processes dies with this one

    try:
        result = run_on_loop(evaluate(prepared, journal, interrupt), interrupt, at_once)
    except (KeyboardInterrupt, Interrupted):
        report(journal, as_json, quiet)
        print(
            "interrupted; the report holds what was measured" if journal.started else "interrupted",
            file=sys.stderr,
        )
        return INTERRUPTED
    report(journal, as_json, quiet)
    return VALID if result["Verdict"] == "VALID" else INVALID


def report(journal: Journal, as_json: bool, quiet: bool) -> None:
    """With --json the result alone goes to standard output; else the summary does."""
    from qs.report.result import to_result
    from qs.report.summary import print_summary

    result = to_result(journal.record)
    if as_json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
    if not quiet:
        where = str(journal.folder.result) if journal.started else None
        print_summary(result, where, sys.stderr if as_json else sys.stdout)


def run_on_loop(work: Coroutine[Any, Any, Any], interrupt: Interrupt, at_once: Callable[[], None]) -> Any:
    """Run a coroutine on uvloop where it is installed. The first Ctrl-C or SIGTERM interrupts it, a second calls `at_once`."""
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
