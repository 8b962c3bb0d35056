"""What is sent to nodes, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.ray import staging
from qs.engine.distributed.ray.staging import staged


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0")  # set by it, and put back


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_our_package_is_sent_with_the_engine_in_it_and_without_caches():
    sent = staged([], None, lambda text: None)
    try:
        (ours,) = sent.modules
        found = files(ours)
        assert ours.name == "qs"
        assert {"__init__.py", "engine/__init__.py", "engine/distributed/node/serving.py"} <= found
        assert not any(path.is_symlink() for path in ours.rglob("*"))
        assert not any("__pycache__" in name for name in found)
        assert sum(path.stat().st_size for path in ours.rglob("*")) < 20 << 20
        assert sent.runtime_env() == {"py_modules": [str(ours)]}
    finally:
        sent.remove()
    assert not sent.folder.exists()


def test_copies_are_made_where_they_are_removed_however_their_process_ends(tmp_path):
    sent = staged([], None, lambda text: None, below=tmp_path)
    assert sent.folder.parent == tmp_path and all(tmp_path in each.parents for each in sent.modules)
    sent.remove()
    assert list(tmp_path.iterdir()) == []


def test_packages_single_files_and_a_folder_are_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "LARGEST_BYTES", 500_000)
    package = tmp_path / "mine"
    work = tmp_path / "work"
    for path in ("mine/__init__.py", "mine/tests/t.py", "mine/__pycache__/a.pyc", "one.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    for path in ("work/model.bin", "work/.git/HEAD", "work/deep/data.json", "work/huge.bin"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(bytes(600_000 if "huge" in path else 10))
    (work / "nowhere").symlink_to("missing")
    (work / "linked").symlink_to(work / "model.bin")
    (work / ".gitignore").write_text("model.bin")
    os.mkfifo(work / "pipe")
    said: list[str] = []
    sent = staged([package, tmp_path / "one.py"], work, said.append)
    try:
        assert [each.name for each in sent.modules] == ["qs", "mine", "one.py"]
        assert files(sent.modules[1]) == {"__init__.py", "tests/t.py"}
        assert sent.work is not None
        assert files(sent.work) == {"model.bin", "deep/data.json", "linked", ".gitignore"}
        assert sent.runtime_env()["working_dir"] == str(sent.work)
        assert os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] == "1"
    finally:
        sent.remove()
    assert len(said) == 1 and "huge.bin" in said[0]


def test_what_is_missing_or_too_large_is_named(tmp_path, monkeypatch):
    with pytest.raises(NodesError, match="nowhere.*does not exist"):
        staged([tmp_path / "nowhere"], None, lambda text: None)
    monkeypatch.setattr(staging, "MOST_BYTES", 1_500)
    for number in range(2):
        (tmp_path / f"{number}.bin").write_bytes(bytes(1_000))
    before = set(Path(staging.tempfile.gettempdir()).glob("qs-sent-*"))
    with pytest.raises(NodesError, match="more than 0 MB"):
        staging._copy(tmp_path, tmp_path / "copy", lambda text: None)
    assert set(Path(staging.tempfile.gettempdir()).glob("qs-sent-*")) == before
