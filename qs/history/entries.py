"""The entries of the history: recording a result, finding, tagging and removing entries.

An entry is the whole result, columns to find it by, and the logs of response times that it names.
The logs are kept because the next run of the same task overwrites them, and a comparison with last
week's run needs last week's. Each function is one transaction; all but `record` raise UserError if
an entry does not exist.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.base.storable import text
from qs.history.database import connected, database
from qs.result.beside import MOST_LOG_BYTES, content_of
from qs.result.result import Result
from qs.result.row import Row
from qs.result.saved import MOST_BYTES, parsed

MOST_NAMED = 10  # tags in a message
ONCE = ("started", "kind", "task", "hardware", "path")  # what makes two results the same one
# A log above this is not kept, only recognised by its digest as long as it is where it was.
MOST_KEPT_BYTES = 4_000_000
TIME_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
MOMENTS = (
    "a date (2026-11-24), a date and time (2026-11-24T10:00), or a time ago (30m, 12h, 7d, 4w)"
)


@dataclass(frozen=True)
class Wanted:
    """Which entries: everything that is given must match."""

    task: str | None = None
    # Hardware and model match regardless of case.
    hardware: str | None = None
    model: str | None = None
    kind: str | None = None
    verdict: str | None = None
    tag: str | None = None
    # Only those that hold measured cases.
    measured: bool = False
    # Times as ISO 8601.
    since: str | None = None
    before: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Entry:
    """The columns of one entry, without its result."""

    id: int
    started: str
    kind: str
    task: str
    hardware: str
    model: str
    precision: str | None
    status: str
    verdict: str
    cases: int
    qs_version: str | None
    runtime_version: str | None
    cpu: str | None
    path: str | None
    tags: tuple[str, ...] = ()


COLUMNS = ", ".join(each.name for each in fields(Entry) if each.name != "tags")


def record(
    result: Result,
    result_path: Path | None,
    warn: Callable[[str], None] = lambda text: None,
    tags: Sequence[str] = (),
) -> int | None:
    """Keep a result under these tags; returns the number of its entry. A result that is there
    already (from a sweep that was resumed) is replaced. `result_path` is where the result was
    written, if it was.

    Nothing is raised, because a measurement must not fail for its history: if the result cannot be
    kept, `warn` gets one line, and None is returned.
    """
    try:
        entry = _columns_of(result, result_path)
        logs = list(_logs(result, result_path))
        with connected(write=True) as connection:
            columns = ", ".join(entry)
            changed = ", ".join(f"{name} = excluded.{name}" for name in entry)
            connection.execute(
                f"INSERT INTO entries ({columns}) VALUES ({', '.join('?' * len(entry))}) "
                f"ON CONFLICT ({', '.join(ONCE)}) DO UPDATE SET {changed}",
                tuple(entry.values()),
            )
            # lastrowid says nothing about an entry that was there already.
            where = " AND ".join(f"{name} IS ?" for name in ONCE)
            (number,) = connection.execute(
                f"SELECT max(id) FROM entries WHERE {where}", tuple(entry[name] for name in ONCE)
            ).fetchone()
            connection.execute("DELETE FROM histograms WHERE entry = ?", (number,))
            connection.executemany(
                "INSERT INTO histograms VALUES (?, ?, ?, ?)", [(number, *log) for log in logs]
            )
            connection.executemany(
                "INSERT OR IGNORE INTO tags VALUES (?, ?)", [(number, name) for name in tags]
            )
        return int(number)
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        warn(f"this run is not in the history: {why}")
        return None


def entries(wanted: Wanted = Wanted()) -> list[Entry]:
    """The entries, newest first."""
    where, values = _where(wanted)
    limit = "" if wanted.limit is None else f" LIMIT {int(wanted.limit)}"
    with connected() as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM entries{where} ORDER BY started DESC, id DESC{limit}", values
        ).fetchall()
        tags = _tags(connection)
    return [Entry(**dict(row), tags=tags.get(row["id"], ())) for row in rows]


def entry(number: int) -> Entry:
    """One entry by its number."""
    with connected() as connection:
        row = connection.execute(
            f"SELECT {COLUMNS} FROM entries WHERE id = ?", (number,)
        ).fetchone()
        if row is None:
            raise _absent([number])
        return Entry(**dict(row), tags=_tags(connection).get(number, ()))


def result_of(number: int) -> Result:
    """The whole result of an entry."""
    with connected() as connection:
        row = connection.execute("SELECT result FROM entries WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise _absent([number])
    return parsed(_unpacked(row["result"], number), f"entry #{number} of the history")


def _unpacked(blob: object, number: int, most_bytes: int = MOST_BYTES) -> bytes:
    """What was packed into the database. Raises UserError if it is damaged there."""
    try:
        packing = zlib.decompressobj()
        content = packing.decompress(blob, most_bytes)  # type: ignore[arg-type]
    except (TypeError, zlib.error) as error:
        content, why = b"", str(error)
    else:
        why = "" if packing.eof else "it is cut off, or too large"
    if why:
        raise UserError(
            f"entry #{number} of the history {database()} is damaged: {why}; "
            f"remove it with: qs history delete {number}"
        )
    return content


def log_text(number: int, name: str) -> str | None:
    """The text of a log that an entry's result names; None if it was not kept, and is no longer
    where it was with the same content.
    """
    with connected() as connection:
        row = connection.execute(
            "SELECT sha256, content, path FROM histograms JOIN entries ON id = entry "
            "WHERE entry = ? AND name = ?",
            (number, name),
        ).fetchone()
    if row is None:
        return None
    if row["content"] is not None:
        return _unpacked(row["content"], number).decode(errors="replace")
    content = content_of(Path(row["path"]).parent, name, MOST_LOG_BYTES)
    if content is None or hashlib.sha256(content).hexdigest() != row["sha256"]:
        return None
    return content.decode()


def tag(number: int, name: str, remove: bool = False) -> bool:
    """Put a tag on an entry, or take it off; returns whether that changed anything."""
    entry(number)
    with connected(write=True) as connection:
        statement = (
            "DELETE FROM tags WHERE entry = ? AND name = ?"
            if remove
            else "INSERT OR IGNORE INTO tags VALUES (?, ?)"
        )
        return connection.execute(statement, (number, name)).rowcount > 0


def tagged(name: str) -> int:
    """The newest entry with a tag; if there is none, the error names the nearest tag."""
    with connected() as connection:
        row = connection.execute(
            "SELECT id FROM entries JOIN tags ON id = entry WHERE name = ? "
            "ORDER BY started DESC, id DESC LIMIT 1",
            (name,),
        ).fetchone()
        known = [each["name"] for each in connection.execute("SELECT DISTINCT name FROM tags")]
    if row is not None:
        return int(row["id"])
    near = nearest(name, known)
    known_tags = f"; its tags: {', '.join(sorted(known)[:MOST_NAMED])}" if known else ""
    raise UserError(
        f"no entry of the history has the tag {name!r}"
        + (f"; did you mean {near!r}?" if near else known_tags)
    )


def delete(numbers: Sequence[int] = (), before: str | None = None) -> int:
    """Remove entries, with their tags and logs, by number or by age; returns how many. If one does
    not exist, none is removed.
    """
    with connected(write=True) as connection:
        there = {row["id"] for row in connection.execute("SELECT id FROM entries")}
        missing = [number for number in numbers if number not in there]
        if missing:
            raise _absent(missing)
        gone = 0
        for number in dict.fromkeys(numbers):
            gone += connection.execute("DELETE FROM entries WHERE id = ?", (number,)).rowcount
        if before is not None:
            gone += connection.execute(
                "DELETE FROM entries WHERE started < ?", (utc(before),)
            ).rowcount
    if gone:
        _give_back()
    return gone


def number_in(text: str) -> int | None:
    """The number of an entry as a person writes it; None if it is none, as SQLite counts."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return number if 0 < number < 2**63 else None


