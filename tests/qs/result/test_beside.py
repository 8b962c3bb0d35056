"""A result names files; only regular ones below its own folder are opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qs.comparison.sides import from_path
from qs.render.formats import FORMATS
from qs.result.beside import content_of, log_of, place_of
from tests.qs.result import made

SECRET = "a secret of the reader's"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with one good file, and every kind of name that leads out of it or never ends."""
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "result"
    (folder / "latency").mkdir(parents=True)
    (folder / "latency" / "good.hlog").write_text("good")
    (folder / "to-good").symlink_to("latency/good.hlog")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "circle").symlink_to("circle")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("name", ["latency/good.hlog", "./latency/good.hlog", "to-good"])
def test_a_file_of_the_folder_is_read(folder, name):
    assert log_of(folder, name) == "good"


FOREIGN = [
    "",
    ".",
    "..",
    "../secret.txt",
    "latency/../../secret.txt",
    "/etc/passwd",
    "//etc/passwd",
    "/dev/zero",
    "link",
    "up/secret.txt",
    "zero",
    "pipe",
    "circle",
    "latency",
    "missing",
    "a\0b",
    "x" * 5_000,
    "x/" * 3_000,
]


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_else_is(folder, name):
    assert place_of(folder, name) is None
    assert content_of(folder, name, 1_000) is None


def test_no_more_is_read_than_asked_for(folder):
    assert content_of(folder, "to-good", 4) == b"good"
    assert content_of(folder, "to-good", 3) is None


def test_no_page_holds_a_foreign_file(folder):
    result = made.result_of(made.REPORTS / "closed")
    row = result["Performance"][0]
    result["Performance"] = [row | {"BS": at, "Histogram": name} for at, name in enumerate(FOREIGN)]
    for name in ("link", "../secret.txt", "/dev/zero", "pipe"):
        result["Accuracy"]["Diff Dist"] = name
        assert made.told(result, folder).answers.picture is None
    story = made.told(result, folder)
    assert not set(story.files) & set(FOREIGN)
    page = FORMATS["html"].draw(story)
    assert b"data:image" not in page and SECRET.encode() not in page


def test_a_picture_that_is_none_is_left_out(tmp_path):
    folder = made.report("closed", tmp_path)
    (folder / "backend.log").write_text(SECRET)
    result = made.result_of(folder)
    result["Accuracy"]["Diff Dist"] = "backend.log"
    assert b"data:image" not in FORMATS["html"].draw(made.told(result, folder))


def test_a_comparison_reads_no_foreign_log(tmp_path):
    folder = made.report("closed", tmp_path)
    (tmp_path / "other.hlog").write_text("text")
    histogram = from_path(str(folder)).histogram
    assert histogram("latency/fp32-bs1-c1.hlog")
    assert histogram("../../other.hlog") is None
    assert histogram(str(tmp_path / "other.hlog")) is None
