"""Saved results, of this version or an older one, read into today's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qs.base.errors import Fault, Faults, UserError
from qs.result.result import SCHEMA, Result

# The first results of version 1 had no failures, and these may be missing from them too.
_ABSENT_ONCE: dict[str, Any] = {"Kind": "run", "Failures": [], "Warnings": [], "Reasons": []}


def read_result(path: Path) -> Result:
    """The result in a file. Raises UserError if it is not a result, or its version is unknown."""
    return typed(_content(path), str(path))


def typed(plain: Any, where: str) -> Result:
    """A result from what its JSON holds. Raises UserError with every place that is wrong."""
    plain = _checked(plain, where)
    try:
        return Result.model_validate(plain)
    except ValidationError as error:
        raise Faults([_fault(where, each) for each in error.errors()]) from None


def _checked(plain: Any, where: str) -> dict[str, Any]:
    """Refuse what is not a result of this version; an older one gets the keys that it has not."""
    if not isinstance(plain, dict) or "schema_version" not in plain or "Backend" not in plain:
        allowed = "a result JSON of qs run, qs load or qs sweep, or its folder"
        raise Faults([Fault(where, "", "not a result", allowed)])
    version = plain["schema_version"]
    if version != SCHEMA:
        hint = "it was written by another version of qs"
        raise Faults([Fault(where, "schema_version", version, str(SCHEMA), hint=hint)])
    return _ABSENT_ONCE | plain


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: is not a JSON file: {error}") from None


def _fault(where: str, error: Any) -> Fault:
    place = ".".join(str(each) for each in error["loc"])
    if error["type"] == "missing":
        return Fault(where, place, "missing", "a key that every result has")
    return Fault(where, place, error["input"], error["msg"])
