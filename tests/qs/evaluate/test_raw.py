"""--raw: a row for every request, in three forms that say the same."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.engine import Measure
from qs.evaluate.raw import COLUMNS, OUTCOMES, RawRequests

MS = 1_000_000


def columns(count: int, start: int = 0) -> dict[str, np.ndarray]:
    issued = start + np.arange(count, dtype=np.int64) * MS
    return {
        "due_ns": issued - 10,
        "issued_ns": issued,
        "completed_ns": issued + 5,
        "outcome": (np.arange(count) % 3).astype(np.int8),
        "worker": np.arange(count, dtype=np.int32) % 2,
    }


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """The rows of a file, in the types of the CSV's texts."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            head, *rows = csv.reader(file)
        assert tuple(head) == COLUMNS
        return list(map(tuple, rows))
    if path.suffix == ".npz":
        with np.load(path) as raw:
            found = {name: raw[name] for name in raw.files}
        found["case"] = found["cases"][found["case"]]
        found["outcome"] = found["outcomes"][found["outcome"]]
        return [tuple(map(str, row)) for row in zip(*(found[name] for name in COLUMNS))]
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(path).to_pylist()
    return [tuple(str(row[name]) for name in COLUMNS) for row in found]


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_every_form_has_every_request(tmp_path, suffix):
    raw = RawRequests(tmp_path / f"r{suffix}")
    raw.add("bs1-c1", 1, columns(4))
    raw.add("bs8-c1", 8, None)  # a case that could not be measured
    raw.add("bs16-c2", 16, columns(70_000, 7))
    raw.write()
    rows = rows_of(raw.path)
    assert len(rows) == 70_004
    assert rows[1] == ("bs1-c1", "1", "1", "999990", "1000000", "1000005", OUTCOMES[1])
    assert rows[4] == ("bs16-c2", "16", "0", "-3", "7", "12", OUTCOMES[0])
    assert {row[-1] for row in rows} == set(OUTCOMES)


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_over_nodes_each_request_names_its_node(tmp_path, suffix):
    raw = RawRequests(tmp_path / f"r{suffix}")
    names = ["vm 1", 'a,"b"']
    of_node = {"node": np.array([0, 1, 1, 0], np.int32)}
    raw.add("bs1-c1", 1, {**columns(4), **of_node}, nodes=names)
    raw.add("bs8-c1", 8, {**columns(4), **of_node}, nodes=[names[1], "third"])
    raw.write()
    wanted = [names[0], names[1], names[1], names[0], names[1], "third", "third", names[1]]
    if suffix == ".csv":
        with raw.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0])[:4] == ["case", "batch_size", "worker", "node"]
        assert [row["node"] for row in rows] == wanted
        assert rows[1]["outcome"] == OUTCOMES[1] and rows[1]["issued_ns"] == "1000000"
    elif suffix == ".npz":
        with np.load(raw.path) as found:
            assert found["nodes"][found["node"]].tolist() == wanted
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(raw.path)["node"].to_pylist() == wanted


def test_without_a_measured_case_nothing_is_written(tmp_path):
    raw = RawRequests(tmp_path / "r.csv")
    raw.add("bs1", 1, None)
    raw.write()
    assert not raw.path.exists()


@pytest.mark.parametrize("name", ["r.txt", "r", "there.csv", "x/y.csv/z.csv"])
def test_a_place_that_cannot_be_is_told_before_the_run(tmp_path, name):
    (tmp_path / "there.csv").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y.csv").write_text("")
    with pytest.raises(UserError, match="--raw"):
        RawRequests(tmp_path / name)


TTFT, RATE = Measure("ttft"), Measure("decode_rate", "tokens/s", 1000)


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_measures_are_columns_where_some_request_has_them(tmp_path, suffix):
    raw = RawRequests(tmp_path / f"r{suffix}")
    told = {"ttft": np.array([5, -1, 7]), "decode_rate": np.array([1500, -1, 2000])}
    nothing = np.full(3, -1)
    measures = [TTFT, RATE, Measure("tpot"), Measure("itl", many=True)]
    raw.add("bs1-c1", 1, {**columns(3), **told, "tpot": nothing}, measures)
    raw.add("bs1-c2", 1, columns(2), [])
    raw.write()
    if suffix == ".csv":
        with raw.path.open(newline="") as file:
            head, *rows = csv.reader(file)
        assert tuple(head) == (*COLUMNS, "ttft_ns", "decode_rate")
        assert [row[-2:] for row in rows] == [["5", "1.5"], ["", ""], ["7", "2.0"], *[["", ""]] * 2]
    elif suffix == ".npz":
        with np.load(raw.path) as found:
            assert found["ttft_ns"].tolist() == [5, -1, 7, -1, -1]
            assert np.isnan(found["decode_rate"]).sum() == 3
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        found = parquet.read_table(raw.path).to_pydict()
        assert found["ttft_ns"] == [5, None, 7, None, None]
        assert found["decode_rate"] == [1.5, None, 2.0, None, None]
