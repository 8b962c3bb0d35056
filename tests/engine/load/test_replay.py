"""Recorded due times: read from text, CSV and Parquet; what cannot be read is named with its file
and line.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from qs.engine import due_file
from qs.engine.due_file import read_due_seconds
from qs.engine.load import Replay


def written(folder, name: str, text: str):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_due_times_are_sorted_and_played_faster():
    blocks = list(Replay((0.3, 0.1, 0.2), speed=2).blocks())
    assert np.concatenate(blocks).tolist() == [50_000_000, 100_000_000, 150_000_000]


def test_nothing_is_moved_to_zero():
    """A recording that begins at 5 s waits 5 s: it is played as it was."""
    assert np.concatenate(list(Replay((5.0,)).blocks())).tolist() == [5_000_000_000]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_text_with_comments_and_blank_lines(tmp_path, end):
    path = written(tmp_path, "due.txt", "# recorded on a Tuesday\n0.5\n\n  1e-3  \r\n2" + end)
    assert read_due_seconds(path).tolist() == [0.5, 0.001, 2.0]


def test_text_with_a_byte_order_mark(tmp_path):
    assert read_due_seconds(written(tmp_path, "due.txt", "\ufeff0.5\n1\n")).tolist() == [0.5, 1.0]


def test_csv_takes_its_only_column_or_the_named_one(tmp_path):
    one = written(tmp_path, "one.csv", "due\n0.5\n1.5\n")
    two = written(tmp_path, "two.csv", 'name,due\n"a, b",0.5\n"c\nd",1.5\n')
    assert read_due_seconds(one).tolist() == [0.5, 1.5]
    assert read_due_seconds(two, "due").tolist() == [0.5, 1.5]


def test_from_file_makes_a_replay(tmp_path):
    replay = Replay.from_file(str(written(tmp_path, "due.txt", "1\n2\n")), speed=4)
    assert np.concatenate(list(replay.blocks())).tolist() == [250_000_000, 500_000_000]


@pytest.mark.parametrize(
    ("name", "text", "column", "said"),
    [
        ("due.txt", "0.1\nsoon\n", None, "due.txt, line 2: 'soon'"),
        ("due.txt", "0.1\n0.2 0.3\n", None, "due.txt, line 2: '0.2 0.3'"),
        ("due.txt", "0.1\n\n# ok\n-3\n", None, "due.txt, line 4: '-3'"),
        ("due.txt", "0.1\nnan\n", None, "due.txt, line 2: 'nan'"),
        ("due.txt", "inf\n", None, "due.txt, line 1: 'inf'"),
        ("due.txt", "", None, "due.txt: holds no due time"),
        ("due.txt", "# nothing\n\n", None, "due.txt: holds no due time"),
        ("due.csv", "due\n0.1\nlate\n", None, "due.csv, line 3: 'late'"),
        ("due.csv", 'name,due\n"two\nlines",0.1\nx,late\n', "due", "due.csv, line 4: 'late'"),
        ("due.csv", "name,due\na,0.1\nb\n", "due", "due.csv, line 3"),
        ("due.csv", "name,due\na,0.1\nb,\n", "due", "due.csv, line 3"),
        ("due.csv", "name,due\na,0.1\n", None, "due.csv: no column was named; it has name, due"),
        (
            "due.csv",
            "name,due\na,0.1\n",
            "dew",
            "due.csv: there is no column 'dew'; it has name, due",
        ),
        ("due.csv", "0.1\n0.2\n", None, "due.csv: its first line must name the columns"),
        ("due.csv", "", None, "due.csv"),
    ],
)
def test_sad_files_name_file_and_line(tmp_path, name, text, column, said):
    with pytest.raises(ValueError) as caught:
        read_due_seconds(written(tmp_path, name, text), column)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["due.txt", "due.csv"])
def test_a_file_that_is_not_text(tmp_path, name):
    (tmp_path / name).write_bytes(b"due\n\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=f"{name}.*not a text file"):
        read_due_seconds(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"absent\.txt"):
        read_due_seconds(tmp_path / "absent.txt")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"due\.parquet.*pip install pyarrow"):
        read_due_seconds(tmp_path / "due.parquet")


class TestParquet:
    @staticmethod
    def table(folder, **columns):
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), folder / "due.parquet")
        return folder / "due.parquet"

    def test_the_only_column_or_the_named_one(self, tmp_path):
        assert read_due_seconds(self.table(tmp_path, due=[0.5, 1.5])).tolist() == [0.5, 1.5]
        assert read_due_seconds(
            self.table(tmp_path, name=["a", "b"], due=[1, 2]), "due"
        ).tolist() == [1.0, 2.0]

    @pytest.mark.parametrize(
        ("due", "said"),
        [
            ([0.5, None], "row 2"),
            ([0.5, -1.0], "row 2"),
            ([float("nan")], "row 1"),
            (["a"], "string"),
        ],
    )
    def test_sad_columns_name_file_and_row(self, tmp_path, due, said):
        with pytest.raises(ValueError, match=rf"due\.parquet.*{said}"):
            read_due_seconds(self.table(tmp_path, due=due))

    def test_times_of_day_are_not_seconds(self, tmp_path):
        import datetime

        path = self.table(tmp_path, due=[datetime.datetime(2024, 1, 1)])
        with pytest.raises(ValueError, match=r"due\.parquet.*timestamp"):
            read_due_seconds(path)

    def test_what_is_no_parquet_file_is_named(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "due.parquet").write_text("0.1\n")
        with pytest.raises(ValueError, match=r"due\.parquet"):
            read_due_seconds(tmp_path / "due.parquet")


def test_what_never_begins_or_ends_is_not_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "zeros.csv").symlink_to("/dev/zero")
    for name in ("pipe.txt", "zeros.csv"):
        with pytest.raises(ValueError, match=f"{name}: is not a regular file"):
            read_due_seconds(tmp_path / name)
    monkeypatch.setattr(due_file, "MAX_BYTES", 3)
    with pytest.raises(ValueError, match=r"due\.txt: has 4 bytes; at most 3"):
        read_due_seconds(written(tmp_path, "due.txt", "1\n2\n"))


@pytest.mark.parametrize("cell", ["9" * 200_000, '"' + "9" * 200_000])
def test_a_cell_that_no_due_time_has(tmp_path, cell):
    with pytest.raises(ValueError, match=r"due\.csv: not a table of due times"):
        read_due_seconds(written(tmp_path, "due.csv", f"due\n{cell}\n"))
