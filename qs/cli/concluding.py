"""The end of a command that has measured something: the entry in the history, what is printed, and
the exit status.
"""

from __future__ import annotations

import sys

from qs.base.console import print_json
from qs.base.interrupt import EXIT_STATUS
from qs.cli.commands import INVALID, VALID
from qs.evaluate.running import Ended
from qs.history import record
from qs.render.terminal import print_story
from qs.result.row import Verdict
from qs.result.story import story_of
from qs.watch.view import View


def conclude(ended: Ended, view: View, history: bool, as_json: bool, quiet: bool) -> int:
    """Remember and print how a run ended; return the exit status.

    With `as_json` the result alone goes to standard output, otherwise the summary does.
    """
    result, folder = ended.result, ended.folder
    if history and ended.record.rows:
        record(result, folder.result.absolute() if folder else None, view.warn)
    if as_json:
        print_json(result.to_dict())
    if not quiet:
        stream = sys.stderr if as_json else sys.stdout
        story = story_of(result, folder.path if folder else None)
        print_story(story, str(folder.result) if folder else None, stream)
        if folder and folder.page.is_file():
            print(f"page: {folder.page}", file=stream)
    if ended.interrupted:
        kept = "; the report holds what was measured" if folder else ""
        print(f"interrupted{kept}", file=sys.stderr)
        return EXIT_STATUS
    return VALID if ended.record.verdict == Verdict.VALID else INVALID
