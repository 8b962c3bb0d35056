from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.base.names import check_plain, is_plain, nearest


@pytest.mark.parametrize("name", ["CPU", "bert-torch-fp32", "v1.5_a+b", "E=32,N=8", "模型", "a b"])
def test_plain_names(name: str) -> None:
    assert check_plain(name, "task") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "..",
        ".",
        ".hidden",
        "../x",
        "a/../b",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:x",
        "a\0b",
        "a\nb",
        " a",
        "a ",
        "\udce4",
        "x" * 201,
        "a\x1b[31m",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(
        UserError, match="is not a valid name for a task; allowed: a plain name"
    ) as refused:
        check_plain(name, "task")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("value", [None, 3, ["a"], b"a"])
def test_what_is_no_string_is_no_name(value: object) -> None:
    assert not is_plain(value)


@given(st.text())
def test_a_plain_name_never_leaves_its_folder(name: str) -> None:
    if is_plain(name):
        path = Path("/root/folder") / name
        assert path.parent == Path("/root/folder")
        assert path.name == name


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("bert-torch", ["bert-torch-fp32", "clip-onnx-fp32"], "bert-torch-fp32"),
        ("cpu", ["GPU", "CPU"], "CPU"),
        ("batch-sizes", ["batch_sizes", "clients"], "batch_sizes"),
        ("zebra", ["CPU"], None),
        ("x", [], None),
        (None, ["CPU"], None),
    ],
)
def test_nearest(name: object, candidates: list[str], expected: str | None) -> None:
    assert nearest(name, candidates) == expected


def test_nearest_takes_a_stricter_cutoff() -> None:
    assert nearest("onnx_model_path", ["model_path"]) == "model_path"
    assert nearest("onnx_model_path", ["model_path"], cutoff=0.85) is None
