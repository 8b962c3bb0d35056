from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qs.inside.plain import plain, restored
from qs.tensors.outputs import named_outputs, paired, to_numpy


class Odd:
    def __str__(self):
        return "an engine"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.arange(3), [0, 1, 2]),
        (Path("a/b"), "a/b"),
        ({1: (np.int8(1), None)}, {"1": [1, None]}),
        ({"b", "a"}, ["a", "b"]),
        ([b"x", Odd()], [b"x", "an engine"]),
        (True, True),
    ],
)
def test_plain(value, expected):
    found = plain(value)
    assert found == expected and type(found) is type(expected)


class Tensor:
    """Like torch's: numpy() refuses what is on a device, needs a gradient, or has no numpy type."""

    def __init__(self, array, steps=("detach", "cpu")):
        self.array, self.steps = array, list(steps)

    def _after(self, step):
        return Tensor(self.array, [left for left in self.steps if left != step])

    def detach(self):
        return self._after("detach")

    def cpu(self):
        return self._after("cpu")

    def float(self):
        return self._after("float")

    def numpy(self):
        if self.steps == ["float"]:
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self.steps:
            raise RuntimeError(f"call {self.steps} first")
        return self.array


@pytest.mark.parametrize("steps", [[], ["detach"], ["detach", "cpu"], ["detach", "cpu", "float"]])
def test_tensors(steps):
    array = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(to_numpy(Tensor(array, steps)), array)


@pytest.mark.parametrize(
    ("raw", "names", "expected"),
    [
        ({"a": [1.0]}, ["z"], ["a"]),
        ([np.zeros(1), np.zeros(1)], ["s", "e"], ["s", "e"]),
        ((np.zeros(1),), ["s"], ["s"]),
        ([np.zeros(1), np.zeros(1)], ["s"], ["output_0", "output_1"]),
        (np.zeros((2, 2)), ["s"], ["s"]),
        (Tensor(np.zeros(1)), ["s"], ["s"]),
    ],
)
def test_named_outputs(raw, names, expected):
    found = named_outputs(raw, names)
    assert list(found) == expected and all(
        isinstance(array, np.ndarray) for array in found.values()
    )


@pytest.mark.parametrize(
    ("reference", "given", "expected"),
    [
        (["s", "e"], ["e", "s"], {"s": "s", "e": "e"}),
        (["s", "e"], ["o1", "o2"], {"s": "o1", "e": "o2"}),
        (["s", "e"], ["s", "x"], {"s": "s", "e": None}),
        (["s"], ["a", "b"], {"s": None}),
    ],
)
def test_pairs(reference, given, expected):
    assert paired(reference, given) == expected


def test_restored_gives_back_objects_that_were_not_changed():
    engine = Odd()
    original = {"a": engine, "b": {"c": engine, 1: (1, 2)}, "d": [engine]}
    copy = plain(original)
    assert restored(copy, original) is original
    copy["b"]["1"] = 5
    copy["new"] = True
    changed = restored(copy, original)
    assert changed == {"a": engine, "b": {"c": engine, "1": 5}, "d": [engine], "new": True}
    assert restored({"x": 1}, None) == {"x": 1}
