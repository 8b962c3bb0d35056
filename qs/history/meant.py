"""Which runs a comparison is of, where its command line names one of them, or none, or counts back
from the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qs.base.errors import UserError
from qs.comparison.sides import Side
from qs.history.entries import Entry, Wanted, entries, utc
from qs.history.sides import is_recent, side_of


def sides_of(texts: Sequence[str]) -> list[Side]:
    """The runs to compare, the baseline first.

    Of none, the last two runs of the task, backend and kind of command that were measured last; of
    one, that and the last run of its task and backend. `@last` and `@-2` count the runs of the task
    and backend that another text names, or else of the newest run. Raises UserError.
    """
    if not texts:
        return _last_two()
    stated = {text: side_of(text) for text in texts if not is_recent(text)}
    task, hardware = _of(stated)
    sides = [stated.get(text) or side_of(text, task, hardware) for text in texts]
    return sides if len(sides) > 1 else _with_last(sides[0])


def _of(stated: dict[str, Side]) -> tuple[str | None, str | None]:
    """The task and the backend that `@last` is of."""
    if stated:
        result = next(iter(stated.values())).result
        return result.task, result.backend
    newest = entries(Wanted(measured=True, limit=1))
    return (newest[0].task, newest[0].hardware) if newest else (None, None)


def _last_two() -> list[Side]:
    newest = entries(Wanted(measured=True, limit=1))
    if not newest:
        raise UserError("the history has no run to compare; measure first, or name two results")
    last = newest[0]
    wanted = Wanted(last.task, last.hardware, kind=last.kind, measured=True, limit=2)
    before = entries(wanted)
    if len(before) < 2:
        raise UserError(
            f"the history has one {last.kind} of {last.task} on {last.hardware} only, "
            f"#{last.id}; measure again, or name two results: qs compare A B"
        )
    why = f"chosen as one of the last two runs of {last.task} on {last.hardware}"
    return [_noted(f"@{each.id}", why) for each in reversed(before)]


def _with_last(side: Side) -> list[Side]:
    """A run and the last one of its task; if that is the run itself, the one before it is the
    baseline.
    """
    result = side.result
    wanted = Wanted(result.task, result.backend, kind=str(result.kind), measured=True, limit=2)
    # A result file may be that of the newest entry: a run is not compared with itself.
    found = entries(wanted)
    others = [each for each in found if not _is(side, each)]
    if not others:
        raise UserError(
            f"{side.name}: the history has no other run of {result.task} on {result.backend} to "
            "compare it with; name two results: qs compare A B"
        )
    if len(others) < len(found) and others[0] is not found[0]:
        why = f"chosen as the run before it of {result.task} on {result.backend}"
        return [_noted(f"@{others[0].id}", why), side]
    why = f"chosen as the last run of {result.task} on {result.backend}"
    return [side, _noted(f"@{others[0].id}", why)]


def _is(side: Side, found: Entry) -> bool:
    if side.entry is not None:
        return side.entry == found.id
    try:
        return utc(side.result.started) == found.started
    except ValueError:
        return False


def _noted(text: str, why: str) -> Side:
    side = side_of(text)
    return replace(side, notes=(f"{side.name}: {why}", *side.notes))
