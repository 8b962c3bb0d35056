"""Which dimension is the batch, and which batch sizes can be run: never guessed from a fixed
one.
"""

from __future__ import annotations

import pytest

from qs.artifact.batch import batch_of, no_other_size, refusal
from qs.artifact.sides import ASKED, ASSUMED, NAMED, NONE, STATED, Tensor, open_dimension
from qs.base.errors import Faults, UserError


def tensor(name: str, *dimensions: object) -> Tensor:
    return Tensor(name, tuple(map(open_dimension, dimensions)))


IMAGE = tensor("image", "N", 3, "H", "W")


def axes(batch) -> dict[str, int]:
    return {side.input: side.axis for side in batch.sides}


@pytest.mark.parametrize(
    ("tensors", "expected", "origin"),
    [
        ([IMAGE], {"image": 0}, NAMED),
        ([tensor("x", 50, "N", 8)], {"x": 1}, NAMED),
        ([tensor("x", "frames", "batch_size", 80)], {"x": 1}, NAMED),
        ([tensor("x", "points", "batch", 4), tensor("n", "batch")], {"x": 1, "n": 0}, NAMED),
        ([tensor("x", "batch", "N", 4)], {"x": 0}, NAMED),
        ([tensor("x", "N", "B", 4), tensor("y", "N")], {"x": 1, "y": 0}, NAMED),
        ([tensor("x", "batch", 4), tensor("boxes", "N", 4)], {"x": 0}, NAMED),
        ([tensor("x", "N", 4), tensor("state", 2, "N", 8)], {"x": 0, "state": 1}, NAMED),
        ([tensor("x", "2*batch", 4)], {"x": 0}, NAMED),
        ([tensor("x", "N", 4), tensor("table", 3, 4)], {"x": 0}, NAMED),
        ([tensor("x", "N", 4), tensor("rate")], {"x": 0}, NAMED),
        ([tensor("x", None, 4), tensor("state", 2, None, 8)], {"x": 0, "state": 1}, ASSUMED),
        ([tensor("x", "unk__6", 4)], {"x": 0}, ASSUMED),
        ([tensor("x", "rows", 4)], {"x": 0}, ASSUMED),
    ],
)
def test_the_side_is_read_from_names_or_assumed(tensors, expected, origin):
    found = batch_of(tensors, {})
    assert (axes(found), found.origin, found.only) == (expected, origin, None)
    assert (found.doubt() is not None) == (tensors[0].name == "x" and "rows" in str(tensors[0]))


@pytest.mark.parametrize(
    "dimensions",
    [
        (3, 224, 224),
        (480, 640, 3),
        (16000,),
        (50, 80),
        ("frames", 80),
        ("samples",),
        ("num_points", 4),
        ("time", 4),
        (3, "height", "width"),
    ],
)
def test_without_an_open_batch_a_call_is_one_item_and_that_is_said(dimensions):
    found = batch_of([tensor("x", *dimensions)], {})
    assert (found.origin, found.only, axes(found)) == (NONE, 1, {})
    assert "a call holds one item" in found.words() and "--batch_axis 0" in str(found.doubt())
    assert "batch size 8 cannot be run" in str(refusal(found.to_dict(), 8))
    assert refusal(found.to_dict(), 1) is None


def test_a_batch_of_1_that_is_fixed_is_no_doubt():
    found = batch_of([tensor("x", 1, 4), tensor("y", 1, 2)], {})
    assert (found.only, found.doubt(), axes(found)) == (1, None, {"x": 0, "y": 0})


@pytest.mark.parametrize(
    ("tensors", "asked", "expected", "only"),
    [
        ([IMAGE], [("", None)], {}, 1),
        ([IMAGE], [("", "N")], {"image": 0}, None),
        ([IMAGE], [("", "H")], {"image": 2}, None),
        ([IMAGE], [("image", 2)], {"image": 2}, None),
        ([IMAGE], [("image", -1)], {"image": 3}, None),
        ([tensor("x", 8, 5), tensor("y", 8)], [("", 0)], {"x": 0, "y": 0}, 8),
        ([tensor("x", 8, 5), tensor("scale")], [("x", 0)], {"x": 0}, 8),
        ([tensor("x", "N", 5), tensor("m", "N", 5)], [("m", None)], {"x": 0}, None),
        ([tensor("x", 5, None), tensor("m", None, 5)], [("x", 1)], {"x": 1, "m": 0}, None),
        ([tensor("x", "t", "b"), tensor("m", "b")], [("x", 1)], {"x": 1, "m": 0}, None),
    ],
)
def test_a_flag_states_it(tensors, asked, expected, only):
    found = batch_of(tensors, {}, asked)
    assert (axes(found), found.only) == (expected, only)
    assert found.origin == (STATED if expected and ("m", None) not in asked else found.origin)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([("imag", 0)], "did you mean 'image'"),
        ([("image", 4)], "0 to 3"),
        ([("", "M")], "the name of a dimension (N, H, W)"),
        ([("image", 0), ("image", 1)], "once"),
        ([("", 9)], "a position that an input has"),
    ],
)
def test_a_flag_that_names_nothing_is_one_message(asked, said):
    with pytest.raises(Faults) as error:
        batch_of([IMAGE], {}, asked)
    assert said in str(error.value) and "--batch_axis" in str(error.value)


