"""Every way to name a run, wherever a command takes one: an entry of the history, by its age, its
number or its tag; a result file; a report folder.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from qs.base.errors import UserError
from qs.base.names import LAST, nearest
from qs.comparison.sides import Side, check_measured, from_path
from qs.history.entries import (
    Wanted,
    entries,
    entry,
    local,
    log_text,
    logs_of,
    number_in,
    result_of,
    tagged,
)
from qs.result.kept import now_at
from qs.result.result import Result

MARKS = ("#", "@")
WAYS = "@last, @-2 (the one before the last), @12, @TAG, a result file or a report folder"
_BACK = re.compile(r"-[0-9]{1,9}")


def side_of(
    text: str, task: str | None = None, hardware: str | None = None, measured: bool = True
) -> Side:
    """The run that `text` names.

    `@last` (or `@-1`) is the newest run of the history, `@-2` the one before it, and so on, of the
    task and on the backend if these are given; `@12` and `#12` are numbers, and `@TAG` is the
    newest run with that tag. Anything else is a result file or a report folder. `measured` refuses
    runs that hold no measured case, and counts without them.

    If logs of an entry are gone, a note says so: then what the result itself holds is compared.
    Raises UserError with the nearest name.
    """
    if not is_entry(text):
        return _of_path(text, measured)
    number = _number(text, task, hardware, measured)
    found, result = entry(number), result_of(number)
    if measured:
        check_measured(result, text)
    name = text if text[1:] == str(number) else f"{text} (#{number})"
    gone = sum(log_text(number, log) is None for log in logs_of(result.performance))
    notes = (
        f"{name}: {gone} of its histograms are gone; for those cases only what the result states "
        "is compared",
    )
    return Side(
        f"{name} of {local(found.started)}",
        result,
        partial(log_text, number),
        notes if gone else (),
        _now_at(found.path, result),
        number,
    )


def _now_at(path: str | None, result: Result) -> Path | None:
    """Where an entry's result lies now; where it was written, if it is gone from there."""
    written = Path(path) if path else None
    return written and (now_at(written, result.started) or written)


def is_entry(text: str) -> bool:
    """Whether it names an entry of the history, rather than a file or a folder."""
    return text.startswith(MARKS) and len(text) > 1


def is_recent(text: str) -> bool:
    """Whether it counts back from the newest run: @last, @-2."""
    return text[:1] == "@" and (text[1:] == LAST or _BACK.fullmatch(text[1:]) is not None)


def number_of(text: str, measured: bool = False) -> int:
    """The number of the entry that a command of the history is given: as `side_of` takes it, or
    without its mark (12, last, TAG). Raises UserError.
    """
    marked = text if is_entry(text) else f"@{text}"
    return _number(marked, None, None, measured)


def named(text: str) -> Side:
    """The run that a command of the history is given: as `side_of` takes it, or without its mark if
    no file is called so. Raises UserError.
    """
    whole = is_entry(text) or "/" in text or Path(text).exists()
    return side_of(text if whole else f"@{text}", measured=False)


def recent(
    count: int, task: str | None = None, hardware: str | None = None, kind: str | None = None
) -> list[str]:
    """The newest runs that hold measured cases, as `side_of` takes them, the newest last."""
    found = entries(Wanted(task, hardware, kind=kind, measured=True, limit=count))
    return [f"@{each.id}" for each in reversed(found)]


def _number(text: str, task: str | None, hardware: str | None, measured: bool) -> int:
    mark, name = text[0], text[1:]
    if is_recent(text):
        return _back(text, task, hardware, measured)
    stated = number_in(name)
    if stated is not None:
        return stated
    if mark != "@" or name.isdecimal():
        raise UserError(f"{text}: is not an entry of the history; write {WAYS}")
    return tagged(name)


def _back(text: str, task: str | None, hardware: str | None, measured: bool) -> int:
    back = 1 if text[1:] == LAST else int(text[2:])
    if back < 1:
        raise UserError(f"{text}: is not an entry of the history; @-1 is the last one")
    found = entries(Wanted(task, hardware, measured=measured, limit=back))
    if len(found) == back:
        return found[-1].id
    of = "".join((f" of {task}" if task else "", f" on {hardware}" if hardware else ""))
    have = f"{len(found)} run{'s' * (len(found) != 1)}" if found else "no run"
    raise UserError(f"{text}: the history has {have}{of}; `qs history` lists what there is")


def _of_path(text: str, measured: bool) -> Side:
    try:
        return from_path(text, measured)
    except UserError as error:
        meant = _meant(text)
        if meant is None or Path(text).exists():
            raise
        raise UserError(f"{error}; did you mean {meant!r}?") from None


def _meant(text: str) -> str | None:
    """The entry that is probably meant by a word that is no file."""
    if text == LAST or _BACK.fullmatch(text) or number_in(text) is not None:
        return f"@{text}"
    try:
        tags = {name for each in entries() for name in each.tags}
    except UserError:  # the history has nothing to do with it
        return None
    near = nearest(text, tags)
    return f"@{near}" if near else None
