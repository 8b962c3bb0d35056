"""A saved result, of this version or an older one, as today's readers expect it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults, UserError


def read_json(path: Path) -> dict[str, Any]:
    """The result in a file. Raises UserError where it is none, or of a version that is not known."""
    try:
        result = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: is no JSON file: {error}") from None
    return checked(result, str(path))


def checked(result: Any, where: str) -> dict[str, Any]:
    """Refuse what is no result of ours. An older one gets what it lacks."""
    from qs.result.result import SCHEMA

    if not isinstance(result, dict) or "schema_version" not in result or "Backend" not in result:
        raise Faults(
            [
                Fault(
                    where,
                    "",
                    "not a result",
                    "a result JSON of qs run, qs load or qs sweep, or its folder",
                )
            ]
        )
    version = result["schema_version"]
    if version != SCHEMA:
        hint = "it was written by another version of qs"
        raise Faults([Fault(where, "schema_version", version, str(SCHEMA), hint=hint)])
    # The first results of version 1 had no kind, and no failures.
    return {"Kind": "run", "Failures": [], "Warnings": [], "Reasons": [], **result}
