"""What another user may have put there is not obeyed or run. Owners are faked: no test is root."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from qs.base.errors import UserError
from qs.base.ownership import check_ours, distrust
from qs.base.workspace import Workspaces
from qs.environments import store
from tests.qs.program import qs, refused

STRANGER = 54321
Give = Callable[[Path], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """give(path): from now on it belongs to another user."""
    theirs: set[str] = set()
    real = {"stat": os.stat, "lstat": os.lstat}

    def faked(name: str):
        def look(path, **how):
            found = real[name](path, **how)
            if not isinstance(path, int) and os.path.abspath(path) in theirs:
                values = list(found)
                values[4] = STRANGER
                return os.stat_result(values)
            return found

        return look

    for name in real:
        monkeypatch.setattr(os, name, faked(name))
    monkeypatch.delenv("QS_TRUSTED", raising=False)
    return lambda path: theirs.add(os.path.abspath(path))


@pytest.mark.parametrize(
    ("mode", "sticky_folder", "words"),
    [
        (0o644, False, None),
        (0o664, False, None),  # our own group's
        (0o646, False, "written by everybody"),
        (0o1777, True, None),  # like /tmp
        (0o777, True, "written by everybody"),
    ],
)
def test_who_may_write(tmp_path: Path, mode: int, sticky_folder: bool, words: str | None) -> None:
    path = tmp_path / "it"
    path.mkdir() if sticky_folder else path.touch()
    path.chmod(mode)
    reason = distrust(path)
    assert reason is None if words is None else words in str(reason)


def test_a_strange_group_that_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it"
    path.touch()
    path.chmod(0o664)
    monkeypatch.setattr(os, "getegid", lambda: 1 + path.stat().st_gid)
    monkeypatch.setattr(os, "getgroups", list)
    assert "which you are not in" in str(distrust(path))


def test_a_link_counts_as_well_as_what_it_points_to(tmp_path: Path, give: Give) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    assert distrust(link) is None
    give(link)
    assert f"belongs to uid {STRANGER}" in str(distrust(link))


def test_nothing_there_is_nobodys(tmp_path: Path) -> None:
    assert distrust(tmp_path / "none") is None


@pytest.mark.parametrize("trusted", ["{folder}", "/elsewhere:{folder}/sub", "*"])
def test_trust_is_stated(
    tmp_path: Path, give: Give, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    path = tmp_path / "sub" / "file"
    path.parent.mkdir()
    path.touch()
    give(path)
    monkeypatch.setenv("QS_TRUSTED", "/elsewhere")
    with pytest.raises(UserError, match="set QS_TRUSTED to"):
        check_ours([path], "it was not read")
    monkeypatch.setenv("QS_TRUSTED", trusted.format(folder=tmp_path))
    check_ours([path], "it was not read")


def test_sudo_is_whoever_asked(tmp_path: Path, give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    give(path)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert distrust(path) is not None  # a variable alone gives nobody's rights away
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert distrust(path) is None


@pytest.mark.parametrize("name", ["qs.cfg", "setup.cfg"])
def test_defaults_of_another_user(tmp_path: Path, give: Give, name: str) -> None:
    (tmp_path / name).write_text("[qs]\nout = there\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert qs("list", "tasks", cwd=below).returncode == 0
    give(tmp_path / name)
    refused(qs("list", "tasks", cwd=below), str(tmp_path / name), f"uid {STRANGER}", "QS_TRUSTED")
    assert qs("list", "tasks", cwd=below, QS_TRUSTED=str(tmp_path)).returncode == 0


def test_a_strangers_setup_cfg_without_a_section_of_ours(tmp_path: Path, give: Give) -> None:
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = theirs\n")
    give(tmp_path / "setup.cfg")
    assert qs("list", "tasks", cwd=tmp_path).returncode == 0


def test_a_workspace_of_another_user_in_our_defaults(tmp_path: Path, give: Give) -> None:
    theirs = tmp_path / "theirs" / "backends"
    theirs.mkdir(parents=True)
    (tmp_path / "qs.cfg").write_text(f"[qs]\nworkspace = {theirs.parent}\n")
    assert qs("list", "backends", cwd=tmp_path).returncode == 0
    give(theirs)
    refused(qs("list", "backends", cwd=tmp_path), str(theirs), f"uid {STRANGER}")
    # A name that was typed is a choice.
    (tmp_path / "qs.cfg").unlink()
    assert qs("list", "backends", "--workspace", theirs.parent, cwd=tmp_path).returncode == 0


def test_what_a_third_left_in_the_working_directory(
    tmp_path: Path, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backends" / "CPU"
    folder.mkdir(parents=True)
    (folder / "runtime_backend_cpu.py").touch()
    monkeypatch.chdir(tmp_path)
    found = Workspaces.find().backend("CPU")
    assert found.path == folder
    assert "in place of the one that ships" in str(Workspaces.find().replacing_shipped(found))
    give(folder)
    with pytest.raises(UserError, match=f"uid {STRANGER}.*--workspace"):
        Workspaces.find().backend("CPU")
    assert Workspaces.find(tmp_path).backend("CPU").path == folder
    give(tmp_path)  # in a folder of theirs: that is where we went
    assert Workspaces.find().backend("CPU").path == folder


def test_the_shipped_backend_replaces_nothing() -> None:
    workspaces = Workspaces.find()
    assert workspaces.replacing_shipped(workspaces.backend("CPU")) is None


def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QS_CACHE", str(tmp_path))
    path = store.folder() / "k"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").touch()
    (path / "lib" / "python3" / "site-packages").mkdir(parents=True)
    about = SimpleNamespace(**dict.fromkeys(store.Built.__dataclass_fields__, ""))
    store.write_record(path, store.Built(**vars(about)))
    return path


@pytest.mark.parametrize(
    "where", ["", "bin", "bin/python", "lib/python3/site-packages", "..", "../.."]
)
def test_an_environment_of_another_user_is_not_run(
    tmp_path: Path, give: Give, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = _environment(tmp_path, monkeypatch)
    assert store.ready("k") is not None
    give(Path(os.path.normpath(path / where)))
    with pytest.raises(UserError, match=r"environment k was not used.*QS_TRUSTED"):
        store.ready("k")


def test_an_environment_that_others_may_write_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _environment(tmp_path, monkeypatch)
    (path / "bin").chmod(0o777)
    with pytest.raises(UserError, match="written by everybody"):
        store.ready("k")
    store.close_to_others(path)  # as after a build under umask 0
    assert store.ready("k") is not None
