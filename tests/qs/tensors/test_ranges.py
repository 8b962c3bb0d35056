"""A stated range is kept by every type, whatever its input is called, or refused with what is
allowed.
"""

from __future__ import annotations

import numpy as np
import pytest

from qs.tensors.generated import GeneratedItems, InputSpec, numpy_dtype
from qs.tensors.ranges import range_fault

NAMES = ("x", "attention_mask", "src_pad_mask", "token_type_ids", "input_ids")


@pytest.mark.parametrize(
    ("type_name", "bounds"),
    [
        ("BOOL", (0, 1)),
        ("BOOL", (0, 2)),
        ("BOOL", (1, 2)),
        ("BOOL", (1, 1)),
        ("UINT8", (0, 256)),
        ("UINT8", (250, 256)),
        ("INT8", (-128, -120)),
        ("INT8", (127, 127)),
        ("INT64", (0, 1)),
        ("INT64", (0, 2)),
        ("INT64", (1, 100)),
        ("INT64", (5, 10)),
        ("INT64", (0.5, 3.5)),
        ("INT64", (-(2**63), 2**63)),
        ("UINT64", (2**63, 2**64)),
        ("FLOAT16", (0, 1)),
        ("FLOAT16", (0.1, 0.1001)),
        ("FLOAT32", (1, 12000)),
        ("FLOAT32", (0.2, 0.8)),
        ("FLOAT32", (0, 1e-44)),
        ("FLOAT64", (-1.7e308, 1.7e308)),
    ],
)
def test_generated_values_stay_inside_a_stated_range(type_name, bounds):
    dtype = numpy_dtype(type_name)
    assert range_fault(dtype, type_name, bounds) is None
    low, high = bounds
    for name in NAMES:
        drawn = GeneratedItems([InputSpec(name, (1, 16), type_name, bounds)], 0).feeds(0, 300)[name]
        assert drawn.dtype == dtype
        values = np.unique(drawn).tolist()
        if low == high:
            assert values == [low], name
        else:
            assert all(low <= value < high for value in values), name
            assert len(values) > 1 or high - low <= 1, name


@pytest.mark.parametrize(
    ("type_name", "bounds", "allowed"),
    [
        ("BOOL", (0, 5), "0 to 2 for BOOL"),
        ("BOOL", (2, 2), "0 to 2 for BOOL"),
        ("STRING", (0, 1), "--data gives texts"),
        ("UINT8", (300, 400), "0 to 256 for UINT8"),
        ("UINT8", (-5, 5), "0 to 256 for UINT8"),
        ("INT8", (128, 128), "-128 to 128 for INT8"),
        ("FLOAT16", (0, 1e6), "-65504 to 65504"),
        ("FLOAT32", (-1e39, 0), "e+38"),
        ("FLOAT16", (2049, 2049.5), "a FLOAT16 between them"),
        ("INT64", (0.2, 0.8), "a whole number between them"),
        ("INT32", (1.5, 1.5), "a whole number between them"),
        ("INT64", (0, 1e20), "9223372036854775808 for INT64"),
    ],
)
def test_a_range_that_a_type_cannot_keep_says_what_it_can(type_name, bounds, allowed):
    assert allowed in (range_fault(numpy_dtype(type_name), type_name, bounds) or "")


@pytest.mark.parametrize(("shape", "axis"), [((), 0), ((1,), 0), ((1,), None), ((1, 1), None)])
def test_a_single_bool_has_one_value_for_the_whole_run(shape, axis):
    switch = InputSpec("use_cache_branch", shape, "BOOL", None, axis)
    for seed in range(3):
        items = GeneratedItems([switch, InputSpec("flags", (1, 1), "BOOL")], seed)
        drawn = [items.feeds(start, 1) for start in range(64)]
        assert not any(feeds["use_cache_branch"].any() for feeds in drawn)
        assert {feeds["flags"].item() for feeds in drawn} == {False, True}, "one a row is data"
