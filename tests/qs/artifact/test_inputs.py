"""What is read off a file's inputs, and what is guessed: pure, as tables."""

from __future__ import annotations

import pytest

from qs.artifact.inputs import described, fixed_batch, notes_on, other_guesses
from qs.artifact.states import pairs, stated
from qs.base.errors import Faults
from qs.tensors.onnx_io import FileTensor


def tensor(name: str, shape: list, kind: str = "float") -> FileTensor:
    return FileTensor(name, tuple(shape), f"tensor({kind})")


def shapes(tensors, given=None, batch_size=None) -> dict[str, tuple]:
    return {each.name: each.shape for each in described(tensors, given or {}, batch_size, "m.onnx")}


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ([tensor("x", ["N", 3, 224, 224])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", [None, 3, None, None])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", ["N", "C", "H", "W"])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", ["N", "height", "width", 3])], {"x": (1, 224, 224, 3)}),
        ([tensor("audio", [None, None])], {"audio": (1, 512)}),
        (
            [tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", "seq"], "int64")],
            {"ids": (1, 128), "mask": (1, 128)},
        ),
        (
            [tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", 77], "int64")],
            {"ids": (1, 128), "mask": (1, 77)},
        ),
        ([tensor("sr", [], "int64"), tensor("x", [None, 8])], {"sr": (), "x": (1, 8)}),
    ],
)
def test_shapes_at_batch_1(tensors, expected):
    assert shapes(tensors) == expected


def test_a_side_that_one_input_states_holds_for_all_of_its_name():
    ids, mask = tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", "seq"], "int64")
    assert shapes([ids, mask], {"mask": (1, 33)}) == {"ids": (1, 33), "mask": (1, 33)}


@pytest.mark.parametrize(
    ("tensors", "axes"),
    [
        ([tensor("x", ["N", 4]), tensor("state", [2, "N", 8])], {"x": 0, "state": 1}),
        ([tensor("x", [None, 4]), tensor("state", [2, None, 8])], {"x": 0, "state": 1}),
        ([tensor("x", [None, 4]), tensor("table", [3, 4])], {"x": 0, "table": None}),
        ([tensor("x", [1, 4]), tensor("y", [1, 2])], {"x": 0, "y": 0}),
        ([tensor("x", [None, 4]), tensor("sr", [])], {"x": 0, "sr": None}),
    ],
)
def test_the_side_that_a_batch_multiplies(tensors, axes):
    assert {each.name: each.batch_axis for each in described(tensors, {}, None, "m")} == axes


def test_a_file_fixed_to_a_batch():
    assert fixed_batch([tensor("x", [8, 5]), tensor("y", [8])]) == 8
    assert fixed_batch([tensor("x", [8, 5]), tensor("y", [4])]) is None
    assert fixed_batch([tensor("x", [1, 5])]) is None
    assert shapes([tensor("x", [8, 5])], batch_size=8) == {"x": (1, 5)}
    assert shapes([tensor("x", [8, 5])], batch_size=1) == {"x": (8, 5)}


def test_numbers_that_a_name_gives_away():
    found = described(
        [tensor("sr", [], "int64"), tensor("x_lens", ["N"], "int64"), tensor("x", ["N", "T", 80])],
        {},
        None,
        "m",
    )
    assert {each.name: each.range for each in found} == {
        "sr": (16000, 16001),
        "x_lens": (128, 129),
        "x": None,
    }


def test_guesses_are_said_with_the_flag_that_states_them():
    notes = notes_on(
        described([tensor("x", [None, 3, None, None]), tensor("y", ["N", 2])], {}, None, "m")
    )
    assert notes == [
        "the file has dynamic dimensions in x [?, 3, ?, ?]; guessed [1, 3, 224, 224]: --shape "
        "x=1,3,224,224"
    ]


def test_other_guesses_keep_what_is_stated():
    found = described([tensor("x", ["N", 3, "H", "W"])], {}, None, "m")
    others = [guess[0].shape for guess in other_guesses(found)]
    assert (1, 3, 48, 48) in others and all(shape[:2] == (1, 3) for shape in others)
    assert list(other_guesses(described([tensor("x", ["N", 3])], {}, None, "m"))) == []


@pytest.mark.parametrize(
    ("tensors", "given", "said"),
    [
        ([tensor("input", ["N", 3])], {"inptu": (1, 3)}, "did you mean 'input'"),
        ([tensor("input", ["N", 3])], {"input": (1, 4)}, "a shape that fits [N, 3]"),
        ([tensor("input", ["N", 3])], {"input": ()}, "scalar"),
        ([FileTensor("seq", (), "seq(tensor(float))")], {}, "sequences, maps"),
    ],
)
def test_what_cannot_be(tensors, given, said):
    with pytest.raises(Faults) as error:
        described(tensors, given, None, "m.onnx")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "output", "paired"),
    [
        ("h", "hn", True),
        ("state", "stateN", True),
        ("cache_in", "cache_out", True),
        ("past_key_values.0.key", "present.0.key", True),
        ("past_key_values.0.key", "present.0.value", False),
        ("prev_state", "next_state", True),
        ("hidden_in", "logits", False),
        ("x", "xn", False),  # not called like a state
    ],
)
def test_states_by_their_names(name, output, paired):
    inputs = described([tensor("input", ["N", 4]), tensor(name, ["N", 4])], {}, None, "m")
    assert pairs(inputs, [tensor("y", ["N", 1]), tensor(output, ["N", 4])]) == (
        {name: output} if paired else {}
    )


def test_stated_pairs_are_checked():
    inputs = described([tensor("h", ["N", 4])], {}, None, "m")
    assert stated({"h": "out"}, inputs, [tensor("out", ["N", 4])]) == {"h": "out"}
    with pytest.raises(Faults) as error:
        stated({"g": "out", "h": "uot"}, inputs, [tensor("out", ["N", 4])])
    assert "did you mean 'out'" in str(error.value) and "2 faults" in str(error.value)
