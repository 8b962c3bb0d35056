"""What is recorded is found again: by its columns, whole, and with its logs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from qs.base.cache import data_dir
from qs.base.errors import UserError
from qs.history import record
from qs.history.database import STEPS, connected, database, migrate
from qs.history.entries import Wanted, delete, entries, entry, log_text, result_of, tag, tagged
from qs.result.saved import read_result, typed
from tests.qs.comparison.synthetic import Drawn, write_result

ROOT = Path(__file__).parents[3]
SHORT = Drawn(seconds=0.5, interval_s=0.1)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    return json.loads(write_result(tmp_path_factory.mktemp("r"), 1, [SHORT]).read_text())


def kept(result: dict, day: int = 1, **changes) -> int:
    """Record a variant of a result."""
    number = record(
        typed({**result, "Started": f"2026-11-{day:02d}T10:00:00+00:00", **changes}, "made"), None
    )
    assert number is not None
    return number


def test_a_result_comes_back_as_it_was(result):
    number = kept(result)
    assert result_of(number).to_dict() == {**result, "Started": "2026-11-01T10:00:00+00:00"}
    found = entry(number)
    assert (found.kind, found.task, found.hardware, found.model) == (
        "run",
        "bert-torch-fp32",
        "CPU",
        "bert-torch-fp32",
    )
    assert (found.verdict, found.status, found.cases) == ("VALID", "complete", 1)
    assert (found.qs_version, found.runtime_version, found.cpu, found.path) == (
        "0.1.0",
        "1.20.0",
        "Test CPU",
        None,
    )


def test_entries_are_found_by_each_column_newest_first(result):
    first = kept(result, 1)
    second = kept(result, 3, Kind="sweep", Verdict="INVALID")
    third = kept(result, 2, Task="digits", Model="DIGITS", Backend="GPU")
    tag(first, "baseline")

    def found(**wanted):
        return [each.id for each in entries(Wanted(**wanted))]

    assert found() == [second, third, first]
    assert found(task="digits") == [third]
    assert found(hardware="gpu") == [third]
    assert found(model="Bert-Torch-FP32") == [second, first]
    assert found(kind="sweep") == found(verdict="INVALID") == [second]
    assert found(tag="baseline") == [first]
    assert found(since="2026-11-02T00:00:00+00:00") == [second, third]
    assert found(before="2026-11-02T12:00:00+02:00") == [first]
    assert found(limit=1) == [second]
    assert found(task="bert-torch-fp32", since="2026-11-02T00:00:00+00:00") == [second]
    assert found(task="'; DROP TABLE entries; --") == []
    assert len(found()) == 3


def test_a_run_whose_offset_is_another_is_sorted_by_time(result):
    later = kept(result, Started="2026-11-01T09:30:00-05:00")
    earlier = kept(result, Started="2026-11-01T10:00:00+02:00")
    assert [each.id for each in entries()] == [later, earlier]


def test_a_sweep_that_was_taken_up_again_is_one_entry(result, tmp_path):
    path = tmp_path / "sweep-fp32.json"
    first = record(typed({**result, "Status": "interrupted"}, "made"), path)
    tag(first, "mine")
    assert record(typed({**result, "Status": "complete"}, "made"), path) == first
    (found,) = entries()
    assert (found.status, found.tags) == ("complete", ("mine",))
    assert record(typed({**result, "Started": "2026-01-01T00:00:00+00:00"}, "made"), path) != first


def test_logs_are_kept_with_their_result(tmp_path):
    path = write_result(tmp_path / "r", 1, [SHORT])
    stored = json.loads(path.read_text())
    number = record(typed(stored, "made"), path)
    name = stored["Performance"][0]["Histogram"]
    text = (path.parent / name).read_text()
    write_result(tmp_path / "r", 2, [SHORT])  # the next run writes over it
    assert (path.parent / name).read_text() != text
    assert log_text(number, name) == text
    assert log_text(number, "latency/other.hlog") is None


def test_a_log_too_large_to_keep_is_known_again_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setattr("qs.history.entries.MOST_KEPT_BYTES", 10)
    path = write_result(tmp_path / "r", 1, [SHORT])
    stored = json.loads(path.read_text())
    number = record(typed(stored, "made"), path)
    name = stored["Performance"][0]["Histogram"]
    assert log_text(number, name) == (path.parent / name).read_text()
    (path.parent / name).write_text("another run's")
    assert log_text(number, name) is None
    (path.parent / name).unlink()
    assert log_text(number, name) is None


def test_tags(result):
    first, second = kept(result, 1), kept(result, 2)
    assert tag(first, "baseline") and not tag(first, "baseline")
    assert tag(second, "baseline") and tag(second, "a")
    assert entry(second).tags == ("a", "baseline")
    assert tagged("baseline") == second
    assert tag(second, "baseline", remove=True) and not tag(second, "baseline", remove=True)
    assert tagged("baseline") == first
    with pytest.raises(UserError, match="did you mean 'baseline'"):
        tagged("basline")
    with pytest.raises(UserError, match="no entry #99"):
        tag(99, "x")


def test_deleting_takes_tags_and_logs_along(tmp_path):
    path = write_result(tmp_path / "r", 1, [SHORT])
    number = record(read_result(path), path)
    tag(number, "x")
    assert delete([number, number]) == 1
    with connected() as connection:
        assert [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("entries", "tags", "histograms")
        ] == [0] * 3
    assert path.exists()


def test_deleting_by_age(result):
    kept(result, 1), kept(result, 2)
    newest = kept(result, 3)
    assert delete(before="2026-11-03T00:00:00+00:00") == 2
    assert [each.id for each in entries()] == [newest]


def test_deleting_what_is_not_there_deletes_nothing(result):
    number = kept(result)
    with pytest.raises(UserError, match="#7, #8"):
        delete([number, 7, 8])
    assert len(entries()) == 1


def test_a_number_is_never_given_twice(result):
    number = kept(result)
    delete([number])
    assert kept(result) > number


def test_reading_makes_no_file(data):
    assert entries() == []
    assert not data.exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data.write_text("a file where the folder should be"), "cannot be opened"),
        (
            lambda data: (data.mkdir(), (data / "history.db").write_text("no database " * 100)),
            "not a database",
        ),
        (lambda data: (data / "history.db").mkdir(parents=True), "cannot be opened"),
    ],
)
def test_a_history_that_cannot_be_written_is_one_warning_and_no_error(result, data, spoil, said):
    spoil(data)
    heard: list[str] = []
    assert record(typed(result, "made"), None, heard.append) is None
    (text,) = heard
    assert text.startswith("this run is not in the history: ") and said in text and "\n" not in text


def test_a_damaged_history_is_a_users_error_when_read(data):
    data.mkdir()
    (data / "history.db").write_text("no database " * 100)
    with pytest.raises(UserError, match=r"history\.db cannot be used: file is not a database"):
        entries()


def test_a_later_schema_is_refused_and_left_as_it_is(result, data):
    kept(result)
    with sqlite3.connect(database()) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match=r"later qs \(schema 99"):
        entries()
    heard: list[str] = []
    assert record(typed(result, "made"), None, heard.append) is None
    assert "update qs" in heard[0]


def test_an_older_schema_is_brought_up_to_date_with_what_it_holds(result):
    number = kept(result)
    more = (
        *STEPS,
        "ALTER TABLE entries ADD COLUMN note TEXT; CREATE INDEX by_note ON entries (note)",
    )
    connection = sqlite3.connect(database(), isolation_level=None)
    try:
        migrate(connection, database(), more)
        migrate(connection, database(), more)
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(more)
        assert connection.execute("SELECT id, note FROM entries").fetchall() == [(number, None)]
    finally:
        connection.close()


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", "complete", "compiled"])
def test_an_entry_of_a_run_that_did_not_end_is_invalid(result, status):
    number = kept(result)
    plain = json.dumps({**result, "Status": status}).encode()
    with sqlite3.connect(database()) as connection:  # as an older version recorded it
        connection.execute("UPDATE entries SET status = ?, verdict = 'VALID'", (status,))
        connection.execute("UPDATE entries SET result = ?", (zlib.compress(plain),))
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    verdict = "VALID" if status in ("complete", "compiled") else "INVALID"
    assert entry(number).verdict == verdict
    assert result_of(number).verdict == verdict
    assert [each.id for each in entries(Wanted(verdict=verdict))] == [number]


def test_a_step_that_fails_leaves_the_schema_before_it(result):
    kept(result)
    connection = sqlite3.connect(database(), isolation_level=None)
    try:
        with pytest.raises(sqlite3.OperationalError):
            migrate(
                connection,
                database(),
                (*STEPS, "ALTER TABLE entries ADD COLUMN note TEXT; CREATE NONSENSE"),
            )
        connection.rollback()
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(STEPS)
        assert "note" not in [row[1] for row in connection.execute("PRAGMA table_info(entries)")]
    finally:
        connection.close()


def test_the_folder_is_the_platforms_where_none_is_named(monkeypatch):
    monkeypatch.delenv("QS_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_dir() == Path("/somewhere/qs")


MANY = """
import json, sys
from pathlib import Path
from qs.history import record
from qs.result.saved import typed
result = json.loads(Path(sys.argv[1]).read_text())
for at in range(8):
    result["Started"] = f"2026-11-{int(sys.argv[2]) + 1:02d}T10:00:{at:02d}+00:00"
    assert record(typed(result, "made"), Path(sys.argv[1]), sys.exit) is not None
"""


def test_processes_that_record_at_the_same_time_lose_nothing(tmp_path):
    path = write_result(tmp_path / "r", 1, [SHORT])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(path), str(number)], cwd=ROOT, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    said = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert said == [(b"", 0)] * 4
    assert len(entries()) == 32
