"""What the last run of a report's folder took, to say of the next one about how long it takes.

The files may be of an older version, or damaged: what cannot be read is not known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import read_text
from qs.result.folder import plain

STEP = "step"  # the event that notes one
_MOST_BYTES = 16 << 20
_RESULTS = ("result-*.json", "sweep-*.json", "numeric-*.json")


@dataclass(frozen=True)
class LastTime:
    """Seconds by name; on how many items the accuracy was measured."""

    steps: Mapping[str, float] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    accuracy_items: int | None = None
    cases: int = 0  # measured in the stage "performance"


def last_time(folder: Path) -> LastTime:
    """What the newest files in the folder say; newer ones count before older ones."""
    steps: dict[str, float] = {}
    for log in _by_age(folder, "events*.jsonl"):
        steps |= _steps(log)
    stages: dict[str, float] = {}
    items, cases = None, 0
    for result in (plain(path) for pattern in _RESULTS for path in _by_age(folder, pattern)):
        durations = result.get("Durations")
        if isinstance(durations, dict):
            stages |= {str(name): each for name, each in durations.items() if _is_time(each)}
            rows = result.get("Performance")
            cases = len(rows) if "performance" in durations and isinstance(rows, list) else cases
        stages |= _numeric(result)
        accuracy = result.get("Accuracy")
        found = accuracy.get("Items") if isinstance(accuracy, dict) else None
        items = found if type(found) is int and found > 0 else items
    return LastTime(steps, stages, items, cases)


def _numeric(result: Mapping[str, Any]) -> dict[str, float]:
    """The comparison without its reference, which is in the cache since."""
    try:
        whole = result["Durations"]["numeric"]
        reference = result["Accuracy"]["Numeric"]["reference"]
        computed = 0.0 if reference["cached"] else reference["seconds"]
    except (KeyError, TypeError):
        return {}
    left = whole - computed if _is_time(whole) and _is_time(computed) else -1.0
    return {"numeric": left} if left >= 0 else {}


def _steps(log: Path) -> dict[str, float]:
    try:
        lines = read_text(log, _MOST_BYTES).splitlines()
    except UserError:
        return {}
    return dict(_noted(lines))


def _noted(lines: list[str]) -> Iterator[tuple[str, float]]:
    for line in lines:
        if f'"{STEP}"' not in line:
            continue
        try:
            event = json.loads(line)
            if event["event"] == STEP and _is_time(event["seconds"]):
                yield str(event["step"]), float(event["seconds"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf  # type: ignore[operator]


def _by_age(folder: Path, pattern: str) -> list[Path]:
    """Oldest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.glob(pattern) if path.is_file()]
    except OSError:
        return []
    return [path for _, path in sorted(found)]
