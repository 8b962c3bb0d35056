"""A new entry: the whole result, columns to find it by, and the logs of response times that it
names.

The logs are kept because the next run of the same task writes its own over them, and a comparison
with last week's run needs last week's.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ONCE = ("started", "kind", "task", "hardware", "path")  # what makes two results the same one
# A log above this is not kept, only known again by its digest where it still lies.
MOST_BYTES = 4_000_000


def record(
    result: Mapping[str, Any],
    result_path: Path | None,
    warn: Callable[[str], None] = lambda text: None,
) -> int | None:
    """Keep a result; return the entry's number. A result that is there already (a sweep that was
    taken up again) is replaced.

    result_path   where the result was written, None where it was not
    warn          hears one line where it cannot be kept; nothing is raised, because a measurement
                  must not fail for its history
    """
    from qs.history.database import opened

    try:
        entry = entry_of(result, result_path)
        logs = list(_logs(result, result_path))
        with opened(write=True) as connection:
            columns = ", ".join(entry)
            changed = ", ".join(f"{name} = excluded.{name}" for name in entry)
            connection.execute(
                f"INSERT INTO entries ({columns}) VALUES ({', '.join('?' * len(entry))}) "
                f"ON CONFLICT ({', '.join(ONCE)}) DO UPDATE SET {changed}",
                tuple(entry.values()),
            )
            # lastrowid says nothing of an entry that was there already.
            where = " AND ".join(f"{name} IS ?" for name in ONCE)
            (number,) = connection.execute(
                f"SELECT max(id) FROM entries WHERE {where}", tuple(entry[name] for name in ONCE)
            ).fetchone()
            connection.execute("DELETE FROM histograms WHERE entry = ?", (number,))
            connection.executemany(
                "INSERT INTO histograms VALUES (?, ?, ?, ?)", [(number, *log) for log in logs]
            )
        return int(number)
    except Exception as error:
        warn(
            f"this run is not in the history: {' '.join(str(error).split()) or type(error).__name__}"
        )
        return None


def entry_of(result: Mapping[str, Any], result_path: Path | None) -> dict[str, Any]:
    """The columns."""
    return {
        "started": utc(result["Started"]),
        "kind": result.get("Kind", "run"),
        "task": result["Task"],
        "hardware": result["Backend"],
        "model": result["Model"].lower(),
        "precision": (result.get("Graph Compile") or {}).get("Compile Precision"),
        "status": result["Status"],
        "verdict": result["Verdict"],
        "cases": len(result.get("Performance") or ()),
        "qs_version": result.get("QS Version"),
        "runtime_version": result.get("Runtime Version"),
        "cpu": result.get("Host Info"),
        "path": None if result_path is None else str(result_path.absolute()),
        "result": zlib.compress(json.dumps(result, default=str).encode()),
    }


def utc(moment: str) -> str:
    """A time as the database sorts it: UTC, to the microsecond."""
    found = datetime.fromisoformat(moment)
    found = (
        found.replace(tzinfo=timezone.utc)
        if found.tzinfo is None
        else found.astimezone(timezone.utc)
    )
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def histograms_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The logs that rows name, each once."""
    names = [
        name for row in rows for name in (row.get("Histograms") or [row.get("Histogram")]) if name
    ]
    return list(dict.fromkeys(names))


def _logs(
    result: Mapping[str, Any], result_path: Path | None
) -> Iterable[tuple[str, str, bytes | None]]:
    """Name, digest and content of each log that is there."""
    if result_path is None:
        return
    for name in histograms_of(result.get("Performance") or ()):
        try:
            content = (result_path.parent / name).read_bytes()
        except OSError:
            continue
        kept = zlib.compress(content) if len(content) <= MOST_BYTES else None
        yield name, hashlib.sha256(content).hexdigest(), kept
