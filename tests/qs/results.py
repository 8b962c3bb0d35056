"""Result files as tests read them: each is held against the published schema on the way."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema

from qs.schema.published import schema_of


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of("result"))


def read_result(path: Path) -> dict:
    """The result in a file; a ValidationError names the place where it is not what the schema
    says.
    """
    result = json.loads(path.read_text())
    _validator().validate(result)
    return result
