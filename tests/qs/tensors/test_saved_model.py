"""What saved_model.pb says, read without TensorFlow."""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.tensors.saved_model import Tensor, read
from tests.qs import saved_models as made


def test_signatures_operators_and_form(tmp_path):
    x = ("serving_default_x:0", made.FLOAT, [-1, 5])
    ids = ("ids:0", made.INT64, [1, 0])
    any_rank = ("any:0", made.BFLOAT16, None)
    sides = made.signature({"x": x, "ids": ids}, {"z": any_rank, "a": ("a:0", 99, [])})
    folder = made.written(
        tmp_path / "m",
        made.meta_graph({"t": made.signature({}, {})}, {}, tags=["serve", "gpu"]),
        made.meta_graph(
            {"serving_default": sides, "__saved_model_init_op": made.signature({}, {})},
            {"x": "Placeholder", "w": "Const"},
            ["MatMul", "Const"],
        ),
    )
    assert read(folder).tags == ("serve", "gpu")  # the first of them
    folder = made.written(
        tmp_path / "n",
        made.meta_graph({}, {}, tags=["train"]),
        made.meta_graph(
            {"serving_default": sides, "__saved_model_init_op": made.signature({}, {})},
            {"x": "Placeholder", "w": "Const"},
            ["MatMul", "Const"],
        ),
    )
    found = read(folder)
    assert list(found.signatures) == ["serving_default"]
    side = found.signatures["serving_default"]
    assert dict(side.inputs) == {
        "ids": Tensor("ids:0", "int64", (1, 0)),
        "x": Tensor("serving_default_x:0", "float32", (None, 5)),
    }
    assert dict(side.outputs) == {
        "a": Tensor("a:0", "type 99", ()),
        "z": Tensor("any:0", "bfloat16", None),
    }
    assert found.operators == {"Placeholder", "Const", "MatMul"}
    assert found.nodes == {"x": "Placeholder", "w": "Const"}
    assert found.objects


def test_tensorflow_1_has_no_objects(tmp_path):
    assert not read(made.small(tmp_path / "m", objects=False)).objects


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match=r"m has no saved_model\.pb: it is no TensorFlow"):
        read(tmp_path / "m")
    folder = made.small(tmp_path / "m")
    whole = (folder / "saved_model.pb").read_bytes()
    for content in (whole[:-20], b"\x13" + whole, b"PK\x03\x04" + whole, b"\x08\x01", b"\xff" * 99):
        (folder / "saved_model.pb").write_bytes(content)
        with pytest.raises(UserError, match=r"saved_model\.pb is damaged, or no saved_model: "):
            read(folder)
    (folder / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match=r"saved_model\.pb is empty"):
        read(folder)


def test_no_graph_for_inference(tmp_path):
    folder = made.small(tmp_path / "m", tags=["train", "tpu"])
    with pytest.raises(UserError, match="no graph with the tag 'serve'.*its tags: train, tpu"):
        read(folder)


def test_every_cut_of_the_file_is_one_message(tmp_path):
    folder = made.small(tmp_path / "m")
    whole = (folder / "saved_model.pb").read_bytes()
    for size in range(1, len(whole)):
        (folder / "saved_model.pb").write_bytes(whole[:size])
        try:
            read(folder)
        except UserError:
            continue
        pytest.fail(f"{size} of {len(whole)} bytes were taken for a whole file")
