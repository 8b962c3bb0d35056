"""What is wrong with the machine, its limits or its folders is one message and exit 2."""

from __future__ import annotations

import errno
import os
import pwd
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from qs.base import cache
from qs.base.errors import UserError
from qs.base.exhaustion import environment_fault
from qs.base.files import check_writable
from qs.models.path import obtain
from qs.models.request import ModelRequest
from tests.qs.program import command, environment, qs, refused

RUN = ("run", "--task", "digits-cnn-onnx-fp32", "--hardware_type", "CPU")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user as containers make them: a number, and nothing else known of it."""

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "QS_CACHE", "QS_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(
    ("folder", "variable"), [(cache.cache_dir, "QS_CACHE"), (cache.data_dir, "QS_DATA")]
)
def test_a_user_without_a_home(
    homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder, variable: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"no home folder.*set {variable}"):
        folder()
    assert list(tmp_path.iterdir()) == []  # no folder called "~"
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path


def test_the_history_of_a_user_without_a_home(
    homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(qs("history", "list", cwd=tmp_path), "QS_DATA")


@pytest.mark.parametrize("variable", ["QS_DATA", "QS_CACHE"])
def test_a_folder_of_a_user_that_is_not_there(variable: str) -> None:
    refused(qs("list", "tasks", **{variable: "~nosuchuser/x"}), variable, "~nosuchuser")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    before = Path.cwd()
    os.chdir(gone)
    try:
        shutil.rmtree(gone)
        from qs.cli.main import run_command_line

        assert run_command_line(["list", "tasks"]) == 2
        assert run_command_line(["--version"]) == 0
    finally:
        os.chdir(before)


@pytest.mark.parametrize("out", ["x" * 260, "/".join(["x" * 200] * 25)])
def test_a_name_that_no_folder_can_have(tmp_path: Path, out: str) -> None:
    with pytest.raises(UserError, match="--out .*too long.*shorter"):
        check_writable(tmp_path / out)
    refused(qs(*RUN, "--out", tmp_path / out), "--out", "too long")


@pytest.mark.parametrize("path", ["/", "x" * 5000, "~/" + "x" * 300, "a\0b"])
def test_a_model_path_that_no_file_can_have(tmp_path: Path, path: str) -> None:
    info = {"model": "m", "model_path": path}
    request = ModelRequest(info, tmp_path, 0, print, lambda *_: None)
    with pytest.raises(UserError, match="m: model_path"):
        obtain({"kind": "path"}, request)


def caused(error: Exception) -> Exception:
    outer = RuntimeError("it could not be started")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize("around", [lambda error: error, caused])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files", "f"), "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "limit of pids"),
        (RuntimeError("can't start new thread"), "limit of pids"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
        (MemoryError(), "memory ran out"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000), "File name too long"),
        (OSError(errno.ENOSPC, "No space left on device", "f"), "f: No space left"),
    ],
)
def test_errors_that_speak_of_the_machine(error: Exception, words: str, around) -> None:
    said = environment_fault(around(error))
    assert said is not None and words in said and len(said) < 400


@pytest.mark.parametrize(
    "bug", [KeyError("x"), FileNotFoundError(errno.ENOENT, "no"), RuntimeError("other"), OSError()]
)
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    assert environment_fault(bug) is None
    circle = caused(bug)
    bug.__context__ = circle
    assert environment_fault(circle) is None


def test_few_descriptors_are_one_message(tmp_path: Path) -> None:
    ran = subprocess.run(
        command(*RUN, "--out", tmp_path, "--iterations", 2, "--batch_sizes", 1, "--no_history"),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
        timeout=120,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr and "ulimit -n" in ran.stderr
