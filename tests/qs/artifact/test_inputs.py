"""What is read off a file's inputs, and what is guessed: pure, as tables."""

from __future__ import annotations

import pytest

from qs.artifact.guesses import MOST_BYTES, first_guess, guesses, input_bytes, nothing_runs
from qs.artifact.inputs import Facts, read, with_items
from qs.artifact.notes import note_on_states, notes_on
from qs.artifact.states import pairs, stated
from qs.base.errors import Faults
from qs.tensors.onnx_io import FileTensor


def tensor(name: str, shape: list, kind: str = "float") -> FileTensor:
    return FileTensor(name, tuple(shape), f"tensor({kind})")


def described(tensors, given=None, items=None, **more):
    reading = read(tensors, given or {}, "m.onnx", **more)
    return first_guess(with_items(reading, items) if items else reading)


def shapes(tensors, given=None, **more) -> dict[str, tuple]:
    return {each.name: each.shape for each in described(tensors, given, **more)}


def notes(tensors, given=None, **more) -> list[str]:
    reading = read(tensors, given or {}, "m.onnx", **more)
    return notes_on(first_guess(reading), reading.batch)


IDS = tensor("input_ids", ["batch", "sequence_length"], "int64")
PAST = tensor("past.0.key", ["batch", 2, "past_sequence_length", 4])


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ([tensor("x", ["N", 3, 224, 224])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", [None, 3, None, None])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", ["N", "C", "H", "W"])], {"x": (1, 3, 224, 224)}),
        ([tensor("x", ["N", "height", "width", 3])], {"x": (1, 224, 224, 3)}),
        ([tensor("audio", [None, None])], {"audio": (1, 512)}),
        ([tensor("audio", ["samples"])], {"audio": (16000,)}),
        ([tensor("audio", ["batch", "samples"])], {"audio": (1, 16000)}),
        ([tensor("x", ["frames", 80])], {"x": (128, 80)}),
        ([tensor("x", [50, "N", 8])], {"x": (50, 1, 8)}),
        ([tensor("x", [8, 5])], {"x": (8, 5)}),
        ([tensor("latent", ["batch", "channels_latent", "h", "w"])], {"latent": (1, 4, 64, 64)}),
        (
            [tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", "seq"], "int64")],
            {"ids": (1, 128), "mask": (1, 128)},
        ),
        (
            [tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", 77], "int64")],
            {"ids": (1, 128), "mask": (1, 77)},
        ),
        ([tensor("sr", [], "int64"), tensor("x", [None, 8])], {"sr": (), "x": (1, 8)}),
        ([tensor("x", ["2*B", 4]), tensor("y", ["B"])], {"x": (2, 4), "y": (1,)}),
        ([tensor("x", ["batch*num_beams", 4])], {"x": (1, 4)}),
        ([tensor("x", [0, 4])], {"x": (0, 4)}),
    ],
)
def test_shapes_at_batch_1(tensors, expected):
    assert shapes(tensors) == expected


@pytest.mark.parametrize(
    ("mask", "given", "expected"),
    [
        ("past_sequence_length + sequence_length", {}, (128, 128, 0)),
        ("total_sequence_length", {}, (128, 128, 0)),
        ("past_sequence_length + 1", {}, (128, 1, 0)),
        (
            "past_sequence_length + sequence_length",
            {"input_ids": (1, 1), "mask": (1, 33)},
            (1, 33, 32),
        ),
        ("past_sequence_length + sequence_length", {"mask": (1, 33)}, (33, 33, 0)),
        ("total_sequence_length", {"past.0.key": (1, 2, 32, 4)}, (128, 160, 32)),
        ("total_sequence_length", {"past.0.key": (1, 2, 0, 4), "input_ids": (1, 16)}, (16, 16, 0)),
        ("odd", {"past.0.key": (1, 2, 7, 4)}, (128, 128, 7)),
    ],
)
def test_sums_of_dimensions_are_computed_both_ways(mask, given, expected):
    found = shapes([IDS, tensor("mask", ["batch", mask], "int64"), PAST], given)
    assert (found["input_ids"][1], found["mask"][1], found["past.0.key"][2]) == expected


def test_a_side_that_one_input_states_holds_for_all_of_its_name():
    ids, mask = tensor("ids", ["batch", "seq"], "int64"), tensor("mask", ["batch", "seq"], "int64")
    assert shapes([ids, mask], {"mask": (1, 33)}) == {"ids": (1, 33), "mask": (1, 33)}


def test_what_own_items_and_weights_state_is_not_guessed():
    image = tensor("x", ["N", "C", "H", "W"])
    sized = Facts({("x", 1): 1})
    assert shapes([image], facts=sized) == {"x": (1, 1, 224, 224)}
    assert shapes([image], items={"x": (1, 3, 320, 320)}) == {"x": (1, 3, 320, 320)}
    assert shapes([image], {"x": (1, 3, 8, 8)}, items={"x": (1, 3, 320, 320)}) == {
        "x": (1, 3, 8, 8)
    }