def test_a_fixed_size_is_the_batch_if_it_is_asked_for_and_no_other_is_run():
    fixed = [tensor("x", 4, 4), tensor("y", 4)]
    for sizes in ((4,), (1, 2, 4)):
        found = batch_of(fixed, {}, batch_sizes=sizes)
        assert (found.origin, found.only, axes(found)) == (ASKED, 4, {"x": 0, "y": 0})
        assert "--batch_axis none" in str(found.doubt())
    assert "fixed to 4" in str(refusal(found.to_dict(), 2))
    assert batch_of(fixed, {}, [("", None)], (4,)).only == 1
    found = batch_of(fixed, {}, batch_sizes=(1, 2))
    assert (found.origin, found.only) == (NONE, 1)
    no_other_size(found, (1, 2))
    with pytest.raises(UserError, match="--batch_sizes 2, 8 cannot be run, only 1"):
        no_other_size(found, (2, 8))


def test_a_shape_of_a_whole_call_states_the_batch_size():
    assert batch_of([IMAGE], {"image": (1, 3, 8, 8)}).only is None
    found = batch_of([IMAGE], {"image": (8, 3, 8, 8)})
    assert found.only == 8 and "--shape image=8,3,8,8" in found.why
    assert batch_of([IMAGE], {"image": (8, 3, 8, 8)}, batch_sizes=(8,)).only == 8
    two = [tensor("x", "2*batch", 4), tensor("y", "batch")]
    assert batch_of(two, {"x": (2, 4)}).only is None
    assert batch_of(two, {"x": (6, 4), "y": (3,)}).only == 3
    assert batch_of([tensor("x", 50, "N", 8)], {"x": (50, 4, 8)}).only == 4
    assert batch_of([IMAGE], {"image": (1, 3, 8, 8)}, [("image", 2)]).only == 8


@pytest.mark.parametrize(
    ("tensors", "shapes", "sizes", "said"),
    [
        (
            [IMAGE],
            {"image": (8, 3, 9, 9)},
            (4,),
            ["--batch_sizes is '4'", "image=8,3,9,9", "1,3,9,9"],
        ),
        ([IMAGE], {"image": (8, 3, 9, 9)}, (1, 8), ["--batch_sizes is '1,8'", "image=8,3,9,9"]),
        (
            [IMAGE, tensor("mask", "N", 5)],
            {"image": (8, 3, 9, 9), "mask": (4, 5)},
            (),
            ["--shape mask is '4,5'", "image holds 8", "mask 4"],
        ),
        ([IMAGE], {"image": (0, 3, 9, 9)}, (), ["--shape image is '0,3,9,9'"]),
        ([tensor("x", "2*batch", 4)], {"x": (3, 4)}, (), ["a multiple of 2"]),
        # whether a nameless first dimension is a batch of vectors or one wave, nobody can tell
        ([tensor("x", None)], {"x": (16000,)}, (), ["--batch_axis x=0", "--batch_axis x=none"]),
        ([tensor("x", None, 80)], {"x": (100, 80)}, (), ["--batch_axis x=none"]),
    ],
)
def test_shapes_and_sizes_that_contradict_each_other(tensors, shapes, sizes, said):
    with pytest.raises(Faults) as error:
        batch_of(tensors, shapes, batch_sizes=sizes)
    for words in said:
        assert words in str(error.value)


def test_inputs_that_are_alike_are_told_together():
    found = batch_of([tensor(f"past.{at}", "batch", 2, "past", 4) for at in range(48)], {})
    assert found.words() == "dimension 0 (batch) of past.0 and 47 more inputs, going by its name"


def test_that_there_is_no_batch_may_be_stated():
    found = batch_of([IMAGE], {"image": (8, 3, 9, 9)}, [("", None)])
    assert (found.only, found.doubt()) == (1, None)
    assert found.words() == "none: a call holds one item, as --batch_axis says"
