"""Finding, tagging and removing entries. Each function is one transaction; UserError where an entry
is not there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.history.database import database, opened
from qs.history.recording import utc


@dataclass(frozen=True)
class Wanted:
    """Which entries: all that is given must hold. since, before: a time as ISO 8601; hardware and
    model without regard to case.
    """

    task: str | None = None
    hardware: str | None = None
    model: str | None = None
    kind: str | None = None
    verdict: str | None = None
    tag: str | None = None
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


def entries(wanted: Wanted = Wanted()) -> list[Entry]:
    """The entries, newest first."""
    where, values = _where(wanted)
    limit = "" if wanted.limit is None else f" LIMIT {int(wanted.limit)}"
    with opened() as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM entries{where} ORDER BY started DESC, id DESC{limit}", values
        ).fetchall()
        tags = _tags(connection)
    return [Entry(**dict(row), tags=tags.get(row["id"], ())) for row in rows]


def entry(number: int) -> Entry:
    """One entry. UserError where there is none of that number."""
    with opened() as connection:
        row = connection.execute(
            f"SELECT {COLUMNS} FROM entries WHERE id = ?", (number,)
        ).fetchone()
        if row is None:
            raise _absent([number])
        return Entry(**dict(row), tags=_tags(connection).get(number, ()))


def result_of(number: int) -> dict[str, Any]:
    """The whole result of an entry."""
    with opened() as connection:
        row = connection.execute("SELECT result FROM entries WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise _absent([number])
    return json.loads(zlib.decompress(row["result"]))


def histogram_of(number: int, name: str) -> str | None:
    """The text of a log that an entry's result names; None where it was not kept and does not lie
    where it was with the same content.
    """
    with opened() as connection:
        row = connection.execute(
            "SELECT sha256, content, path FROM histograms JOIN entries ON id = entry WHERE entry = ? AND name = ?",
            (number, name),
        ).fetchone()
    if row is None:
        return None
    if row["content"] is not None:
        return zlib.decompress(row["content"]).decode()
    try:
        content = (Path(row["path"]).parent / name).read_bytes()
    except OSError:
        return None
    return content.decode() if hashlib.sha256(content).hexdigest() == row["sha256"] else None


def tag(number: int, name: str, remove: bool = False) -> bool:
    """Put a tag on an entry, or take it off; whether that changed anything."""
    entry(number)
    with opened(write=True) as connection:
        if remove:
            return (
                connection.execute(
                    "DELETE FROM tags WHERE entry = ? AND name = ?", (number, name)
                ).rowcount
                > 0
            )
        return (
            connection.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (number, name)).rowcount
            > 0
        )


def tagged(name: str) -> int:
    """The newest entry with a tag. UserError that names the nearest tag where there is none."""
    with opened() as connection:
        row = connection.execute(
            "SELECT id FROM entries JOIN tags ON id = entry WHERE name = ? ORDER BY started DESC, id DESC LIMIT 1",
            (name,),
        ).fetchone()
        known = [each["name"] for each in connection.execute("SELECT DISTINCT name FROM tags")]
    if row is not None:
        return int(row["id"])
    near = nearest(name, known)
    raise UserError(
        f"no entry of the history has the tag {name!r}"
        + (f"; did you mean {near!r}?" if near else "")
    )


def delete(numbers: Sequence[int] = (), before: str | None = None) -> int:
    """Remove entries, with their tags and logs, by number or by age; how many went. UserError, and
    none goes, where one is not there.
    """
    with opened(write=True) as connection:
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


def _give_back() -> None:
    """Shrink the file. Where another process uses it, it is shrunk another time."""
    connection = sqlite3.connect(database(), timeout=0.5, isolation_level=None)
    try:
        connection.execute("VACUUM")
    except sqlite3.Error:
        pass
    finally:
        connection.close()


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


def local(started: str) -> str:
    """A time of the database as a person reads it."""
    moment = datetime.strptime(started, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