@pytest.mark.parametrize(
    ("tensors", "axes"),
    [
        ([tensor("x", ["N", 4]), tensor("state", [2, "N", 8])], {"x": 0, "state": 1}),
        ([tensor("x", [None, 4]), tensor("state", [2, None, 8])], {"x": 0, "state": 1}),
        ([tensor("x", [None, 4]), tensor("table", [3, 4])], {"x": 0, "table": None}),
        ([tensor("x", [1, 4]), tensor("y", [1, 2])], {"x": 0, "y": 0}),
        ([tensor("x", [3, 4]), tensor("y", [3, 2])], {"x": None, "y": None}),
        ([tensor("x", [None, 4]), tensor("sr", [])], {"x": 0, "sr": None}),
    ],
)
def test_the_side_that_a_batch_multiplies(tensors, axes):
    assert {each.name: each.batch_axis for each in described(tensors)} == axes


def test_a_stated_batch_is_divided_by_its_own_size_and_by_no_other():
    fixed = [tensor("x", [8, 5])]
    assert shapes(fixed, batch_sizes=[8]) == {"x": (1, 5)}
    assert shapes(fixed, asked=[("", 0)]) == {"x": (1, 5)}
    for sizes in ([], [1], [2], [1, 2], [4]):
        assert shapes(fixed, batch_sizes=sizes) == {"x": (8, 5)}
    assert shapes([tensor("x", ["N", 5])], {"x": (8, 5)}) == {"x": (1, 5)}


@pytest.mark.parametrize(
    ("tensors", "lengths"),
    [
        ([tensor("x_lens", ["N"], "int64"), tensor("x", ["N", "T", 80])], {"x_lens": 128}),
        ([tensor("x_lens", ["N"], "int64"), tensor("x", ["N", "T", 560])], {"x_lens": 128}),
        (
            [tensor("lengths", ["N"], "int64"), tensor("tokens", ["N", 50], "int64")],
            {"lengths": 50},
        ),
        (
            [
                tensor("input", ["N", "phonemes"], "int64"),
                tensor("input_lengths", ["N"], "int64"),
                tensor("scales", [3]),
            ],
            {"input_lengths": 128},
        ),
        (
            [
                tensor("text", ["N", 20], "int64"),
                tensor("text_lengths", ["N"], "int64"),
                tensor("mel", ["N", 300, 80]),
                tensor("mel_lengths", ["N", 1], "int32"),
            ],
            {"text_lengths": 20, "mel_lengths": 300},
        ),
        ([tensor("signal", ["N", 80, 3000]), tensor("length", ["N"], "int64")], {"length": 3000}),
        ([IDS, PAST, tensor("past_length", [], "int64")], {"past_length": 0}),
    ],
)
def test_lengths_follow_the_inputs_that_they_measure(tensors, lengths):
    found = {each.name: each.range for each in described(tensors)}
    assert {name: found[name] for name in lengths} == {
        name: (size, size + 1) for name, size in lengths.items()
    }


def test_other_numbers_that_a_name_or_a_table_gives_away():
    sr, ids = tensor("sr", [], "int64"), tensor("day", ["N"], "int64")
    facts = Facts(tables={"day": 7})
    found = {each.name: each for each in described([sr, ids], facts=facts)}
    assert found["sr"].range == (16000, 16001) and found["day"].range == (0, 7)
    assert "a table of 7 rows" in found["day"].range_from
    assert described([ids], facts=Facts(tables={"day": 30522}))[0].range is None


def test_positions_go_on_where_the_past_ends():
    positions = tensor("position_ids", ["batch", "sequence_length"], "int64")
    given = {"input_ids": (1, 4), "past.0.key": (1, 2, 32, 4)}
    ranges = {each.name: each.range for each in described([IDS, positions, PAST], given)}
    assert ranges["position_ids"] == (32, 36)
    assert described([IDS, positions, PAST])[1].range is None
    short = Facts(tables={"position_ids": 100})
    assert described([IDS, positions], facts=short)[1].range == (0, 100)


def test_guesses_are_said_in_a_line_with_the_flags_that_state_them():
    (said,) = notes([tensor("x", [None, 3, None, None]), tensor("y", ["N", 2])])
    assert "x [?, 3, ?, ?]: [1, 3, 224, 224]" in said and "--shape x=1,3,224,224" in said


def test_a_decoder_of_many_layers_is_said_in_one_line():
    layers = [tensor(f"past.{at}.key", PAST.shape) for at in range(48)]
    (said,) = notes([IDS, *layers])
    assert "past.0.key and 47 inputs like it" in said and said.count("--shape") == 2
    (line,) = note_on_states({f"past.{at}": f"present.{at}" for at in range(48)})
    assert "present.0 is fed back into past.0 (47 more pairs like it)" in line


