"""Files are written whole or not at all, and a folder that cannot take them is refused without a
trace.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.base.files import Unwritable, check_writable, write_atomic, write_json
from qs.result.folder import ReportFolder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_atomic(path, b"old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Unwritable, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result.json"]


def test_a_file_is_readable_by_others(tmp_path):
    write_atomic(tmp_path / "a" / "b.json", b"{}")
    assert (tmp_path / "a" / "b.json").stat().st_mode & 0o777 == 0o644


def test_nan_is_null_and_a_stranger_is_its_text(tmp_path):
    write_json(tmp_path / "x.json", {"nan": float("nan"), "inf": float("inf"), "path": Path("a")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"nan": None, "inf": None, "path": "a"}


@pytest.mark.parametrize("missing", ["", "new", "new/deeper"])
def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path, missing):
    check_writable(tmp_path / missing)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a-file", "a-file/below", "dangling", "dangling/below"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, name):
    (tmp_path / "a-file").write_text("here")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is not a folder"):
        check_writable(tmp_path / name)
    assert names(tmp_path) == ["a-file", "dangling"]


def test_a_new_run_forgets_the_histograms_of_its_precision_only(tmp_path):
    (tmp_path / "latency").mkdir()
    for name in ("fp32-bs1-c3.hlog", "int8-bs1-c3.hlog"):
        (tmp_path / "latency" / name).write_text("")
    ReportFolder(tmp_path, "fp32").forget_histograms()
    assert names(tmp_path / "latency") == ["int8-bs1-c3.hlog"]


def test_a_full_disk_is_noticed_by_its_bytes(tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qs.base.files.os.fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        check_writable(tmp_path)
    assert names(tmp_path) == []
