"""The user's own items: every format to [items, *shape], and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from qs.artifact.user_data import (
    count_faults,
    files_of,
    item_shape,
    left_out,
    on_pictures,
    read_items,
)
from qs.base.errors import Faults
from qs.tensors.contents import content_of, named
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
    for name in ("0.png", "1.webp"):
        pixels = np.full((10, 10, 3), (255, 0, 51), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name, lossless=True)
    found = read_items(PICTURE, tmp_path)
    (note,) = on_pictures({"x": str(tmp_path)}, [PICTURE])
    assert "stretched" in note and "scaled to 0..1" in note and "qs new-task" in note
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


def test_an_item_a_line(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"x": [1, 2, 3], "t": "a"}\n\n{"x": [4, 5, 6], "t": {"k": 1}}\n')
    assert read_items(ROW, file).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
    assert read_items(InputSpec("t", (1,), "STRING"), file).ravel().tolist() == ["a", '{"k": 1}']
    whole = read_items(InputSpec("line", (1,), "STRING"), file).ravel().tolist()
    assert [json.loads(each)["t"] for each in whole] == ["a", {"k": 1}]
    file.write_text("{}\n{")
    with pytest.raises(Faults, match="JSON in line 2"):
        read_items(TEXT, file)


def test_for_strings_a_picture_or_a_document_is_an_item_of_its_own(tmp_path):
    for name in ("b.jpg", "a.png"):
        (tmp_path / name).write_bytes(name.encode() + b"\xff\x00")
    found = read_items(TEXT, tmp_path).ravel().tolist()
    assert [content_of(each) for each in found] == [b"a.png\xff\x00", b"b.jpg\xff\x00"]
    (tmp_path / "c.pdf").write_bytes(b"c")
    assert len(read_items(TEXT, tmp_path)) == 2  # no item beside the pictures
    assert content_of(read_items(TEXT, tmp_path / "c.pdf").item()) == b"c"
    assert on_pictures({"x": str(tmp_path)}, [TEXT]) == []
    with pytest.raises(Faults, match="a file of numbers"):
        read_items(ROW, tmp_path / "c.pdf")


def test_a_text_never_names_a_file(tmp_path):
    marked = json.dumps([named(tmp_path / "secret")])
    (tmp_path / "a.json").write_text(marked)
    (tmp_path / "a.jsonl").write_text(f'{{"x": {marked[1:-1]}}}')
    np.save(tmp_path / "a.npy", np.array([named(tmp_path / "secret")]))
    for name in ("a.json", "a.jsonl", "a.npy"):
        with pytest.raises(Faults, match="surrogate"):
            read_items(TEXT, tmp_path / name)


def _pickled(path):
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spec", "name", "write", "said"),
    [
        (ROW, "a.npy", lambda path: np.save(path, np.zeros((2, 5))), "it has [2, 5]"),
        (ROW, "a.npy", lambda path: np.save(path, np.array([[0.5, 1, 2]])), "with fractions"),
        (ROW, "a.npy", _pickled, "pickled"),
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


PAIR = InputSpec("x", (1, 2), "FLOAT32")


@pytest.mark.parametrize(
    ("type_name", "values", "said"),
    [
        ("INT64", np.array([[1.0, np.nan]]), "whole numbers, for INT64; it has float64 nan"),
        ("INT64", np.array([[1.0, np.inf]]), "it has float64 inf"),
        ("INT64", np.array([[1.0, 0.9999999]]), "with fractions, such as 0.9999999"),
        ("INT64", np.array([[0.0, 2.0**63]]), "from -9223372036854775808"),
        ("INT64", np.array([[0, 2**63]], np.uint64), "it has 9223372036854775808"),
        ("UINT64", np.array([[-1, 5]]), "it has -1"),
        ("INT8", np.array([[1, 200]], np.uint8), "it has 200"),
        ("FLOAT16", np.array([[1.0, 1e6]]), "from -65504 to 65504, for FLOAT16"),
        ("FLOAT32", np.array([[1.0, 1e300]]), "for FLOAT32; it has float64 1e+300"),
        ("FLOAT32", np.array([[1, 2**24 + 1]]), "up to 16777216"),
        ("FLOAT16", np.array([[1, 100_000]]), "a FLOAT16 holds"),
        ("FLOAT64", np.array([[1, 2**53 + 1]]), "a FLOAT64 holds"),
        ("BOOL", np.array([[1, 5]]), "0 and 1 alone, for BOOL; it has int64 5"),
        ("BOOL", np.array([[1.0, np.nan]]), "0 and 1 alone"),
        ("BOOL", np.array([["a", "b"]]), "values of type BOOL"),
        ("FLOAT32", np.array([[1 + 2j, 1]]), "it has complex128"),
        ("INT64", np.array([["2020-01-01", "2021-01-01"]], "datetime64[D]"), "datetime64"),
        ("FLOAT32", np.array([["2020-01-01", "NaT"]], "datetime64[D]"), "datetime64"),
        ("INT64", np.array([[1, 2]], "timedelta64[s]"), "timedelta64"),
        ("FLOAT32", np.array([["1", "2"]]), "values of type FLOAT32"),
        ("STRING", np.array([[1, 2]]), "values of type STRING"),
        ("FLOAT32", np.array([(1, 2)], "i4,i4"), "it has"),
    ],
)
def test_own_values_are_never_bent(tmp_path, type_name, values, said):
    np.save(tmp_path / "a.npy", values.reshape(1, -1) if values.dtype.names is None else values)
    with pytest.raises(Faults) as error:
        read_items(InputSpec("x", (1, 2), type_name), tmp_path / "a.npy")
    text = str(error.value)
    assert "--data x is" in text and "a.npy" in text
    assert said in text or values.dtype.names


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("INT64", np.array([[1.0, -3.0]])),
        ("INT64", np.array([[2**62, 5]], np.uint64)),
        ("UINT8", np.array([[True, False]])),
        ("BOOL", np.array([[0.0, 1.0]])),
        ("FLOAT16", np.array([[0.1, np.inf]])),
        ("FLOAT32", np.array([[np.nan, 0.1]])),
        ("FLOAT32", np.array([[-(2**24), 7]])),
        ("FLOAT64", np.array([[2**60, 7]])),
    ],
)
def test_what_is_the_same_in_the_inputs_type_is_taken(tmp_path, type_name, values):
    np.save(tmp_path / "a.npy", values)
    found = read_items(InputSpec("x", (1, 2), type_name), tmp_path / "a.npy")
    assert found.dtype == InputSpec("x", (), type_name).dtype
    np.testing.assert_allclose(
        found.reshape(values.shape).astype(float), values.astype(float), rtol=1e-3
    )


@pytest.mark.parametrize(
    ("spec", "content", "expected"),
    [
        (TEXT, ["a", "b"], ["a", "b"]),
        (TEXT, {"x": [["a"], ["b"]]}, ["a", "b"]),
        (InputSpec("x", (1, 1), "INT64"), [3, 4], [3, 4]),
        (InputSpec("x", (1, 2), "INT64"), [[2**53 + 1, 1.0]], [2**53 + 1, 1]),
        (PAIR, {"data": [{"x": [1, 2]}, {"x": {"content": [3, 4]}}]}, [1, 2, 3, 4]),
        (PAIR, {"data": [[{"x": [1, 2]}], [{"x": [3, 4]}]], "more": 1}, [1, 2, 3, 4]),
        (PAIR, {"data": [{"x": {"content": [[1], [2]], "shape": [2]}}]}, [1, 2]),
        (PAIR, {"data": [{"x": {"content": [1, 2], "shape": [1, 2]}, "y": [0]}]}, [1, 2]),
        (TEXT, {"data": [{"x": ["hello"]}, {"x": {"content": ["you"]}}]}, ["hello", "you"]),
        (InputSpec("x", (1, 2), "INT16"), {"data": [{"x": {"b64": "AQACAA=="}}]}, [1, 2]),
    ],
)
def test_json_and_the_input_data_of_perf_analyzer(tmp_path, spec, content, expected):
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_items(spec, tmp_path / "a.json").ravel().tolist() == expected


@pytest.mark.parametrize(
    ("spec", "content", "said"),
    [
        (TEXT, ["a", 1], "it has numbers"),
        (ROW, [[1, 2, "3"]], "it has strings"),
        (ROW, [[1, 2, None]], "it has null"),
        (ROW, [[1, 2, 3], [1]], "lists of one length"),
        (ROW, [[1, 2, 2**70]], "numbers up to 64 bits"),
        (PAIR, {"data": [{"x": [1, 2]}, {"y": [1, 2]}]}, "the key x as step 1 of its data"),
        (PAIR, {"data": [{"x": [1, 2]}, {"x": [1]}]}, "items of one shape"),
        (PAIR, {"data": [{"x": [1, 2, 3]}]}, "it has [1, 3]"),
        (PAIR, {"data": [{"x": {"content": [1, 2], "shape": [3]}}]}, "a shape of 2 values"),
        (PAIR, {"data": [{"x": {"values": [1, 2]}}]}, "content or b64"),
        (PAIR, {"data": [{"x": {"b64": "AQ=="}}]}, "base64 of values of FLOAT32"),
        (TEXT, {"data": [{"x": {"b64": "AQ=="}}]}, "content, for the strings"),
        (PAIR, {"data": []}, "at least one item"),
        (PAIR, [], "at least one item"),
    ],
)
def test_json_that_does_not_fit(tmp_path, spec, content, said):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(Faults) as error:
        read_items(spec, tmp_path / "a.json")
    assert said in str(error.value)


def _proto(path, values, name=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(numpy_helper.from_array(values, name).SerializeToString())


def test_test_sets_of_onnx(tmp_path):
    """By the tensor's name, else by the input's place; each set is an item."""
    for at in (0, 1, 10):
        folder = tmp_path / f"test_data_set_{at}"
        _proto(folder / "input_0.pb", np.full((1, 2), at, np.float32))
        _proto(folder / "input_1.pb", np.full((1, 2), -at, np.float32), "x" if at else "")
    first = tmp_path / "test_data_set_0"
    assert read_items(PAIR, first / "input_0.pb").tolist() == [[[0, 0]]]
    assert read_items(PAIR, first, position=0).tolist() == [[[0, 0]]]
    assert read_items(PAIR, tmp_path, position=1)[:, 0, 0].tolist() == [0, -1, -10]
    with pytest.raises(Faults, match="input_5.pb, or a tensor called x"):
        read_items(PAIR, first, position=5)
    text = InputSpec("x", (1, 2), "STRING")
    _proto(tmp_path / "text.pb", np.array([["ä", "b"]], object))
    assert read_items(text, tmp_path / "text.pb").ravel().tolist() == ["ä", "b"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (numpy_helper.from_list([np.ones((1, 2), np.float32)], "x"), "it holds a sequence, a map"),
        (numpy_helper.from_dict({1: np.float32(2)}, "x"), "it holds a sequence, a map"),
        (numpy_helper.from_optional(np.ones(2, np.float32), "x"), "or an optional"),
        (onnx.TensorProto(data_type=1, dims=[1, 2], data_location=1), "values inside"),
        (onnx.TensorProto(data_type=1, dims=[1, 2], raw_data=b"123"), "no whole TensorProto"),
        (onnx.ModelProto(ir_version=8, producer_name="p"), "no whole TensorProto"),
    ],
)
def test_other_messages_of_onnx_are_told_as_what_they_are(tmp_path, made, said):
    (tmp_path / "input_0.pb").write_bytes(made.SerializeToString())
    with pytest.raises(Faults) as error:
        read_items(PAIR, tmp_path / "input_0.pb")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("declared", "data", "expected"),
    [
        (["N", "S"], (10, 16), (1, 16)),
        (["N", "S"], (16,), (1, 16)),
        (["N", "S"], (10, 1, 16), (1, 16)),
        (["N", 3, "H", "W"], (10, 3, 20, 30), (1, 3, 20, 30)),
        (["N", 3, "H", "W"], (3, 20, 30), (1, 3, 20, 30)),
        (["N", 3, "H", "W"], (10, 4, 20, 30), None),
        (["N", "S"], (2, 3, 4), None),
    ],
)
def test_own_items_give_the_shape_of_dynamic_dimensions(tmp_path, declared, data, expected):
    np.save(tmp_path / "a.npy", np.zeros(data, np.float32))
    spec = InputSpec("x", tuple(1 for _ in declared), "FLOAT32")
    assert item_shape(spec, declared, tmp_path / "a.npy") == expected


def test_numbers_of_items_go_together():
    ten, one, seven = (np.zeros((count, 1)) for count in (10, 1, 7))
    assert count_faults({"a": ten, "b": ten, "c": one}) == []
    (fault,) = count_faults({"a": ten, "b": seven})
    assert "a: 10, b: 7" in str(fault) and "the same number of items" in str(fault)


def test_files_that_are_left_out_are_said(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for name in ("b.heic", "c.txt~", ".hidden", "d.GIF"):
        (tmp_path / name).write_bytes(b"x")
    assert [each.name for each in files_of("x", tmp_path)[0]] == ["a.png"]
    (note,) = left_out({"x": str(tmp_path)}, {"x": 0})
    assert "3 of the 4 files" in note and ".gif" in note and ".heic" in note


def test_an_archive_that_inflates_to_gigabytes_is_refused_by_its_sizes(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((1, 3)))
    content = bytearray(path.read_bytes())
    # the directory promises 12 GB: nothing has to be inflated to refuse it
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (0xFFFFFF00).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(Faults, match="inflate to 4.29 GB; allowed: 2.15 GB"):
        read_items(ROW, path)


@pytest.mark.parametrize("shape", [(10**12, 3), (10**20, 3), (-1, 3), (3.0, 3), "x"])
def test_a_header_that_promises_more_than_is_there_allocates_nothing(tmp_path, shape):
    with (tmp_path / "a.npy").open("wb") as file:
        text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(118) + "\n"
        file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
        file.write(bytes(24))
    with pytest.raises(Faults, match="a readable file"):
        read_items(ROW, tmp_path / "a.npy")