def test_what_the_user_feeds_has_no_note():
    tensors = [tensor("x", ["N", 4]), tensor("lengths", ["N"], "int64")]
    reading = read(tensors, {}, "m.onnx")
    assert len(notes_on(first_guess(reading), reading.batch)) == 1
    assert notes_on(first_guess(reading), reading.batch, given=["lengths"]) == []


def tried(tensors, **more) -> list[tuple]:
    return [guess[0].shape for guess in guesses(read(tensors, {}, "m.onnx", **more), 1)]


def test_other_guesses_keep_what_is_stated():
    found = tried([tensor("x", ["N", 3, "H", "W"])])
    assert (1, 3, 48, 48) in found and all(shape[:2] == (1, 3) for shape in found)
    assert tried([tensor("x", ["N", 3])]) == [(1, 3)]
    assert len(set(found)) == len(found)


def test_other_channels_are_tried_before_other_sizes():
    assert tried([tensor("x", ["N", "C", "H", "W"])])[:3] == [
        (1, 3, 224, 224),
        (1, 1, 224, 224),
        (1, 4, 224, 224),
    ]


def test_a_guess_never_takes_much_memory():
    for shape in (["N", "C", "H", "W"], [None, None, None, None, None], ["N", 64, "D", "H", "W"]):
        found = tried([tensor("x", shape, "double")])
        assert found and max(max(each) for each in found) <= 1024
        for each in guesses(read([tensor("x", shape, "double")], {}, "m"), 1):
            assert input_bytes(each, 1) <= MOST_BYTES
    assert max(each[1] for each in tried([tensor("wave", ["N", "L"])])) == 16000
    assert max(each[1] for each in tried([tensor("x", ["N", "T", 80])])) == 4096
    assert tried([tensor("x", ["N", 400_000, "T", "U"])]) != []
    assert tried([tensor("x", ["N", 40_000_000, "T", "U"])]) == []


def test_where_nothing_runs_the_message_names_the_input_and_no_shape_that_failed():
    reading = read([tensor("x", ["N", 3, "H", "W"]), tensor("y", ["N", 2])], {}, "m.onnx")
    said = nothing_runs(reading, list(guesses(reading, 1)), "m.onnx", "odd")
    assert "x [N, 3, H, W]: tried [1, 3, 224, 224]" in said and "more" in said
    assert "--shape x=1,3,H,W" in said and "--shape y" not in said and "odd" in said
    none = read([tensor("x", ["N", 40_000_000, "T", None])], {}, "m.onnx")
    said = nothing_runs(none, [], "m.onnx", None)
    assert "--shape x=1,40000000,T,SIZE3" in said and "memory" in said.lower() or "MB" in said


@pytest.mark.parametrize(
    ("tensors", "given", "said"),
    [
        ([tensor("input", ["N", 3])], {"inptu": (1, 3)}, "did you mean 'input'"),
        (
            [tensor("input", ["N", 3])],
            {"input": (1, 4)},
            "--shape input is '1,4'; allowed: a shape that fits [N, 3]",
        ),
        ([tensor("input", ["N", 3])], {"input": ()}, "scalar"),
        ([FileTensor("seq", (), "seq(tensor(float))")], {}, "sequences, maps"),
        ([tensor("half", [1], "bfloat16")], {}, "a tensor of float, float16"),
    ],
)
def test_what_cannot_be(tensors, given, said):
    with pytest.raises(Faults) as error:
        described(tensors, given)
    assert said in str(error.value)


def test_an_input_of_unknown_rank_is_no_scalar():
    unknown = Facts(unranked=frozenset(["x"]))
    with pytest.raises(Faults, match="the shape of x is missing.*--shape x="):
        described([tensor("x", [])], facts=unknown)
    assert shapes([tensor("x", [])], {"x": (1, 4)}, facts=unknown) == {"x": (1, 4)}
    assert shapes([tensor("x", [])], {"x": (8, 4)}, facts=unknown) == {"x": (8, 4)}
    assert shapes([tensor("x", [])], {"x": ()}, facts=unknown) == {"x": ()}


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
    inputs = described([tensor("input", ["N", 4]), tensor(name, ["N", 4])])
    assert pairs(inputs, [tensor("y", ["N", 1]), tensor(output, ["N", 4])]) == (
        {name: output} if paired else {}
    )


def test_stated_pairs_are_checked():
    inputs = described([tensor("h", ["N", 4])])
    assert stated({"h": "out"}, inputs, [tensor("out", ["N", 4])]) == {"h": "out"}
    with pytest.raises(Faults) as error:
        stated({"g": "out", "h": "uot"}, inputs, [tensor("out", ["N", 4])])
    assert "did you mean 'out'" in str(error.value) and "2 faults" in str(error.value)
