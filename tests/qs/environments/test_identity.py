"""What gives an environment another name, and what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qs.environments import identity
from qs.environments.requirements_file import read


def key(folder: Path, content: str, **others: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in others.items():
        (folder / f"{name}.txt").write_text(text)
    (folder / "requirements.txt").write_text(content)
    return identity.identity(folder, read(folder / "requirements.txt")).key


def test_equal_content_is_one_environment_wherever_it_lies(tmp_path):
    first = key(tmp_path / "one", "six==1.0\nnumpy\n")
    assert key(tmp_path / "two", "# the same\nsix==1.0   # pinned\n\n  numpy") == first
    assert key(tmp_path / "three", "-r more.txt", more="six==1.0\nnumpy") == first
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "content", ["six==1.1\nnumpy", "numpy\nsix==1.0", "six==1.0", "six==1.0\nnumpy\n--pre", ""]
)
def test_other_content_is_another(content, tmp_path):
    assert key(tmp_path, content) != key(tmp_path, "six==1.0\nnumpy")


def test_included_content_counts(tmp_path):
    assert key(tmp_path, "-r more.txt", more="six") != key(tmp_path, "-r more.txt", more="six>1")
    assert key(tmp_path, "-c more.txt", more="six") != key(tmp_path, "-r more.txt", more="six")


def test_a_variable_counts_by_its_value(tmp_path, monkeypatch):
    monkeypatch.setenv("WANTED", "1.0")
    first = key(tmp_path, "six==${WANTED}")
    monkeypatch.setenv("WANTED", "1.1")
    assert key(tmp_path, "six==${WANTED}") != first


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("platform.python_version", "3.9.1"),
        ("sysconfig.get_platform", "linux-riscv64"),
        ("abi", "cpython-399"),
    ],
)
def test_the_interpreter_counts(where, value, tmp_path, monkeypatch):
    first = key(tmp_path, "six")
    monkeypatch.setattr(f"qs.environments.identity.{where}", lambda: value)
    assert key(tmp_path, "six") != first


@pytest.mark.parametrize(
    "line",
    [
        "./a.whl",
        "a @ {uri}",
        "-e ./source",
        "./source[extra]",
        "--find-links ./wheels",
        "-f wheels",
    ],
)
def test_local_files_tie_an_environment_to_their_place(line, tmp_path):
    keys = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "source").mkdir(parents=True)
        (folder / "wheels").mkdir()
        (folder / "a.whl").write_bytes(b"the same")
        keys.add(key(folder, line.replace("{uri}", (folder / "a.whl").as_uri())))
    assert len(keys) == 2


def test_a_local_wheel_counts_by_its_content(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"one")
    first = key(tmp_path, "./a.whl")
    (tmp_path / "a.whl").write_bytes(b"two")
    assert key(tmp_path, "./a.whl") != first


def test_a_local_source_counts_by_its_files_but_not_by_what_a_build_leaves(tmp_path):
    source = tmp_path / "source"
    (source / "build").mkdir(parents=True)
    (source / "module.py").write_text("x = 1")
    first = key(tmp_path, "./source")
    (source / "build" / "module.py").write_text("x = 1")
    (source / "it.egg-info").mkdir()
    (source / "it.egg-info" / "PKG-INFO").write_text("")
    assert key(tmp_path, "./source") == first
    os.utime(source / "module.py", ns=(1, 1))
    assert key(tmp_path, "./source") != first


def test_a_name_is_not_taken_for_a_file_beside_it(tmp_path):
    first = key(tmp_path, "six\n--index-url https://example.org/simple")
    (tmp_path / "six").mkdir()
    (tmp_path / "six" / "x").write_text("x")
    assert key(tmp_path, "six\n--index-url https://example.org/simple") == first
