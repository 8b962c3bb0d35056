"""The scaffold: a folder that compiles, named as the rules say; all of it or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.config.interact import load_interact
from qs.scaffold.writing import write_backend


def test_every_file_is_there_named_after_the_backend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = write_backend("ACME", tmp_path)
    folder = tmp_path / "backends" / "ACME"
    names = ["runtime_backend_acme.py", "compile_backend_acme.py", "ACME.json", "requirements.txt"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for path in written:
        text = path.read_text()
        assert "$" not in text
        if path.suffix == ".py":
            compile(text, str(path), "exec")
            assert "BackendACME(" in text
    assert json.loads((folder / "ACME.json").read_text())[0]["name"] == "check_graph"
    assert load_interact(folder / "ACME.json")[1] == []
    assert (
        len("".join(path.read_text() for path in written).splitlines()) < 220
    )  # five minutes of reading


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme", ["'ACME'", "upper-case"]),
        ("AC-ME", ["'AC_ME'"]),
        ("AC ME", ["'AC_ME'"]),
        ("", ["plain name"]),
        ("../ACME", ["plain name"]),
        ("ACME\n", ["plain name"]),
        ("ÄCME", ["'CME'"]),
        ("A" * 41, ["at most 40"]),
        ("CPU", ["already", "backends/CPU"]),
        ("cpu", ["'CPU'"]),
    ],
)
def test_names_that_cannot_be_leave_nothing_behind(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        write_backend(name, tmp_path)
    for word in words:
        assert word in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_whatever_its_case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "backends" / "Acme" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match="already"):
        write_backend("ACME", tmp_path)
    assert [path.name for path in mine.parent.parent.iterdir()] == ["Acme"]
    assert mine.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backends").write_text("a file in the way")
    with pytest.raises(UserError, match="cannot be written"):
        write_backend("ACME", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["backends"]


def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text, calls = Path.write_text, []

    def full_disk(path, *args, **kwargs):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return write_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(UserError, match="No space left"):
        write_backend("ACME", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_goes_into_the_workspace_that_a_folder_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "general_perf" / "workloads").mkdir(parents=True)
    written = write_backend("ACME", tmp_path)
    assert {path.parent for path in written} == {tmp_path / "general_perf" / "backends" / "ACME"}
