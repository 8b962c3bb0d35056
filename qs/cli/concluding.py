"""The end of a command that has measured something: the entry in the history, what is printed, and
the exit status.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from qs.base.console import print_json
from qs.base.interrupt import EXIT_STATUS
from qs.base.visible import visible
from qs.cli.commands import INVALID, USER_ERROR, VALID
from qs.cli.gating import gated
from qs.evaluate.prepare import Prepared
from qs.evaluate.running import Ended
from qs.history import record
from qs.render.terminal import print_story
from qs.result.gate import GateOutcome
from qs.result.result import Kind
from qs.result.row import Verdict
from qs.result.story import story_of
from qs.watch.view import View

_NAMED = 3  # of the files that could not be written


def remember(ended: Ended, view: View) -> None:
    """Enter a run into the history, if it has measured something and may be remembered."""
    if ended.request.history and (ended.record.rows or ended.record.numeric):
        path = ended.folder.result.absolute() if ended.folder else None
        record(ended.result, path, view.warn, ended.request.tags)


def conclude(ended: Ended, view: View, as_json: bool, quiet: bool) -> int:
    """Remember and print how a run ended; return the exit status.

    With `as_json` the result alone goes to standard output, otherwise the summary does.
    """
    remember(ended, view)
    result, folder = ended.result, ended.folder
    if as_json:
        print_json(result.to_dict())
    if not quiet:
        stream = sys.stderr if as_json else sys.stdout
        story = story_of(result, folder.path if folder else None)
        whole = folder if folder and folder.result.name not in ended.unwritten else None
        told = getattr(view, "warned", ()) if _one_stream(stream, sys.stderr) else ()
        page = whole.page if whole and whole.page.is_file() else None
        print_story(story, str(whole.result) if whole else None, stream, told, page)
    elif gates := [each for each in result.gates if each.outcome is not GateOutcome.NOT]:
        for each in gates:
            print(f"--fail_if {visible(each.sentence)}", file=sys.stderr)
    wrong = wrong_in(ended)
    if wrong:
        print(f"error: {wrong}", file=sys.stderr)
    if ended.interrupted:
        kept = "; the report holds what was measured" if folder and not wrong else ""
        if kept and ended.record.kind is Kind.SWEEP:
            kept += "; the same command with --resume goes on from there"
        print(f"interrupted{kept}", file=sys.stderr)
    return status_of(ended)


def status_of(ended: Ended) -> int:
    """The exit status that a run asks for."""
    if ended.interrupted:
        return EXIT_STATUS
    if wrong_in(ended):
        return USER_ERROR
    if ended.record.verdict != Verdict.VALID:
        return INVALID
    return gated(ended.record.gates, ended.request.allow_unclear)


def show_plan(prepared: Prepared, as_json: bool) -> int:
    """What --dry_run prints; the exit status."""
    from qs.evaluate.outline import outline

    planned = outline(prepared)
    if as_json:
        print_json(planned.to_dict())
    else:
        print("\n".join(planned.lines()))
    return VALID


def _one_stream(one: TextIO, other: TextIO) -> bool:
    """Whether both go to the same terminal, pipe or file: what one has said need not be repeated
    on the other.
    """
    try:
        return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
    except (OSError, ValueError):  # no file behind one of them
        return False


def wrong_in(ended: Ended) -> str:
    """What the user has to correct, though something was measured; empty if there is nothing."""
    said = [] if ended.error is None else [str(ended.error)]
    lacking = list(ended.unwritten.values())
    if lacking:
        more = len(lacking) - _NAMED
        lacking = lacking[:_NAMED] + ([f"and {more} more"] if more > 0 else [])
        said.append(f"the report is not complete: {'; '.join(lacking)}")
    return "; ".join(said)
