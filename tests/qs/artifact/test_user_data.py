"""The user's own items: every format to [items, *shape], and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from qs.artifact.user_data import read_items
from qs.base.errors import Faults
from qs.tensors.generated import InputSpec

PICTURE = InputSpec("x", (1, 3, 4, 6), "FLOAT32")
ROW = InputSpec("x", (1, 3), "INT64")
TEXT = InputSpec("x", (1, 1), "STRING")


def test_arrays(tmp_path):
    several = np.arange(12, dtype=np.int64).reshape(4, 3)
    np.save(tmp_path / "several.npy", several)
    np.save(tmp_path / "one.npy", several[0])
    np.save(tmp_path / "small.npy", several.astype(np.int32))
    np.savez(tmp_path / "a.npz", x=several, other=several + 1)
    several.tofile(tmp_path / "a.raw")
    (tmp_path / "a.json").write_text(json.dumps({"x": several.tolist()}))
    for name, items in (
        ("several.npy", 4),
        ("one.npy", 1),
        ("small.npy", 4),
        ("a.npz", 4),
        ("a.raw", 4),
        ("a.json", 4),
    ):
        found = read_items(ROW, tmp_path / name)
        assert found.shape == (items, 1, 3) and found.dtype == np.int64, name
        assert found.ravel().tolist() == several.ravel().tolist()[: items * 3]


def test_images_are_scaled_and_laid_out_as_the_input(tmp_path):
    for number in range(2):
        pixels = np.full((10, 10, 3), (255, 0, 51), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    found = read_items(PICTURE, tmp_path)
    assert found.shape == (2, 1, 3, 4, 6)
    assert np.allclose(found[0, 0, :, 0, 0], [1.0, 0.0, 0.2])
    last = read_items(InputSpec("x", (1, 4, 6, 3), "UINT8"), tmp_path / "0.png")
    assert last.shape == (1, 1, 4, 6, 3) and last[0, 0, 0, 0].tolist() == [255, 0, 51]
    assert read_items(InputSpec("x", (1, 1, 4, 6), "FLOAT32"), tmp_path / "0.png").shape == (
        1,
        1,
        1,
        4,
        6,
    )


def test_lines_of_text(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    assert read_items(TEXT, tmp_path / "a.txt").ravel().tolist() == ["one", "two"]


def _pickled(path):
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spec", "name", "write", "said"),
    [
        (ROW, "a.npy", lambda path: np.save(path, np.zeros((2, 5))), "it has [2, 5]"),
        (ROW, "a.npy", lambda path: np.save(path, np.array([[0.5, 1, 2]])), "with fractions"),
        (ROW, "a.npy", _pickled, "allow_pickle"),
        (ROW, "a.npy", lambda path: path.write_bytes(b"nonsense"), "a readable file"),
        (ROW, "a.raw", lambda path: path.write_bytes(b"12345"), "a multiple of 24 bytes"),
        (ROW, "a.json", lambda path: path.write_text('{"y": []}'), "the key x"),
        (ROW, "a.txt", lambda path: path.write_text("hello"), "a file of numbers"),
        (ROW, "a.npz", lambda path: np.savez(path, a=np.zeros(3), b=np.zeros(3)), "one named x"),
        (ROW, "a.png", lambda path: Image.new("RGB", (2, 2)).save(path), "[1, 3, H, W]"),
        (PICTURE, "a.png", lambda path: path.write_bytes(b"no image"), "an image"),
        (
            InputSpec("x", (1, 2), "INT8"),
            "a.npy",
            lambda path: np.save(path, np.array([[1, 300]])),
            "from -128 to 127",
        ),
        (ROW, "a.xyz", lambda path: path.write_text(""), "ends in"),
        (ROW, "missing.npy", lambda path: None, "an existing file"),
    ],
)
def test_what_is_refused(tmp_path, spec, name, write, said):
    write(tmp_path / name)
    with pytest.raises(Faults) as error:
        read_items(spec, tmp_path / name)
    assert said in str(error.value) and name in str(error.value)
