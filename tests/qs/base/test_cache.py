"""The cache: built once among real processes, whole or absent, nothing left behind by a failure."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qs.base import cache
from qs.base.errors import UserError

ROOT = Path(__file__).resolve().parents[3]

# Builds a file slowly in many writes, so that a reader of a half-written one would be caught.
BUILDER = """
import sys, time
from pathlib import Path
from qs.base.cache import build_once

def build(path):
    with open({log!r}, "a") as log:
        log.write("built\\n")
    with path.open("wb") as file:
        for _ in range(20):
            file.write(b"x" * 1000)
            file.flush()
            time.sleep(0.02)

path = build_once("models/slow", ".bin", build)
print(path.stat().st_size)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def start(code, folder):
    environment = os.environ | {"QS_CACHE": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_builds_and_both_read_the_whole_file(folder, tmp_path):
    code = BUILDER.format(log=str(tmp_path / "log"))
    processes = [start(code, folder) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [out.strip() for out, _ in answers] == ["20000", "20000"], answers
    assert (tmp_path / "log").read_text() == "built\n"


def test_no_file_is_at_its_place_before_it_is_whole(folder, tmp_path):
    process = start(BUILDER.format(log=str(tmp_path / "log")), folder)
    place = folder / "models" / "slow.bin"
    sizes = set()
    while process.poll() is None:
        if place.exists():
            sizes.add(place.stat().st_size)
        time.sleep(0.002)
    process.communicate()
    assert sizes <= {20000}
    assert place.stat().st_size == 20000


def test_a_killed_build_frees_the_lock_and_leaves_one_partial_file_that_the_next_replaces(
    folder, tmp_path
):
    process = start(BUILDER.format(log=str(tmp_path / "log")), folder)
    partial = folder / "models" / ".building-slow.bin" / "slow.bin"
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "models" / "slow.bin").exists()
    path = cache.build_once("models/slow", ".bin", lambda new: new.write_bytes(b"whole"))
    assert path.read_bytes() == b"whole"
    assert not partial.parent.exists()


def test_what_is_cached_is_not_built_again():
    def build(new):
        built.append(new)
        new.write_text("one")

    built: list[Path] = []
    first = cache.build_once("a", ".txt", build)
    assert cache.build_once("a", ".txt", build) == first
    assert len(built) == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failing_build_leaves_nothing_and_the_next_one_may_succeed(folder, error):
    def fail(new):
        new.write_text("half")
        raise error

    with pytest.raises(type(error)):
        cache.build_once("models/b", ".txt", fail)
    assert [path.name for path in (folder / "models").iterdir() if path.suffix != ".lock"] == []
    assert (
        cache.build_once(
            "models/b", ".txt", lambda new: new.write_text("whole") and None
        ).read_text()
        == "whole"
    )


def test_a_build_that_makes_no_file_is_a_bug_not_a_hit():
    with pytest.raises(RuntimeError, match="created no file"):
        cache.build_once("c", ".txt", lambda new: None)


def test_files_that_go_with_it_are_there_before_it_is(folder):
    def build(new):
        new.write_text("graph")
        new.with_name(f"{new.name}.data").write_text("weights")

    path = cache.build_once("models/e", ".onnx", build)
    assert path.with_name("e.onnx.data").read_text() == "weights"
    assert sorted(each.name for each in path.parent.iterdir() if each.suffix != ".lock") == [
        "e.onnx",
        "e.onnx.data",
    ]


def test_files_of_other_names_are_a_bug_and_are_not_left(folder):
    def build(new):
        new.write_text("graph")
        new.with_name("other").write_text("weights")

    with pytest.raises(RuntimeError, match="created other beside it"):
        cache.build_once("models/f", ".onnx", build)
    assert [each.name for each in (folder / "models").iterdir() if each.suffix != ".lock"] == []


def test_a_full_disk_is_said_in_one_message():
    def full(new):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="no space left.*QS_CACHE"):
        cache.build_once("d", ".txt", full)


def test_a_cache_that_cannot_be_made_is_said_in_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot create the cache folder.*QS_CACHE"):
        cache.cache_dir()


def test_without_QS_CACHE_the_platforms_folder_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("QS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_dir().is_relative_to(tmp_path.resolve())


def test_keys_are_equal_exactly_when_their_parts_are():
    key = cache.key_of({"a": 1, "b": [1, 2]})
    assert key == cache.key_of({"b": [1, 2], "a": 1})
    others = [{"a": 1, "b": [2, 1]}, {"a": 2, "b": [1, 2]}, {"a": "1", "b": [1, 2]}, {"a": 1}]
    assert key not in {cache.key_of(parts) for parts in others}


def test_a_folder_is_cached_whole_and_replaced_where_it_is_damaged(folder):
    def build(new):
        (new / "variables").mkdir(parents=True)
        (new / "saved_model.pb").write_text(content)
        new.with_name(f"{new.name}.json").write_text("{}")

    def sound(path):
        return (path / "saved_model.pb").read_text() == "graph"

    content = "graph"
    path = cache.build_once("models/g", "", build, sound)
    (path / "saved_model.pb").write_text("damaged")
    (path / "more").write_text("stray")
    assert cache.build_once("models/g", "", build, sound) == path
    assert sorted(each.name for each in path.iterdir()) == ["saved_model.pb", "variables"]
    assert sound(path)
    left = sorted(each.name for each in path.parent.iterdir() if each.suffix != ".lock")
    assert left == ["g", "g.json"]
