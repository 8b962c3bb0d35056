"""Two models of one name have two reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.evaluate.naming import told_apart


def model(path: Path, content: str = "weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def named(path: Path, reports: Path) -> str:
    return told_apart({"path": str(path), "name": path.stem, "kind": "file"}, reports)


def reported(path: Path, reports: Path, file: str = "result-fp32.json") -> str:
    """Leave a report as a run of this model does; its folder's name."""
    from qs.evaluate.checks import given_model

    name = named(path, reports)
    source = given_model({"path": str(path), "kind": "file"})
    (reports / name).mkdir(parents=True, exist_ok=True)
    (reports / name / file).write_text(json.dumps({"Model Source": source}))
    return name


@pytest.mark.parametrize("file", ["result-fp16.json", "sweep-fp32.json", "result-fp32.json.before"])
def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path, file):
    reports = tmp_path / "reports"
    first = model(tmp_path / "a" / "x" / "resnet.bin", "one")
    second = model(tmp_path / "b" / "x" / "resnet.bin", "two")
    third = model(tmp_path / "b" / "y" / "resnet.bin", "three")
    assert reported(first, reports, file) == "resnet"
    assert reported(second, reports, file) == "x-resnet"
    assert reported(third, reports, file) == "y-resnet"
    assert reported(model(tmp_path / "c" / "x" / "resnet.bin", "four"), reports) == "c-x-resnet"
    for path, name in ((first, "resnet"), (second, "x-resnet"), (third, "y-resnet")):
        assert named(path, reports) == name  # and stay so


def test_a_model_that_changed_or_was_moved_is_the_same(tmp_path):
    reports = tmp_path / "reports"
    path = model(tmp_path / "a" / "net.bin")
    assert reported(path, reports) == "net"
    assert named(model(path, "trained again"), reports) == "net"
    assert named(model(tmp_path / "b" / "net.bin", "weights"), reports) == "net"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"Model Source": 5}', '{"Model Source": {}}'])
def test_a_report_that_says_nothing_of_its_model_is_nobodys(tmp_path, content):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "result-fp32.json").write_text(content)
    assert named(model(tmp_path / "net.bin"), tmp_path) == "net"
