"""Temporary folders of processes that were killed are removed, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.base import cache
from qs.base.errors import UserError
from qs.base.holding import Held, hold, let_go
from qs.base.scratch import MARK, remove_all, scratch


def left_behind(parent: Path, name: str = "qs-run-dead") -> Path:
    folder = parent / name
    folder.mkdir()
    (folder / MARK).touch()
    (folder / "model.log").write_text("half")
    return folder


def test_a_folder_lasts_as_long_as_its_context(tmp_path):
    with scratch("qs-run-", tmp_path) as folder:
        assert folder.parent == tmp_path and folder.name.startswith("qs-run-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "below").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_goes_with_the_next_one(tmp_path):
    left_behind(tmp_path)
    with scratch("qs-load-", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_lives_or_is_not_ours_is_kept(tmp_path, monkeypatch):
    theirs = tmp_path / "qs-run-notes"  # a folder that a person named so
    theirs.mkdir()
    (tmp_path / "qs-file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / MARK).touch()
    (tmp_path / "qs-run-link").symlink_to(tmp_path / "elsewhere")
    with scratch("qs-run-", tmp_path) as first, scratch("qs-run-", tmp_path) as second:
        assert first.is_dir() and second.is_dir()
    assert theirs.is_dir() and (tmp_path / "qs-file").is_file()
    assert (tmp_path / "elsewhere" / MARK).is_file() and (tmp_path / "qs-run-link").is_symlink()
    strangers = left_behind(tmp_path)
    monkeypatch.setattr("qs.base.scratch.os.geteuid", lambda: strangers.stat().st_uid + 1)
    with scratch("qs-run-", tmp_path):
        pass
    assert strangers.is_dir()


def test_an_end_at_once_removes_what_is_open(tmp_path):
    with scratch("qs-run-", tmp_path) as folder:
        remove_all()
        assert not folder.exists()


def test_no_room_for_one_is_one_message(tmp_path):
    refused = pytest.raises(UserError, match="no temporary folder can be made .*TMPDIR")
    with refused, scratch("qs-run-", tmp_path / "missing"):
        pass


def test_a_folder_is_held_once_and_by_nobody_afterwards(tmp_path):
    held = hold(tmp_path)
    with pytest.raises(Held):
        hold(tmp_path)
    let_go(held)
    let_go(hold(tmp_path))


def test_a_build_that_was_killed_is_removed_when_another_file_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path))
    models = tmp_path / "models"
    for name in ("dead", "live"):
        (models / f".building-{name}.onnx").mkdir(parents=True)
    with cache.locked(models / "live.onnx"):
        cache.build_once("models/new", ".onnx", lambda path: path.write_text("new"))
    folders = [path.name for path in models.iterdir() if path.is_dir()]
    assert folders == [".building-live.onnx"]
