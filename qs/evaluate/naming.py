"""The name of a model file in reports: one that no other model's report has already.

Many models are called model.onnx, and two of one name may lie in two folders. A report belongs to
a model, by its path or its content; another model of that name gets as many of its folders' names
before its own as tell the two apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from qs.artifact.model_info import plain_name
from qs.base.errors import UserError
from qs.base.files import read_text
from qs.evaluate.checks import given_model
from qs.result.folder import ASIDE

_LONGEST = 100  # characters of a name, with its folders


class _Model:
    """The model that is asked for; its content is read only where paths differ."""

    def __init__(self, described: Mapping[str, Any]):
        self._described = dict(described)
        self.path = str(described["path"])
        self.served = described.get("served") is not None

    @cached_property
    def content(self) -> tuple[Any, Any]:
        found = given_model(self._described)
        return found["sha256"], found["data"]

    def has(self, report: Path) -> bool:
        """Whether all results in the report's folder are of this model."""
        sources = [_source(path) for kind in ("result", "sweep") for path in _files(report, kind)]
        return all(each is None or self._is(each) for each in sources)

    def _is(self, source: Mapping[str, Any]) -> bool:
        if source.get("path") == self.path:
            return True
        if self.served or source.get("served"):
            return False
        return (source.get("sha256"), source.get("data") or {}) == self.content


def told_apart(described: Mapping[str, Any], reports: Path) -> str:
    """The name under which the described file's report can lie in `reports` beside those of other
    models.
    """
    model, name = _Model(described), str(described["name"])
    if model.has(reports / name):
        return name
    longer = name
    for folder in Path(model.path).parents:
        before = plain_name(folder.name)
        if before and not longer.startswith(f"{before}-"):
            longer = f"{before}-{longer}"
        if len(longer) > _LONGEST:
            break
        if longer != name and model.has(reports / longer):
            return longer
    return f"{name}-{hashlib.sha256(model.path.encode(errors='surrogateescape')).hexdigest()[:8]}"


def _files(folder: Path, kind: str) -> list[Path]:
    return [path for end in ("", ASIDE) for path in sorted(folder.glob(f"{kind}-*.json{end}"))]


def _source(path: Path) -> Mapping[str, Any] | None:
    """What a result says of its model's file; None if it says nothing."""
    try:
        found = json.loads(read_text(path))
    except (UserError, ValueError, RecursionError):
        return None
    source = found.get("Model Source") if isinstance(found, dict) else None
    return source if isinstance(source, dict) and source.get("path") else None
