"""The end of a command that has measured something: the entry in the history, what is printed, and
the exit status.
"""

from __future__ import annotations

import sys

from qs.base.interrupt import EXIT_STATUS
from qs.cli.main import INVALID, VALID
from qs.evaluate.running import Ended
from qs.history import record
from qs.render.terminal import print_summary
from qs.result.row import Verdict
from qs.watch.view import View


def conclude(ended: Ended, view: View, history: bool, as_json: bool, quiet: bool) -> int:
    """Remember and print how a run ended; return the exit status.

    With `as_json` the result alone goes to standard output, otherwise the summary does.
    """
    result, folder = ended.result, ended.folder
    if history and ended.record.rows:
        record(result, folder.result.absolute() if folder else None, view.warn)
    plain = result.to_dict()
    if as_json:
        import orjson

        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(plain, option=option))
        sys.stdout.buffer.flush()
    if not quiet:
        stream = sys.stderr if as_json else sys.stdout
        print_summary(plain, str(folder.result) if folder else None, stream)
        if folder and folder.page.is_file():
            print(f"page: {folder.page}", file=stream)
    if ended.interrupted:
        kept = "; the report holds what was measured" if folder else ""
        print(f"interrupted{kept}", file=sys.stderr)
        return EXIT_STATUS
    return VALID if ended.record.verdict == Verdict.VALID else INVALID
