"""Names of dimensions that are sums of others."""

from __future__ import annotations

import pytest

from qs.artifact.dimensions import expression


@pytest.mark.parametrize(
    ("text", "values", "size"),
    [
        (
            "past_sequence_length + sequence_length",
            {"past_sequence_length": 3, "sequence_length": 5},
            8,
        ),
        ("past_sequence_length + 1", {"past_sequence_length": 3}, 4),
        ("past+seq", {"past": 3, "seq": 5}, 8),
        ("2*batch", {"batch": 4}, 8),
        ("batch_size * num_beams", {"batch_size": 2, "num_beams": 3}, 6),
        ("floor(height/8)", {"height": 20}, 2),
        ("height//8 - 1", {"height": 20}, 1),
        ("Max(1, s0 - 4)", {"s0": 3}, 1),
        ("ceil(t/2)", {"t": 5}, 3),
        ("-(2 - s0)", {"s0": 5}, 3),
        ("s0", {"s0": 5}, 5),
        # names that only look like sums
        ("seq-len", {"seq-len": 7}, 7),
        ("DynamicDimension.0", {"DynamicDimension.0": 7}, 7),
        ("two words", {"two words": 7}, 7),
        ("a**b", {"a**b": 7}, 7),
        ("(((", {"(((": 7}, 7),
        ("(" * 5000 + "a", {"(" * 5000 + "a": 7}, 7),
        # what cannot be computed
        ("seq - 9", {"seq": 3}, None),
        ("seq / 0", {"seq": 3}, None),
        ("floor(a, b)", {"a": 3, "b": 1}, None),
        ("past + seq", {"past": 3}, None),
    ],
)
def test_the_size_of_a_dimension(text, values, size):
    assert expression(text).value(values) == size


@pytest.mark.parametrize(
    ("text", "size", "values", "solved"),
    [
        ("past + seq", 33, {"seq": 1}, ("past", 32)),
        ("past + seq", 16, {"seq": 16}, ("past", 0)),
        ("2*batch", 6, {}, ("batch", 3)),
        ("2*batch", 7, {}, None),
        ("floor(height/8)", 28, {}, None),
        ("past + seq", 3, {"seq": 16}, None),
        ("past + seq", 33, {}, None),
    ],
)
def test_a_sum_that_has_a_size_says_what_its_parts_are(text, size, values, solved):
    assert expression(text).solved(size, values) == solved
