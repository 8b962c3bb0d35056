"""Saved results, of this version or an older one, read into today's models.

A result may have been damaged, edited or made up. What passes here is of the declared types, so
nothing that reads a result later has to look again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.base.files import read_regular
from qs.result.result import SCHEMA, UNFINISHED, Result, Status
from qs.result.row import Verdict

MOST_BYTES = 200_000_000
MOST_FAULTS = 10  # are named; a file of another kind would have thousands
# The first results of version 1 had no failures, and these may be missing from them too.
_ABSENT_ONCE: dict[str, Any] = {"Kind": "run", "Failures": [], "Warnings": [], "Reasons": []}
# How pydantic names the members of a union, below the place of the value.
_MEMBERS = ("int", "float")


def read_result(path: Path) -> Result:
    """The result in a file. Raises UserError if it is not a result, or its version is unknown."""
    return parsed(read_regular(path, MOST_BYTES), str(path))


def parsed(content: bytes, where: str) -> Result:
    """A result from the text of its file. Raises UserError as `read_result` does."""
    try:
        plain = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{where}: is not a JSON file: {error}") from None
    return typed(plain, where)


def typed(plain: Any, where: str) -> Result:
    """A result from what its JSON holds. Raises UserError with the places that are wrong."""
    plain = _checked(plain, where)
    try:
        # From JSON again: of that alone, pydantic takes a word for an enum but no text for a
        # number.
        result = Result.model_validate_json(orjson.dumps(plain), strict=True)
    except orjson.JSONEncodeError:  # a TypeError: nested too deeply, or what no JSON can hold
        raise UserError(f"{where}: is nested too deeply to be a result") from None
    except ValidationError as error:
        raise Faults(_faults(where, error.errors())) from None
    return _ended(result)


def _ended(result: Result) -> Result:
    """Older versions called a run VALID before its end, as its rows were so far."""
    if not result.valid or result.status in (Status.COMPLETE, Status.COMPILED):
        return result
    why = UNFINISHED.get(result.status, f"the run did not come to its end: {result.status}")
    changes = {"verdict": Verdict.INVALID, "reasons": [why, *result.reasons]}
    return result.model_copy(update=changes)


def _checked(plain: Any, where: str) -> dict[str, Any]:
    """Refuse what is not a result of this version; an older one gets the keys that it has not."""
    if not isinstance(plain, dict) or "schema_version" not in plain or "Backend" not in plain:
        allowed = "a result JSON of qs run, qs load or qs sweep, or its folder"
        raise Faults([Fault(where, "", "not a result", allowed)])
    version = plain["schema_version"]
    if type(version) is not int or version != SCHEMA:
        hint = "it was written by another version of qs"
        raise Faults([Fault(where, "schema_version", version, str(SCHEMA), hint=hint)])
    return _ABSENT_ONCE | plain


def _faults(where: str, errors: Iterable[Any]) -> list[Fault]:
    """One for each place, the first of them."""
    by_place: dict[str, Fault] = {}
    for error in errors:
        place = [str(each) for each in error["loc"]]
        number = place[-1:] and place[-1] in _MEMBERS
        name = ".".join(place[:-1] if number else place)
        by_place.setdefault(name, _fault(where, name, error, "a number" if number else ""))
    faults = list(by_place.values())
    if len(faults) > MOST_FAULTS:
        more = f"{len(faults) - MOST_FAULTS} more places"
        faults[MOST_FAULTS:] = [Fault(where, "", more, "what the schema of results says")]
    return faults


def _fault(where: str, place: str, error: Any, allowed: str) -> Fault:
    if error["type"] == "missing":
        return Fault(where, place, MISSING, "a key that every result has")
    return Fault(
        where, place, error["input"], allowed or error["msg"].removeprefix("Input should be ")
    )
