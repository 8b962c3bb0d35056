"""The database file: where it is, how it is opened, and how an older schema is brought up to date.

SQLite through the standard library. Several processes may use it at once: writers wait for each
other, readers for nobody (WAL).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qs.base.cache import data_dir
from qs.base.errors import UserError

BUSY_S = 15.0

# Each step brings the schema one version on; a step is never changed once it was released, a new
# one is added.
STEPS: tuple[str, ...] = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started TEXT NOT NULL,
        kind TEXT NOT NULL,
        task TEXT NOT NULL,
        hardware TEXT NOT NULL,
        model TEXT NOT NULL,
        precision TEXT,
        status TEXT NOT NULL,
        verdict TEXT NOT NULL,
        cases INTEGER NOT NULL,
        qs_version TEXT,
        runtime_version TEXT,
        cpu TEXT,
        path TEXT,
        result BLOB NOT NULL
    );
    CREATE UNIQUE INDEX entries_once ON entries (started, kind, task, hardware, path);
    CREATE INDEX entries_by_task ON entries (task, hardware, started);
    CREATE TABLE tags (
        entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (entry, name)
    ) WITHOUT ROWID;
    CREATE TABLE histograms (
        entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        content BLOB,
        PRIMARY KEY (entry, name)
    );
    """,
    # Older versions called a run VALID before its end.
    """
    UPDATE entries SET verdict = 'INVALID' WHERE status NOT IN ('complete', 'compiled')
    """,
)


def database() -> Path:
    return data_dir() / "history.db"


@contextmanager
def connected(write: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection to the database, brought up to date first; the first writer creates it. What is
    written is kept as a whole at the end, or not at all.

    Raises UserError if it cannot be used.
    """
    path = database()
    try:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        place = path if write or path.exists() else ":memory:"
        connection = sqlite3.connect(place, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"the history {path} cannot be opened: {_said(error)}; set QS_DATA to a folder of yours"
        ) from None
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        if write:
            _write_ahead(connection)
        migrate(connection, path)
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        yield connection
        connection.execute("COMMIT")
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"the history {path} cannot be used: {_said(error)}") from None
    except UnicodeEncodeError as error:
        raise UserError(f"{error.object!r} is not UTF-8: no entry of the history has it") from None
    finally:
        connection.close()  # what was begun and not committed is undone


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = STEPS) -> None:
    """Bring the schema up to date, each step whole or not at all. Raises UserError for a database
    of a later qs.
    """
    version = _version(connection)
    if version > len(steps):
        raise UserError(
            f"the history {path} was written by a later qs "
            f"(schema {version}, this one knows {len(steps)}); "
            "update qs, or set QS_DATA to another folder"
        )
    while version < len(steps):
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)  # another process may have been faster
        if version < len(steps):
            for statement in _statements(steps[version]):
                connection.execute(statement)
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """One by one, as executescript would end the transaction that they share."""
    return [statement for statement in script.split(";") if statement.strip()]


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same time. The mode stays in the file: it is set once.

    SQLite does not wait for others here, however long the timeout, so we do; a file system that
    cannot share memory keeps the old mode.
    """
    until = time.monotonic() + BUSY_S
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                return
            time.sleep(0.01)


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