def logs_of(rows: Iterable[Row]) -> list[str]:
    """The names of the logs of these rows and of their measures, each once."""
    return list(dict.fromkeys(name for row in rows for name in (*row.logs, *row.measure_logs)))


def _give_back() -> None:
    """Shrink the file; if another process is using it, it is shrunk another time."""
    connection = sqlite3.connect(database(), timeout=0.5, isolation_level=None)
    try:
        connection.execute("VACUUM")
    except sqlite3.Error:
        pass
    finally:
        connection.close()


def task_named(text: str) -> str:
    """The only task of the history whose name begins so, else the text itself. UserError for
    several.
    """
    with connected() as connection:
        names = [row["task"] for row in connection.execute("SELECT DISTINCT task FROM entries")]
    folded = text.casefold().replace("_", "-")
    begun = sorted(
        name for name in names if str(name).casefold().replace("_", "-").startswith(folded)
    )
    if text in names or not begun:
        return text
    if len(begun) > 1:
        more = f" and {len(begun) - MOST_NAMED} more" if len(begun) > MOST_NAMED else ""
        raise UserError(
            f"--task {text}: {len(begun)} tasks of the history begin so: "
            f"{', '.join(begun[:MOST_NAMED])}{more}"
        )
    return str(begun[0])


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    terms, values = [], []
    for name in ("task", "kind", "verdict"):
        if getattr(wanted, name) is not None:
            terms.append(f"{name} = ?")
            values.append(getattr(wanted, name))
    for name in ("hardware", "model"):
        if getattr(wanted, name) is not None:
            terms.append(f"{name} = ? COLLATE NOCASE")
            values.append(getattr(wanted, name))
    if wanted.measured:
        terms.append("cases > 0")
    if wanted.tag is not None:
        terms.append("id IN (SELECT entry FROM tags WHERE name = ?)")
        values.append(wanted.tag)
    for moment, sign in ((wanted.since, ">="), (wanted.before, "<")):
        if moment is not None:
            terms.append(f"started {sign} ?")
            values.append(utc(moment))
    return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def _tags(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for row in connection.execute("SELECT entry, name FROM tags ORDER BY name"):
        found[row["entry"]] = (*found.get(row["entry"], ()), row["name"])
    return found


def _absent(numbers: Sequence[int]) -> UserError:
    named = ", ".join(f"#{number}" for number in numbers)
    return UserError(f"the history has no entry {named}; `qs history` lists what there is")


def _columns_of(result: Result, result_path: Path | None) -> dict[str, Any]:
    return {
        "started": utc(result.started),
        "kind": str(result.kind),
        "task": result.task,
        "hardware": result.backend,
        "model": result.model.lower(),
        "precision": result.graph_compile and result.graph_compile.precision,
        "status": str(result.status),
        "verdict": str(result.verdict),
        "cases": len(result.performance),
        "qs_version": result.qs_version,
        "runtime_version": result.runtime_version,
        "cpu": result.host_info,
        "path": None if result_path is None else text(str(result_path.absolute())),
        "result": zlib.compress(json.dumps(result.to_dict(), default=str).encode()),
    }


def _logs(result: Result, result_path: Path | None) -> Iterable[tuple[str, str, bytes | None]]:
    """Name, digest and content of each log that exists."""
    if result_path is None:
        return
    for name in logs_of(result.performance):
        content = content_of(result_path.parent, name, MOST_LOG_BYTES)
        if content is None:
            continue
        kept = zlib.compress(content) if len(content) <= MOST_KEPT_BYTES else None
        yield name, hashlib.sha256(content).hexdigest(), kept


def moment(text: str, now: datetime | None = None) -> str:
    """A date, a date and time, or how long ago, as ISO 8601 with the offset from UTC; without one
    it is local. Raises ValueError for anything else.
    """
    text = text.strip()
    count = number_in(text[:-1]) if text[-1:] in TIME_UNITS else None
    if count is not None:
        found = (now or datetime.now()).astimezone() - count * TIME_UNITS[text[-1]]
    else:
        found = _read(text).astimezone()
    utc(found.isoformat())  # the first and the last day of all may have none
    return found.isoformat()


def utc(moment: str) -> str:
    """A time as the database sorts it: UTC, to the microsecond."""
    time = _read(moment)
    time = time.replace(tzinfo=time.tzinfo or timezone.utc).astimezone(timezone.utc)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(text: str) -> datetime:
    """From ISO 8601. Times of the database end in Z, which Python 3.10 does not read."""
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def local(started: str) -> str:
    """A time of the database as a person reads it, with its zone."""
    try:
        moment = datetime.strptime(started, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError:  # nothing of ours wrote it
        return started
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")
