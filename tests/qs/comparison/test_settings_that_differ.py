"""Runs whose settings differ are compared by batch size, and what differs is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.comparison.comparing import compare_results
from qs.comparison.sides import from_path
from tests.qs.comparison.synthetic import Drawn, write_result
from tests.qs.program import qs

SHORT = Drawn(seconds=3.0, interval_s=0.15)


def written(folder, seed: int, threads: int, *sizes: int) -> str:
    path = write_result(
        folder, seed, [Drawn(seconds=3.0, interval_s=0.15, batch_size=size) for size in sizes]
    )
    plain = json.loads(path.read_text())
    for row in plain["Performance"]:
        row["Intra-op Threads"] = threads
    stated = {"value": threads, "origin": "command line"}
    plain["Effective Values"]["intra_op_threads"] = stated
    path.write_text(json.dumps(plain))
    return str(path)


def test_two_thread_settings_are_compared_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    places = [written(tmp_path / str(n), n, n, 1, 8) for n in (1, 2)]
    said = qs("compare", *places)
    assert said.returncode == 0, said.stderr
    assert "setting intra_op_threads: 1 against 2" in said.stdout
    assert "matched by their batch size" in said.stdout
    found = compare_results([from_path(each) for each in places])
    assert [case.a.row.batch_size for case in found.cases] == [1, 8]


@pytest.mark.parametrize("sizes", [(1, 1), (8,)])
def test_cases_that_cannot_be_told_apart_by_batch_size_are_refused(tmp_path, sizes):
    one = written(tmp_path / "a", 1, 1, *sizes)
    plain = json.loads(Path(one).read_text())
    for at, row in enumerate(plain["Performance"]):
        row["Clients"] = 1 + at
    Path(one).write_text(json.dumps(plain))
    other = written(tmp_path / "b", 2, 2, 1)
    assert qs("compare", one, other).returncode == 2


def served(folder, seed: int, **about: str) -> str:
    """A result of a served model, of a server that said so of itself."""
    path = write_result(folder, seed, [SHORT])
    plain = json.loads(path.read_text())
    known = {"address": "kserve+http://one:8000/m", "model": "m", "version": "1", "server": "s"}
    plain["Artifact"] = {"name": "m"}
    plain["Model"] = str(folder.name).upper()  # as its folder of reports is called
    plain["Model Source"] = {"sha256": None, "data": {}, "served": {**known, **about}}
    path.write_text(json.dumps(plain))
    return str(path)


@pytest.mark.parametrize(
    ("other", "status", "said"),
    [
        ({}, 0, ""),
        (
            {"address": "kserve+grpc://two:8001/m"},
            *(0, "address: kserve+http://one:8000/m against kserve+grpc://two:8001/m"),
        ),
        ({"server": "t"}, 0, "server: s against t"),
        ({"version": "2"}, 2, "served version: 1 against 2"),
        ({"model": "n"}, 2, "model: m against n"),
    ],
)
def test_served_models(tmp_path, monkeypatch, other, status, said) -> None:
    """One of another version is another model; at another address it may be the same."""
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    one, two = served(tmp_path / "m", 1), served(tmp_path / "two-8001-m", 2, **other)
    ran = qs("compare", one, two)
    assert ran.returncode == status, ran.stderr
    assert said in ran.stdout + ran.stderr
    assert ("differs" in ran.stdout + ran.stderr) == (bool(other) and status == 0)
